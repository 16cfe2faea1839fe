/**
 * Writes what belongs to loops: the charge and the check at their heads, and the
 * blocks around those that are left to refuel, with the labels that cross them.
 */

import type { ByteWriter } from '../writer.ts';
import { code, emptyBlockType } from './added-functions.ts';
import type { BodyWriter } from './body-writer.ts';
import type { CounterCode } from './counter-code.ts';
import type { CodePlan } from './plan.ts';

/** Blocks that a side exit puts around a loop, and labels inside them. */
const sideExitBlocks = 3;
const refuelLabel = 1;
const doneLabel = 2;
const againLabel = 0;

export class LoopWriter {
  readonly #bytes: Uint8Array;
  readonly #plan: CodePlan;
  readonly #body: BodyWriter;
  readonly #out: ByteWriter;
  readonly #counter: CounterCode;
  /** Loops (1) that are left to refuel. */
  readonly #sideExits: Uint8Array;
  /** Charge of the loop that was entered last. */
  #units = 0;

  constructor(options: {
    readonly bytes: Uint8Array;
    readonly plan: CodePlan;
    readonly body: BodyWriter;
    readonly counter: CounterCode;
    readonly sideExits: Uint8Array;
  }) {
    this.#bytes = options.bytes;
    this.#plan = options.plan;
    this.#body = options.body;
    this.#out = options.body.out;
    this.#counter = options.counter;
    this.#sideExits = options.sideExits;
  }

  /**
   * A loop without calls is left to refuel and entered again, because a call in
   * it, even if never made, keeps V8 from unrolling it and costs registers:
   *
   *   block $done
   *     loop $again
   *       block $refuel
   *         loop …the guest's, which goes to $refuel when the counter is negative… end
   *         br $done
   *       end
   *       …take the charge back, ask for more…
   *       br $again
   *     end
   *   end
   */
  loop(position: number, loop: number): void {
    if (this.blocksAround(loop) === 0) return;
    const typeEnd = this.#plan.loopHeads.at(loop);
    this.#body.insert(position, () => {
      this.#out.byte(code.block).copy(this.#bytes, position + 1, typeEnd);
      this.#out.byte(code.loop).copy(this.#bytes, position + 1, typeEnd);
      this.#out.byte(code.block).byte(emptyBlockType);
    });
  }

  head(position: number, units: number, loop: number): void {
    this.#units = units;
    this.#body.insert(position, () => {
      if (this.blocksAround(loop) > 0) this.#counter.chargeOrBranch(units, refuelLabel);
      else this.#counter.charge(units, true);
    });
  }

  end(position: number, loop: number): void {
    if (this.blocksAround(loop) === 0) return;
    this.#body.insert(position, () => {
      this.#out.byte(code.br).byte(doneLabel).byte(code.end);
      this.#counter.refuel(this.#units);
      this.#out.byte(code.br).byte(againLabel).byte(code.end).byte(code.end);
    });
  }

  /** Blocks that are put around the innermost loop, which is -1 if there is none. */
  blocksAround(loop: number): number {
    return loop >= 0 && this.#sideExits[loop] === 1 ? sideExitBlocks : 0;
  }

  /** A branch whose label leaves the loop. */
  label(position: number, loop: number, label: number): void {
    const blocks = this.blocksAround(loop);
    if (blocks > 0) this.#body.index(position, label + blocks);
  }

  /** A br_table in the loop. Labels up to `inner` stay there. */
  labels(position: number, loop: number, inner: number): void {
    const blocks = this.blocksAround(loop);
    if (blocks === 0) return;
    const from = this.#body.copyTo(position + 1);
    const { reader } = this.#body;
    reader.offset = position + 1;
    const count = reader.u32();
    this.#out.unsigned(count);
    for (let left = count; left >= 0; left--) {
      const label = reader.u32();
      this.#out.unsigned(label > inner ? label + blocks : label);
    }
    this.#body.replaced(from, position + 1, reader.offset);
  }
}

/** Decides, function by function, where the counter is kept and where it is checked. It changes no code. */

import type { Charges } from './charges.ts';
import { type CodePlan, eventFields, eventKinds, functionFlags } from './plan.ts';

/** Where the counter may be kept. Every strategy counts the same. */
export interface CounterStrategy {
  /** In a local, in functions where that pays. */
  readonly cached: boolean;
  /** Innermost loops are left to refuel, so that there is no call in them. */
  readonly sideExits: boolean;
}

export const counterStrategyDefault: CounterStrategy = { cached: true, sideExits: true };

export interface CounterChoice {
  readonly cached: boolean;
  readonly checksEntry: boolean;
  readonly needsLocal: boolean;
}

/** Code inside d loops weighs 8^d, at most 8^4. */
const depthBits = 3;
const depthMax = 4;
/** A counter in a local must save so many charges for each call around which it is put back. */
const chargesPerCall = 1.5;

export class CounterChooser {
  /** Loops (1) that are left to refuel. */
  readonly sideExits: Uint8Array;
  readonly #plan: CodePlan;
  readonly #charges: Charges;
  readonly #importedFunctions: number;
  readonly #strategy: CounterStrategy;

  constructor(plan: CodePlan, charges: Charges, importedFunctions: number, strategy: CounterStrategy) {
    this.#plan = plan;
    this.#charges = charges;
    this.#importedFunctions = importedFunctions;
    this.#strategy = strategy;
    this.sideExits = new Uint8Array(plan.loopCandidates.length);
  }

  choose(ordinal: number): CounterChoice {
    const { chargeWeight, callWeight } = this.#weigh(ordinal);
    const flags = this.#plan.flags.at(ordinal);
    const entryCharge = this.#charges.blocks[this.#plan.firstBlocks.at(ordinal)] as number;
    const hasLoop = (flags & functionFlags.hasLoop) !== 0;
    const cached =
      this.#strategy.cached &&
      hasLoop &&
      (flags & functionFlags.hasTry) === 0 &&
      chargeWeight > chargesPerCall * callWeight;
    if (!cached || !this.#strategy.sideExits) this.#forgetSideExits(ordinal);
    const checksEntry = this.#charges.checked[ordinal] === 1;
    return { cached, checksEntry, needsLocal: cached || hasLoop || (checksEntry && entryCharge > 0) };
  }

  /** Whether a call of the function leaves the counter alone. */
  isSilent(index: number): boolean {
    return index >= this.#importedFunctions && this.#charges.silent[index - this.#importedFunctions] === 1;
  }

  /** Adds up the charges and the calls of a function, and finds its side exits. */
  #weigh(ordinal: number): { readonly chargeWeight: number; readonly callWeight: number } {
    const plan = this.#plan;
    const { blocks } = this.#charges;
    let chargeWeight = (blocks[plan.firstBlocks.at(ordinal)] as number) > 0 ? 1 : 0;
    let callWeight = 0;
    let loop = -1;
    for (let at = plan.firstEvents.at(ordinal), end = plan.eventsEnd(ordinal); at < end; at += eventFields) {
      const kind = plan.kindOf(at);
      const argument = plan.events.at(at + 2);
      if (kind === eventKinds.block || kind === eventKinds.loopHead) {
        if ((blocks[argument] as number) > 0) chargeWeight += this.#weight(argument);
      } else if (kind === eventKinds.loop) {
        loop = argument;
        this.sideExits[loop] = plan.loopCandidates.at(loop);
      } else if (kind === eventKinds.loopEnd) {
        loop = -1;
      } else if (this.touchesCounter(kind, argument)) {
        const block = plan.events.at(at + 3);
        if (block < 0) continue;
        callWeight += this.#weight(block);
        if (loop >= 0) this.sideExits[loop] = 0;
      }
    }
    return { chargeWeight, callWeight };
  }

  /** Whether other code may look at the counter or change it during the event. */
  touchesCounter(kind: number, argument: number): boolean {
    if (kind === eventKinds.call || kind === eventKinds.tailCall) return !this.isSilent(argument);
    return kind === eventKinds.indirectCall || kind === eventKinds.length || kind === eventKinds.growth;
  }

  #weight(block: number): number {
    return 1 << (depthBits * Math.min(this.#plan.blockDepths.at(block), depthMax));
  }

  #forgetSideExits(ordinal: number): void {
    const { events } = this.#plan;
    for (
      let at = this.#plan.firstEvents.at(ordinal), end = this.#plan.eventsEnd(ordinal);
      at < end;
      at += eventFields
    ) {
      if (this.#plan.kindOf(at) === eventKinds.loop) this.sideExits[events.at(at + 2)] = 0;
    }
  }
}

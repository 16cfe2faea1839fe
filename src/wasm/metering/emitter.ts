/**
 * Writes function bodies anew with the charges that were planned for them. The
 * counter is a global; a function that keeps it in a local puts it back whenever
 * other code could look at it.
 */

import { byteLocation, WasmError } from '../problem.ts';
import { ByteReader } from '../reader.ts';
import { ByteWriter } from '../writer.ts';
import { code, emptyBlockType } from './added-functions.ts';
import type { BranchHints } from './branch-hints.ts';
import type { Charges } from './charges.ts';
import type { CounterChooser } from './counter.ts';
import type { OffsetMapWriter } from './offset-map.ts';
import { type CodePlan, eventFields, eventKinds, straightOn } from './plan.ts';

/** What V8 allows. Parameters count as locals. */
const bodyBytesMax = 7_654_321;
const localsMax = 50_000;

/** Blocks that a side exit puts around a loop. */
const sideExitBlocks = 3;
const i64Type = 0x7e;

/** Where the functions of the original are in the rewritten module. */
export interface FunctionSpace {
  /** Functions that the original imports. */
  readonly imported: number;
  /** The new index of a function. */
  moved(index: number): number;
  /** The function to call where the original calls this one directly. */
  called(index: number): number;
  /** The function to refer to where the original refers to this one or exports it. */
  referenced(index: number): number;
}

export interface EmitterOptions {
  readonly bytes: Uint8Array;
  readonly plan: CodePlan;
  readonly charges: Charges;
  readonly chooser: CounterChooser;
  readonly functions: FunctionSpace;
  /** Number of parameters of a defined function, by its ordinal. */
  readonly parametersOf: (ordinal: number) => number;
  readonly fuelGlobal: number;
  readonly slowPath: number;
  readonly globalSlowPath: number;
  readonly hints: BranchHints;
  readonly offsets: OffsetMapWriter;
}

export class Emitter {
  readonly #options: EmitterOptions;
  readonly #body = new ByteWriter();
  /** Reads integers of the original once more. */
  readonly #reader: ByteReader;
  /** The local that holds the counter for good if it is cached, else for the time of a check. */
  #local = 0;
  #cached = false;
  /** Whether the local does not hold the counter, because nothing needs it before it is put back. */
  #stale = false;
  #eventsEnd = 0;
  /** How far the original has been copied. */
  #copied = 0;
  /** Charge of the loop that was entered last. */
  #loopUnits = 0;

  constructor(options: EmitterOptions) {
    this.#options = options;
    this.#reader = new ByteReader(options.bytes, { start: 0, end: options.bytes.length }, 'function body');
  }

  /** Writes all bodies, each behind its size. */
  writeBodies(to: ByteWriter): void {
    const { plan, hints, offsets, functions } = this.#options;
    const start = to.length;
    for (let ordinal = 0; ordinal < plan.functions; ordinal++) {
      this.#writeBody(ordinal);
      hints.endBody(functions.moved(functions.imported + ordinal));
      to.unsigned(this.#body.length);
      offsets.endBody(to.length - start);
      to.bytes(this.#body.finish());
    }
  }

  #writeBody(ordinal: number): void {
    const { plan, chooser, offsets, parametersOf } = this.#options;
    const { cached, checksEntry, needsLocal } = chooser.choose(ordinal);
    this.#cached = cached;
    this.#local = plan.locals.at(ordinal) + parametersOf(ordinal);
    if (needsLocal && this.#local >= localsMax) this.#fail(ordinal, 'locals', localsMax);
    this.#body.clear();
    this.#copied = plan.bodyStarts.at(ordinal);
    offsets.startBody(this.#copied);
    if (needsLocal) this.#declareLocal(plan.codeStarts.at(ordinal));
    this.#enter(plan.codeStarts.at(ordinal), this.#unitsOf(plan.firstBlocks.at(ordinal)), checksEntry);
    this.#eventsEnd = plan.eventsEnd(ordinal);
    for (let at = plan.firstEvents.at(ordinal); at < this.#eventsEnd; at += eventFields) {
      this.#emit(at, plan.events.at(at + 1), plan.events.at(at + 2), plan.events.at(at + 3));
    }
    this.#copyTo(plan.bodyEnds.at(ordinal));
    if (this.#body.length > bodyBytesMax) this.#fail(ordinal, 'bytes', bodyBytesMax);
  }

  #unitsOf(block: number): number {
    return this.#options.charges.blocks[block] as number;
  }

  #emit(event: number, position: number, first: number, second: number): void {
    switch (this.#options.plan.kindOf(event)) {
      case eventKinds.block:
        return this.#emitBlock(position, this.#unitsOf(first));
      case eventKinds.call:
        return this.#emitCall(event, position, first);
      case eventKinds.exit:
        return this.#spill(position);
      case eventKinds.label:
        return this.#emitLabel(position, first, second);
      case eventKinds.loop:
        return this.#emitLoop(position, first);
      case eventKinds.loopHead:
        return this.#emitLoopHead(position, this.#unitsOf(first), second);
      case eventKinds.loopEnd:
        return this.#emitLoopEnd(position, first);
      case eventKinds.indirectCall:
        return this.#emitIndirectCall(event, position, first);
      case eventKinds.tailCall:
        return this.#emitTailCall(position, first);
      case eventKinds.reference:
        return this.#emitIndex(position, this.#options.functions.referenced(first));
      case eventKinds.labels:
        return this.#emitLabels(position, first, second);
      case eventKinds.length:
      case eventKinds.growth:
        return this.#emitAddedCall(event, position, first);
    }
  }

  /** Copies the original up to a position and returns how much has been written. */
  #copyTo(position: number): number {
    this.#body.copy(this.#options.bytes, this.#copied, position);
    this.#copied = position;
    return this.#body.length;
  }

  /** What has been written since `from` takes the place of the original between two positions. */
  #replaced(from: number, start: number, end: number): void {
    this.#options.offsets.change(start, end, this.#body.length - from);
    this.#copied = end;
  }

  /** Adds a group of one i64 behind the groups of locals, so that no index moves. */
  #declareLocal(position: number): void {
    const start = this.#copied;
    this.#reader.offset = start;
    this.#body.unsigned(this.#reader.u32() + 1);
    this.#replaced(0, start, this.#reader.offset);
    const from = this.#copyTo(position);
    this.#body.byte(1).byte(i64Type);
    this.#replaced(from, position, position);
  }

  #enter(position: number, units: number, checks: boolean): void {
    const from = this.#copyTo(position);
    if (this.#cached) {
      this.#global(code.globalGet);
      if (units > 0) this.#subtract(units);
      this.#counter(checks ? code.localTee : code.localSet);
      if (checks) this.#checkTop();
    } else if (units > 0) this.#charge(units, checks);
    else if (checks) {
      this.#global(code.globalGet);
      this.#checkTop();
    }
    this.#replaced(from, position, position);
  }

  #emitBlock(position: number, units: number): void {
    if (units === 0) return;
    const from = this.#copyTo(position);
    this.#charge(units, false);
    this.#replaced(from, position, position);
  }

  /** Takes units from the counter, wherever it is. */
  #charge(units: number, checks: boolean): void {
    if (this.#cached) this.#counter(code.localGet);
    else this.#global(code.globalGet);
    this.#subtract(units);
    if (!this.#cached && !checks) return this.#global(code.globalSet);
    this.#counter(checks ? code.localTee : code.localSet);
    if (!checks) return;
    if (!this.#cached) {
      this.#global(code.globalSet);
      this.#counter(code.localGet);
    }
    this.#checkTop();
  }

  /** Asks the host for more if the counter, which is on the stack, is negative. */
  #checkTop(): void {
    this.#body.byte(code.i64Const).byte(0).byte(code.i64LtS);
    this.#options.hints.unlikely(this.#body.length);
    this.#body.byte(code.if).byte(emptyBlockType);
    if (this.#cached) this.#refuelLocal();
    else this.#body.byte(code.call).unsigned(this.#options.globalSlowPath);
    this.#body.byte(code.end);
  }

  #refuelLocal(): void {
    this.#counter(code.localGet);
    this.#body.byte(code.call).unsigned(this.#options.slowPath);
    this.#counter(code.localSet);
  }

  #subtract(units: number): void {
    this.#body.byte(code.i64Const).signed(units).byte(code.i64Sub);
  }

  #global(opcode: number): void {
    this.#body.byte(opcode).unsigned(this.#options.fuelGlobal);
  }

  #counter(opcode: number): void {
    this.#body.byte(opcode).unsigned(this.#local);
  }

  /** Puts the counter back before code that may look at it. */
  #spill(position: number): void {
    if (!this.#cached) return;
    const from = this.#copyTo(position);
    if (!this.#stale) {
      this.#counter(code.localGet);
      this.#global(code.globalSet);
    }
    this.#stale = false;
    this.#replaced(from, position, position);
  }

  /** Takes the counter again behind such code, unless the next to use it would only put it back. */
  #reload(event: number, position: number): void {
    if (!this.#cached) return;
    const from = this.#copyTo(position);
    this.#stale = this.#isPutBackNext(event);
    if (!this.#stale) {
      this.#global(code.globalGet);
      this.#counter(code.localSet);
    }
    this.#replaced(from, position, position);
  }

  #isPutBackNext(event: number): boolean {
    const { plan, chooser } = this.#options;
    for (let next = event + eventFields; next < this.#eventsEnd; next += eventFields) {
      if ((plan.events.at(next) & straightOn) === 0) return false;
      const kind = plan.kindOf(next);
      const argument = plan.events.at(next + 2);
      if (kind === eventKinds.exit) return argument === 1;
      if (kind === eventKinds.reference || (kind === eventKinds.call && chooser.isSilent(argument))) continue;
      return chooser.touchesCounter(kind, argument);
    }
    return false;
  }

  /** Writes an instruction of one byte and one index with another index. */
  #emitIndex(position: number, index: number): void {
    this.#copyTo(position + 1);
    const from = this.#body.length;
    this.#reader.offset = position + 1;
    this.#reader.u32();
    this.#body.unsigned(index);
    this.#replaced(from, position + 1, this.#reader.offset);
  }

  #emitCall(event: number, position: number, callee: number): void {
    const { functions, chooser } = this.#options;
    const silent = chooser.isSilent(callee);
    if (!silent) this.#spill(position);
    this.#emitIndex(position, functions.called(callee));
    if (!silent) this.#reload(event, this.#copied);
  }

  #emitTailCall(position: number, callee: number): void {
    this.#spill(position);
    this.#emitIndex(position, this.#options.functions.called(callee));
  }

  /** `end` is negative for a tail call: nothing is executed behind it. */
  #emitIndirectCall(event: number, position: number, end: number): void {
    this.#spill(position);
    if (end >= 0) this.#reload(event, end);
  }

  /** The added function takes what is on the stack and gives it back. */
  #emitAddedCall(event: number, position: number, index: number): void {
    this.#spill(position);
    const from = this.#copyTo(position);
    this.#body.byte(code.call).unsigned(index);
    this.#replaced(from, position, position);
    this.#reload(event, position);
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
  #emitLoop(position: number, loop: number): void {
    const { bytes, plan, chooser } = this.#options;
    if (chooser.sideExits[loop] !== 1) return;
    const from = this.#copyTo(position);
    const typeEnd = plan.loopHeads.at(loop);
    this.#body.byte(code.block).copy(bytes, position + 1, typeEnd);
    this.#body.byte(code.loop).copy(bytes, position + 1, typeEnd);
    this.#body.byte(code.block).byte(emptyBlockType);
    this.#replaced(from, position, position);
  }

  #emitLoopHead(position: number, units: number, loop: number): void {
    const from = this.#copyTo(position);
    this.#loopUnits = units;
    if (this.#options.chooser.sideExits[loop] === 1) {
      this.#counter(code.localGet);
      this.#subtract(units);
      this.#counter(code.localTee);
      this.#body.byte(code.i64Const).byte(0).byte(code.i64LtS);
      this.#options.hints.unlikely(this.#body.length);
      this.#body.byte(code.brIf).byte(1);
    } else this.#charge(units, true);
    this.#replaced(from, position, position);
  }

  #emitLoopEnd(position: number, loop: number): void {
    if (this.#options.chooser.sideExits[loop] !== 1) return;
    const from = this.#copyTo(position);
    this.#body.byte(code.br).byte(2).byte(code.end);
    this.#counter(code.localGet);
    this.#body.byte(code.i64Const).signed(this.#loopUnits).byte(code.i64Add);
    this.#body.byte(code.call).unsigned(this.#options.slowPath);
    this.#counter(code.localSet);
    this.#body.byte(code.br).byte(0).byte(code.end).byte(code.end);
    this.#replaced(from, position, position);
  }

  #emitLabel(position: number, loop: number, label: number): void {
    if (this.#options.chooser.sideExits[loop] === 1) this.#emitIndex(position, label + sideExitBlocks);
  }

  /** Labels up to `inner` stay in the loop. */
  #emitLabels(position: number, loop: number, inner: number): void {
    if (this.#options.chooser.sideExits[loop] !== 1) return;
    const from = this.#copyTo(position + 1);
    const reader = this.#reader;
    reader.offset = position + 1;
    const count = reader.u32();
    this.#body.unsigned(count);
    for (let left = count; left >= 0; left--) {
      const label = reader.u32();
      this.#body.unsigned(label > inner ? label + sideExitBlocks : label);
    }
    this.#replaced(from, position + 1, reader.offset);
  }

  #fail(ordinal: number, what: string, most: number): never {
    const { functions, plan } = this.#options;
    throw new WasmError({
      reason: 'WASM_OVER_LIMIT',
      location: byteLocation(plan.bodyStarts.at(ordinal)),
      message: `Function ${functions.imported + ordinal} cannot be metered: with fuel counted it has more than ${most} ${what}; split it`,
    });
  }
}

/**
 * Writes function bodies anew with the charges that were planned for them. The
 * counter is a global; a function that keeps it in a local puts it back whenever
 * other code could look at it, and functions that are passed the counter hand it
 * to each other.
 */

import { localsMax } from '../code.ts';
import { byteLocation, WasmError } from '../problem.ts';
import type { ByteWriter } from '../writer.ts';
import { code } from './added-functions.ts';
import { BodyWriter } from './body-writer.ts';
import type { BranchHints } from './branch-hints.ts';
import type { Charges } from './charges.ts';
import type { CounterChooser } from './counter.ts';
import { CounterCode, type CounterIndices } from './counter-code.ts';
import { LoopWriter } from './loop-writer.ts';
import type { OffsetMapWriter } from './offset-map.ts';
import { type CodePlan, eventFields, eventKinds, exits, functionFlags, straightOn } from './plan.ts';

/** What V8 allows. */
const bodyBytesMax = 7_654_321;

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
  /** Type of a block that yields what a function does that is passed the counter. */
  readonly resultTypeOf: (ordinal: number) => number;
  readonly indices: CounterIndices;
  readonly hints: BranchHints;
  readonly offsets: OffsetMapWriter;
}

/** The global holds it alone between two instructions that want it there, the stack at the end of a function. */
type Place = 'local' | 'global' | 'stack';

export class Emitter {
  readonly #options: EmitterOptions;
  readonly #body: BodyWriter;
  readonly #counter: CounterCode;
  readonly #out: ByteWriter;
  readonly #loops: LoopWriter;
  #cached = false;
  /** Whether the function was passed the counter and gives it back. */
  #passed = false;
  /** Whether the results are yielded by a block around the whole function, behind which the counter follows. */
  #enclosed = false;
  /** Where the counter is, in a function that keeps it in a local. */
  #place: Place = 'local';
  #eventsEnd = 0;
  /** Where the last instruction of the function begins, which is its `end`. */
  #end = 0;

  constructor(options: EmitterOptions) {
    const { bytes, plan, chooser, offsets, indices, hints } = options;
    this.#options = options;
    this.#body = new BodyWriter(bytes, plan, offsets);
    this.#out = this.#body.out;
    this.#counter = new CounterCode(this.#out, indices, hints);
    this.#loops = new LoopWriter({
      bytes,
      plan,
      body: this.#body,
      counter: this.#counter,
      sideExits: chooser.sideExits,
    });
  }

  /** Writes all bodies, each behind its size. */
  writeBodies(to: ByteWriter): void {
    const { plan, hints, offsets, functions } = this.#options;
    const start = to.length;
    for (let ordinal = 0; ordinal < plan.functions; ordinal++) {
      this.#writeBody(ordinal);
      hints.endBody(functions.moved(functions.imported + ordinal));
      to.unsigned(this.#out.length);
      offsets.endBody(to.length - start);
      to.bytes(this.#out.finish());
    }
  }

  #writeBody(ordinal: number): void {
    const { plan, chooser, parametersOf } = this.#options;
    const { cached, passed, checksEntry, needsLocal } = chooser.choose(ordinal);
    const local = parametersOf(ordinal) + (passed ? 0 : plan.locals.at(ordinal));
    if (needsLocal && local >= localsMax) this.#fail(ordinal, 'locals', localsMax);
    this.#cached = cached;
    this.#passed = passed;
    this.#enclosed = passed && (plan.flags.at(ordinal) & functionFlags.returnsEarly) !== 0;
    this.#place = 'local';
    this.#eventsEnd = plan.eventsEnd(ordinal);
    this.#end = plan.bodyEnds.at(ordinal) - 1;
    this.#counter.place(cached, local);
    this.#body.start(ordinal, passed);
    if (needsLocal) this.#body.declareLocal(plan.codeStarts.at(ordinal), i64Type);
    this.#enter(ordinal, checksEntry);
    for (let at = plan.firstEvents.at(ordinal); at < this.#eventsEnd; at += eventFields) {
      this.#emit(at, plan.events.at(at + 1), plan.events.at(at + 2), plan.events.at(at + 3));
    }
    this.#leave();
    if (this.#out.length > bodyBytesMax) this.#fail(ordinal, 'bytes', bodyBytesMax);
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
        return this.#emitExit(position, first);
      case eventKinds.return:
        return this.#emitReturn(position, first, second);
      case eventKinds.label:
        return this.#loops.label(position, first, second);
      case eventKinds.loop:
        return this.#loops.loop(position, first);
      case eventKinds.loopHead:
        return this.#loops.head(position, this.#unitsOf(first), second);
      case eventKinds.loopEnd:
        return this.#loops.end(position, first);
      case eventKinds.indirectCall:
        return this.#emitIndirectCall(event, position, first);
      case eventKinds.tailCall:
        return this.#emitTailCall(position, first);
      case eventKinds.reference:
        return this.#body.index(position, this.#options.functions.referenced(first));
      case eventKinds.labels:
        return this.#loops.labels(position, first, second);
      case eventKinds.length:
      case eventKinds.growth:
        return this.#emitAddedCall(event, position, first);
    }
  }

  #enter(ordinal: number, checks: boolean): void {
    const { plan, resultTypeOf } = this.#options;
    const units = this.#unitsOf(plan.firstBlocks.at(ordinal));
    this.#body.insert(plan.codeStarts.at(ordinal), () => {
      if (this.#cached && !this.#passed) this.#counter.load(units, checks);
      else if (units > 0) this.#counter.charge(units, checks);
      else if (checks) this.#counter.check();
      if (this.#enclosed) this.#out.byte(code.block).byte(resultTypeOf(ordinal));
    });
  }

  /** Writes the rest of the function. */
  #leave(): void {
    if (this.#passed) {
      this.#body.insert(this.#end, () => {
        if (this.#enclosed) this.#out.byte(code.end);
        this.#putOnStack();
      });
    }
    this.#body.copyTo(this.#end + 1);
  }

  #emitBlock(position: number, units: number): void {
    if (units > 0) this.#body.insert(position, () => this.#counter.charge(units, false));
  }

  #putOnStack(): void {
    if (this.#place === 'global') this.#counter.ofGlobal(code.globalGet);
    else if (this.#place === 'local') this.#counter.get();
    this.#place = 'local';
  }

  /** Puts the counter back before code that may look at it. */
  #spill(position: number): void {
    if (!this.#cached) return;
    if (this.#place === 'local') this.#body.insert(position, () => this.#counter.spill());
    this.#place = 'local';
  }

  /** Takes the counter again behind such code, unless what comes next wants it elsewhere. */
  #reload(event: number, position: number): void {
    if (!this.#cached) return;
    if (this.#wantedNext(event) === 'local') this.#body.insert(position, () => this.#counter.load(0, false));
    else this.#place = 'global';
  }

  /** Where the counter is wanted by what follows an event; 'stack' takes it from anywhere. */
  #wantedNext(event: number): Place {
    const { plan, chooser } = this.#options;
    for (let next = event + eventFields; next < this.#eventsEnd; next += eventFields) {
      if ((plan.events.at(next) & straightOn) === 0) return 'local';
      const kind = plan.kindOf(next);
      const argument = plan.events.at(next + 2);
      if (kind === eventKinds.exit) return this.#wantedAtExit(argument);
      if (kind === eventKinds.reference || (kind === eventKinds.call && chooser.isSilent(argument))) continue;
      if (kind === eventKinds.call && chooser.isPassed(argument)) return 'stack';
      return chooser.touchesCounter(kind, argument) ? 'global' : 'local';
    }
    return 'local';
  }

  /** Who was passed the counter gives it back behind its results, and if there are none, in the global. */
  #wantedAtExit(how: number): Place {
    if (how === exits.perhaps) return 'local';
    if (how === exits.failure || !this.#passed) return 'global';
    return this.#enclosed ? 'local' : 'stack';
  }

  #emitExit(position: number, how: number): void {
    if (!this.#passed || how === exits.failure) this.#spill(position);
  }

  /** The results go to the end of the block around the function, where the counter can follow them. */
  #emitReturn(position: number, label: number, loop: number): void {
    if (!this.#passed) return;
    const from = this.#body.copyTo(position);
    this.#out.byte(code.br).unsigned(label + this.#loops.blocksAround(loop));
    this.#body.replaced(from, position, position + 1);
  }

  #emitCall(event: number, position: number, callee: number): void {
    const { functions, chooser } = this.#options;
    if (chooser.isPassed(callee)) return this.#emitPassingCall(event, position, callee);
    const silent = chooser.isSilent(callee);
    if (!silent) this.#spill(position);
    this.#body.index(position, functions.called(callee));
    if (!silent) this.#reload(event, this.#body.copied);
  }

  /** The counter goes along as the last argument and comes back as the last result. */
  #emitPassingCall(event: number, position: number, callee: number): void {
    this.#body.insert(position, () => this.#putOnStack());
    this.#body.index(position, this.#options.functions.called(callee));
    const behind = this.#body.copied;
    if (this.#passed && !this.#enclosed && behind === this.#end) this.#place = 'stack';
    else if (this.#cached && this.#wantedNext(event) === 'global') {
      this.#body.insert(behind, () => this.#counter.ofGlobal(code.globalSet));
      this.#place = 'global';
    } else this.#body.insert(behind, () => this.#counter.set());
  }

  #emitTailCall(position: number, callee: number): void {
    this.#spill(position);
    this.#body.index(position, this.#options.functions.called(callee));
  }

  /** `end` is negative for a tail call: nothing is executed behind it. */
  #emitIndirectCall(event: number, position: number, end: number): void {
    this.#spill(position);
    if (end >= 0) this.#reload(event, end);
  }

  /** The added function takes what is on the stack and gives it back. */
  #emitAddedCall(event: number, position: number, index: number): void {
    this.#spill(position);
    this.#body.insert(position, () => this.#out.byte(code.call).unsigned(index));
    this.#reload(event, position);
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

/** Writes the instructions that use the counter, wherever a function keeps it. When they are needed is the emitter's. */

import type { ByteWriter } from '../writer.ts';
import { code, emptyBlockType } from './added-functions.ts';
import type { BranchHints } from './branch-hints.ts';

/** Indices in the rewritten module. */
export interface CounterIndices {
  readonly fuelGlobal: number;
  readonly slowPath: number;
  readonly globalSlowPath: number;
}

export class CounterCode {
  readonly #to: ByteWriter;
  readonly #indices: CounterIndices;
  readonly #hints: BranchHints;
  /** The local that holds the counter for good if it is cached, else for the time of a check. */
  #local = 0;
  #cached = false;

  constructor(to: ByteWriter, indices: CounterIndices, hints: BranchHints) {
    this.#to = to;
    this.#indices = indices;
    this.#hints = hints;
  }

  /** Says where the function that is written now keeps its counter. */
  place(cached: boolean, local: number): void {
    this.#cached = cached;
    this.#local = local;
  }

  /** Puts the counter on the stack. */
  get(): void {
    if (this.#cached) this.#ofLocal(code.localGet);
    else this.ofGlobal(code.globalGet);
  }

  /** Takes the counter from the stack. */
  set(): void {
    if (this.#cached) this.#ofLocal(code.localSet);
    else this.ofGlobal(code.globalSet);
  }

  ofGlobal(opcode: number): void {
    this.#to.byte(opcode).unsigned(this.#indices.fuelGlobal);
  }

  /** From the local, in which it is kept, into the global. */
  spill(): void {
    this.#ofLocal(code.localGet);
    this.ofGlobal(code.globalSet);
  }

  /** From the global into the local, in which it is kept; takes units and checks it on the way. */
  load(units: number, checks: boolean): void {
    this.ofGlobal(code.globalGet);
    if (units > 0) this.#subtract(units);
    this.#ofLocal(checks ? code.localTee : code.localSet);
    if (checks) this.#checkTop();
  }

  /** Takes units from the counter, and checks it. */
  charge(units: number, checks: boolean): void {
    this.get();
    this.#subtract(units);
    if (!checks) return this.set();
    this.#ofLocal(code.localTee);
    if (!this.#cached) {
      this.ofGlobal(code.globalSet);
      this.#ofLocal(code.localGet);
    }
    this.#checkTop();
  }

  /** Asks the host for more if the counter is negative. */
  check(): void {
    this.get();
    this.#checkTop();
  }

  /** Takes units from the counter, which is kept in the local, and branches to the label if that was too much. */
  chargeOrBranch(units: number, label: number): void {
    this.#ofLocal(code.localGet);
    this.#subtract(units);
    this.#ofLocal(code.localTee);
    this.#to.byte(code.i64Const).byte(0).byte(code.i64LtS);
    this.#hints.unlikely(this.#to.length);
    this.#to.byte(code.brIf).byte(label);
  }

  /** Gives units back to the counter, which is kept in the local, and asks for more. */
  refuel(units: number): void {
    this.#ofLocal(code.localGet);
    this.#to.byte(code.i64Const).signed(units).byte(code.i64Add);
    this.#to.byte(code.call).unsigned(this.#indices.slowPath);
    this.#ofLocal(code.localSet);
  }

  /** Asks the host for more if the counter, which is on the stack, is negative. */
  #checkTop(): void {
    this.#to.byte(code.i64Const).byte(0).byte(code.i64LtS);
    this.#hints.unlikely(this.#to.length);
    this.#to.byte(code.if).byte(emptyBlockType);
    if (this.#cached) {
      this.#ofLocal(code.localGet);
      this.#to.byte(code.call).unsigned(this.#indices.slowPath);
      this.#ofLocal(code.localSet);
    } else this.#to.byte(code.call).unsigned(this.#indices.globalSlowPath);
    this.#to.byte(code.end);
  }

  #subtract(units: number): void {
    this.#to.byte(code.i64Const).signed(units).byte(code.i64Sub);
  }

  #ofLocal(opcode: number): void {
    this.#to.byte(opcode).unsigned(this.#local);
  }
}

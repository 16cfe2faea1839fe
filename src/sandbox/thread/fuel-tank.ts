/**
 * The host's side of metering: grants the running guest fuel, slice by slice, up
 * to its limit. Between slices it heeds the main thread's wish to stop the guest,
 * and lets a guest with a share of a processor wait. What fuel is and what things
 * cost stands in docs/fuel.md.
 */

import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import { isStackOverflow } from '../../capabilities/stack-overflow.ts';
import type { RunLimits } from '../../model/limits.ts';
import { fuelSliceUnits } from '../../wasm/metering/costs.ts';

/** What the tank needs of the memory shared with the main thread. */
export interface FuelControl {
  readonly meters: { fuel: number };
  readonly isStopRequested: boolean;
  waitForStop(ms: number): void;
}

/** The counter of a metered module: what is left of the fuel that was granted. */
export type FuelCounter = WebAssembly.Global<'i64'>;

/** Waits shorter than this are put off: waking takes about as long. */
const waitMsMin = 2;
/** The answer on which a guest traps. */
const refused = -1n;
/** Of a halted guest: nothing it may still do before its next check brings it near 0. */
const haltedCounter = -(1n << 62n);

export class FuelTank {
  readonly #control: FuelControl;
  readonly #clock: Clock;
  readonly #limit: bigint;
  readonly #cpuPercent: number;
  readonly #sliceUnits: bigint;
  readonly #onSlice: (() => void) | undefined;
  readonly #onFault: (error: unknown) => void;
  #startMs: number;
  #granted = 0n;
  #waitedMs = 0;
  #counter: FuelCounter | undefined;
  #verdict: 'FUEL' | 'STOPPED' | undefined;
  /** What had been used when the guest was refused more: its counter says nothing then. */
  #usedAtRefusal: bigint | undefined;
  /** What had been used when the guest was halted: its counter is out of the way since. */
  #usedAtHalt: bigint | undefined;

  constructor(options: {
    readonly control: FuelControl;
    readonly clock: Clock;
    readonly limits: Pick<RunLimits, 'fuel' | 'cpuPercent'>;
    /** Looks at the guest at each slice, which it may want to be smaller than usual: what is counted is the same. */
    readonly watch?: { readonly sliceUnits: number; readonly look: () => void } | undefined;
    /** Told of what failed in the host while it was asked for fuel. */
    readonly onFault: (error: unknown) => void;
  }) {
    this.#control = options.control;
    this.#clock = options.clock;
    this.#limit = BigInt(options.limits.fuel);
    this.#cpuPercent = options.limits.cpuPercent;
    this.#sliceUnits = BigInt(options.watch?.sliceUnits ?? fuelSliceUnits);
    this.#onSlice = options.watch?.look;
    this.#onFault = options.onFault;
    this.#startMs = options.clock.monotonic();
  }

  /**
   * The guest's counter, once there is an instance, and what the instance has used
   * on this run's account before. From now on the guest runs.
   */
  attach(counter: FuelCounter, usedBefore = 0): void {
    counter.value = 0n;
    this.#granted = BigInt(usedBefore);
    this.#counter = counter;
    this.#startMs = this.#clock.monotonic();
  }

  /** Has the guest trap at its next check. */
  halt(): void {
    if (this.#usedAtHalt !== undefined) return;
    this.#usedAtHalt = this.#granted - (this.#counter?.value ?? 0n);
    if (this.#counter) this.#counter.value = haltedCounter;
  }

  /** Lets a halted guest go on, as if it had not been. */
  resume(): void {
    if (this.#usedAtHalt === undefined || this.#counter === undefined) return;
    this.#counter.value = this.#granted - this.#usedAtHalt;
    this.#usedAtHalt = undefined;
    this.#usedAtRefusal = undefined;
  }

  /**
   * Notes that the guest was stopped, whatever it makes of a host call that did not
   * answer, and has it ask for fuel at its next check, although it may have some left.
   */
  stop(): void {
    this.#verdict ??= 'STOPPED';
    if (this.#counter === undefined || this.#usedAtHalt !== undefined || this.#counter.value < 0n) return;
    this.#granted -= this.#counter.value + 1n;
    this.#counter.value = -1n;
  }

  get isHalted(): boolean {
    return this.#usedAtHalt !== undefined;
  }

  /** Time that the guest waited in the host is not its use of the processor. */
  noteWait(ms: number): void {
    this.#waitedMs += ms;
  }

  /** Units that the run may still use. */
  get left(): number {
    return Math.max(0, Number(this.#limit) - this.used);
  }

  /**
   * Charges a host function's work, beyond what its call costs by itself: to the
   * guest's counter, so that the guest's next check heeds it.
   */
  charge(units: number): void {
    assert(this.#counter, 'Host functions are called by instances');
    if (this.#usedAtHalt === undefined) this.#counter.value -= BigInt(units);
  }

  /** Units used, as far as the guest has told: exact once it has returned. */
  get used(): number {
    const known = this.#usedAtRefusal ?? this.#usedAtHalt;
    if (known !== undefined) return Number(known);
    return Number(this.#granted - (this.#counter?.value ?? 0n));
  }

  /** Why the guest was refused more, or whether the last charges, which nothing checked, went over the limit. */
  get verdict(): 'FUEL' | 'STOPPED' | undefined {
    return this.#verdict ?? (this.used > Number(this.#limit) ? 'FUEL' : undefined);
  }

  /**
   * The import of metered modules: takes what is left, which may be less than 0,
   * and answers with the new counter, or with -1 to have the guest trap where it
   * cannot catch it. Throws nothing that a guest could catch.
   */
  readonly refuel = (left: bigint): bigint => {
    try {
      return this.#refuel(left);
    } catch (error) {
      // The guest had used up the stack. V8 lets no guest catch this.
      if (isStackOverflow(error)) throw error;
      this.#onFault(error);
      return refused;
    }
  };

  #refuel(left: bigint): bigint {
    if (this.#usedAtHalt !== undefined) return refused;
    const used = this.#granted - left;
    this.#control.meters.fuel = Number(used);
    this.#onSlice?.();
    this.#wait();
    if (this.#control.isStopRequested) return this.#refuse('STOPPED', used);
    const wanted = (left > 0n ? left : 0n) + this.#sliceUnits;
    const possible = this.#limit - used;
    const next = wanted < possible ? wanted : possible;
    if (next < 0n || next <= left) return this.#refuse('FUEL', used);
    this.#granted += next - left;
    return next;
  }

  #refuse(verdict: 'FUEL' | 'STOPPED', used: bigint): bigint {
    this.#verdict ??= verdict;
    this.#usedAtRefusal ??= used;
    return refused;
  }

  /** Holds the guest back to its share: of `cpuPercent` = 25, a run of 1 ms is followed by 3 ms of waiting. */
  #wait(): void {
    if (this.#cpuPercent >= 100) return;
    const ranMs = this.#clock.monotonic() - this.#startMs - this.#waitedMs;
    const owedMs = ranMs * (100 / this.#cpuPercent - 1) - this.#waitedMs;
    if (owedMs < waitMsMin) return;
    const begin = this.#clock.monotonic();
    this.#control.waitForStop(owedMs);
    this.#waitedMs += this.#clock.monotonic() - begin;
  }
}

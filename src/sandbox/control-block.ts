/**
 * The memory that a sandbox's thread and the main thread share: whether the guest
 * shall stop, whether a host call has its answer, whether a call waits for the
 * thread, how many events the main thread has taken, and the meters of the running
 * call, so that there is a receipt even when the thread is killed.
 */

import type { CallMeters } from '../capabilities/call-context.ts';
import { type CapabilityName, capabilityNames } from '../model/capability.ts';
import type { InstanceSource } from '../model/outcome.ts';

export interface RunMeters extends CallMeters {
  /** Units, as told at the last slice. */
  fuel: number;
  memoryPeakBytes: number;
}

const cancelWord = 0;
const takenWord = 1;
/** Whoever waits for an answer waits for this word to be other than 0. */
const answerWord = 2;
const pendingWord = 3;
/** Rung when a message has been posted to the thread. */
const bellWord = 4;
const words = 6;
const wordsBytes = words * Int32Array.BYTES_PER_ELEMENT;

const answered = 1;
const stopAsked = 2;

const meterNames = [
  'hostCalls',
  'progressEvents',
  'progressCoalesced',
  'logBytes',
  'logLinesDropped',
  'memoryPeakBytes',
  'fuel',
] as const satisfies readonly (keyof RunMeters)[];

/** What a thread says of a call that has ended. */
export interface CallReport {
  /** Index among instanceSources. */
  instanceSource: number;
  /** 0 or 1. */
  fuelIsLowerBound: number;
  outputBytes: number;
  instanceStartMs: number;
  guestStartMs: number;
  guestEndMs: number;
  /** Instances of the plugin that the thread keeps then. */
  prepared: number;
  kept: number;
  keptBytes: number;
}

const reportNames = [
  'instanceSource',
  'fuelIsLowerBound',
  'outputBytes',
  'instanceStartMs',
  'guestStartMs',
  'guestEndMs',
  'prepared',
  'kept',
  'keptBytes',
] as const satisfies readonly (keyof CallReport)[];

/** As CallReport numbers them. */
export const instanceSources: readonly InstanceSource[] = ['NONE', 'CREATED', 'PREPARED', 'REUSED'];

const cells = meterNames.length + capabilityNames.length + reportNames.length;

export class ControlBlock {
  readonly buffer: SharedArrayBuffer;
  /** Written by the thread while a call runs. */
  readonly meters: RunMeters;
  /** Written by the thread before it answers. */
  readonly report: CallReport;
  readonly #words: Int32Array;
  readonly #cells: Float64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(wordsBytes + cells * Float64Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, words);
    this.#cells = new Float64Array(buffer, wordsBytes);
    const meters = cellsNamed(this.#cells, meterNames);
    const calls = cellsNamed(this.#cells.subarray(meterNames.length), capabilityNames);
    this.report = cellsNamed(this.#cells.subarray(meterNames.length + capabilityNames.length), reportNames);
    this.meters = Object.defineProperty(meters, 'calls', { value: calls, enumerable: true }) as RunMeters;
  }

  /** Main side, before a call. */
  reset(): void {
    Atomics.store(this.#words, cancelWord, 0);
    Atomics.store(this.#words, answerWord, 0);
    Atomics.store(this.#words, pendingWord, 1);
    this.#cells.fill(0);
  }

  /** Thread side, before it answers the call. */
  callOver(): void {
    Atomics.store(this.#words, pendingWord, 0);
  }

  /** Thread side: whether a call is on its way or runs, for which whatever is done ahead should make room. */
  get isCallPending(): boolean {
    return Atomics.load(this.#words, pendingWord) !== 0;
  }

  /** Main side: a message has been posted to the thread. */
  ring(): void {
    Atomics.store(this.#words, bellWord, 1);
    Atomics.notify(this.#words, bellWord);
  }

  /** Thread side: waits until the bell is rung, if it has not been since the last time, but no longer than `ms`. Answers whether it was. */
  waitForBell(ms: number): boolean {
    const isRung = Atomics.wait(this.#words, bellWord, 0, ms) !== 'timed-out';
    Atomics.store(this.#words, bellWord, 0);
    return isRung;
  }

  /** Main side: an event has been taken. */
  countTaken(): void {
    Atomics.add(this.#words, takenWord, 1);
  }

  /** Thread side: how many of the events sent so far have not been taken. */
  untaken(sent: number): number {
    return (sent - Atomics.load(this.#words, takenWord)) | 0;
  }

  /** Main side: asks the guest to stop at its next slice, and wakes it if it waits. */
  requestStop(): void {
    Atomics.store(this.#words, cancelWord, 1);
    Atomics.notify(this.#words, cancelWord);
    Atomics.or(this.#words, answerWord, stopAsked);
    Atomics.notify(this.#words, answerWord);
  }

  /** Thread side. */
  get isStopRequested(): boolean {
    return Atomics.load(this.#words, cancelWord) !== 0;
  }

  /** Thread side: waits until the guest shall stop, but no longer than `ms`. */
  waitForStop(ms: number): void {
    Atomics.wait(this.#words, cancelWord, 0, ms);
  }

  /** Main side: the answer to a host call has been posted. */
  announceAnswer(): void {
    Atomics.or(this.#words, answerWord, answered);
    Atomics.notify(this.#words, answerWord);
  }

  /** Thread side, before a host call is posted. */
  expectAnswer(): void {
    Atomics.and(this.#words, answerWord, ~answered);
  }

  /** Thread side: waits until there is an answer, which it says, or the guest shall stop. */
  waitForAnswer(): boolean {
    Atomics.wait(this.#words, answerWord, 0);
    return (Atomics.load(this.#words, answerWord) & stopAsked) === 0;
  }
}

function cellsNamed<Name extends string>(cells: Float64Array, names: readonly Name[]): Record<Name, number> {
  const named = {};
  for (const [index, name] of names.entries()) {
    Object.defineProperty(named, name, {
      enumerable: true,
      get: () => cells[index],
      set: (value: number) => {
        cells[index] = value;
      },
    });
  }
  return named as Record<Name, number>;
}

/** What was called, by capability. */
export function callsMade(calls: Readonly<Record<CapabilityName, number>>): Partial<Record<CapabilityName, number>> {
  const made = capabilityNames.filter((name) => calls[name] > 0).map((name) => [name, calls[name]] as const);
  return Object.fromEntries(made);
}

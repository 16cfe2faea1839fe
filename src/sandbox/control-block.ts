/**
 * The memory that a sandbox's thread and the main thread share: whether the guest
 * shall stop, how many events the main thread has taken, and the meters of the
 * running call, so that there is a receipt even when the thread is killed.
 */

import type { CallMeters } from '../capabilities/call-context.ts';

export interface RunMeters extends CallMeters {
  /** Units, as told at the last slice. */
  fuel: number;
  memoryPeakBytes: number;
}

const cancelWord = 0;
const takenWord = 1;
const wordsBytes = 2 * Int32Array.BYTES_PER_ELEMENT;

const meterNames = [
  'hostCalls',
  'progressEvents',
  'progressCoalesced',
  'logBytes',
  'logLinesDropped',
  'memoryPeakBytes',
  'fuel',
] as const satisfies readonly (keyof RunMeters)[];

export class ControlBlock {
  readonly buffer: SharedArrayBuffer;
  /** Written by the thread while a call runs. */
  readonly meters: RunMeters;
  readonly #words: Int32Array;
  readonly #cells: Float64Array;

  constructor(
    buffer: SharedArrayBuffer = new SharedArrayBuffer(wordsBytes + meterNames.length * Float64Array.BYTES_PER_ELEMENT),
  ) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, 2);
    this.#cells = new Float64Array(buffer, wordsBytes);
    this.meters = metersOver(this.#cells);
  }

  /** Main side, before a call. */
  reset(): void {
    Atomics.store(this.#words, cancelWord, 0);
    this.#cells.fill(0);
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
  }

  /** Thread side. */
  get isStopRequested(): boolean {
    return Atomics.load(this.#words, cancelWord) !== 0;
  }

  /** Thread side: waits until the guest shall stop, but no longer than `ms`. */
  waitForStop(ms: number): void {
    Atomics.wait(this.#words, cancelWord, 0, ms);
  }
}

function metersOver(cells: Float64Array): RunMeters {
  const meters = {};
  for (const [index, name] of meterNames.entries()) {
    Object.defineProperty(meters, name, {
      enumerable: true,
      get: () => cells[index],
      set: (value: number) => {
        cells[index] = value;
      },
    });
  }
  return meters as RunMeters;
}

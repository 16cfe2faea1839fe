/**
 * Mutual exclusion: a gate lets a bounded number of holders in at once and a
 * bounded number wait, in order; keyed gates are one gate for each key in use.
 */

import { onAbort } from '../base/signals.ts';
import { ExecError } from '../model/exec-error.ts';
import { abortError } from './aborted.ts';

export interface GateOptions {
  /** Holders at once. */
  readonly holdersMax: number;
  readonly waitersMax: number;
  /** What one waits for, for the message of QUEUE_FULL. */
  readonly subject: string;
}

export class Gate {
  readonly #options: GateOptions;
  readonly #waiting = new Set<() => void>();
  #holders = 0;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Whether nobody holds the gate or waits for it. */
  get idle(): boolean {
    return this.#holders === 0 && this.#waiting.size === 0;
  }

  /** Runs `work` once there is room. Throws QUEUE_FULL if too many wait already, or what the signal says if it aborts while waiting. */
  async run<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    await this.#enter(signal);
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #enter(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw abortError(signal);
    if (this.#holders < this.#options.holdersMax) {
      this.#holders++;
      return;
    }
    const { waitersMax, subject } = this.#options;
    if (this.#waiting.size >= waitersMax) {
      throw new ExecError('QUEUE_FULL', `More than ${waitersMax} calls wait for ${subject}: try again later`);
    }
    await this.#wait(signal);
  }

  async #wait(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.add(resolve);
    using _listening = onAbort(signal, () => {
      if (this.#waiting.delete(resolve)) reject(abortError(signal));
    });
    await promise;
  }

  /** The place goes to the first waiter as it stands, so that nobody can slip in between. */
  #leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#holders--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

export class KeyedGates {
  readonly #waitersMax: number;
  /** One for each key that is held at the moment. */
  readonly #gates = new Map<string, Gate>();

  constructor(waitersMax: number) {
    this.#waitersMax = waitersMax;
  }

  /** Runs `work` while no other work for the same key runs. */
  async run<Result>(key: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    const gate = this.#gates.get(key) ?? new Gate({ holdersMax: 1, waitersMax: this.#waitersMax, subject: `"${key}"` });
    this.#gates.set(key, gate);
    try {
      return await gate.run(signal, work);
    } finally {
      if (gate.idle && this.#gates.get(key) === gate) this.#gates.delete(key);
    }
  }
}

/** A place for a bounded number at once, with a bounded line before it, first come, first served. */

import { assert } from '../../../base/assert.ts';
import { onAbort } from '../../../base/signals.ts';
import { HttpFailure } from './refusals.ts';

interface Waiting {
  readonly insideMax: number;
  enter(): void;
}

export class Gate {
  /** What passes, for messages: "connections". */
  readonly #what: string;
  readonly #waitingMax: number;
  readonly #waiting = new Set<Waiting>();
  #inside = 0;

  constructor(what: string, waitingMax: number) {
    this.#what = what;
    this.#waitingMax = waitingMax;
  }

  get isEmpty(): boolean {
    return this.#inside === 0 && this.#waiting.size === 0;
  }

  /**
   * Resolves once fewer than `insideMax` are inside; dispose to leave. Rejects with
   * the signal's reason, or with HttpFailure if the line is full.
   */
  async enter(insideMax: number, signal: AbortSignal): Promise<Disposable> {
    signal.throwIfAborted();
    if (this.#inside >= insideMax) await this.#join(insideMax, signal);
    else this.#inside++;
    return this.#pass();
  }

  async #join(insideMax: number, signal: AbortSignal): Promise<void> {
    if (insideMax < 1 || this.#waiting.size >= this.#waitingMax) {
      throw new HttpFailure(
        `There are too many ${this.#what} at once: ${insideMax} are allowed, and ${this.#waitingMax} may wait`,
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting: Waiting = { insideMax, enter: resolve };
    this.#waiting.add(waiting);
    using _listening = onAbort(signal, () => {
      if (this.#waiting.delete(waiting)) reject(signal.reason as Error);
    });
    await promise;
    // Aborted between its turn and now: it was let in, and leaves again.
    if (signal.aborted) this.#leave();
    signal.throwIfAborted();
  }

  #pass(): Disposable {
    let isInside = true;
    return {
      [Symbol.dispose]: () => {
        if (isInside) this.#leave();
        isInside = false;
      },
    };
  }

  #leave(): void {
    this.#inside--;
    assert(this.#inside >= 0, 'nobody leaves a gate twice');
    for (const waiting of this.#waiting) {
      if (this.#inside >= waiting.insideMax) continue;
      this.#waiting.delete(waiting);
      this.#inside++;
      waiting.enter();
    }
  }
}

/** How many requests a second: a bucket of tokens that is filled by the clock. Turns are given out in order. */

import type { Clock } from '../../../base/clock.ts';
import { HttpFailure } from './refusals.ts';

export class RequestRate {
  readonly #clock: Clock;
  /** Turns given out that the clock has not made good yet. */
  #taken = 0;
  #countedMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#countedMs = clock.monotonic();
  }

  /**
   * Resolves when it is one's turn. Rejects with the signal's reason, and at once
   * with HttpFailure if the turn would come after `waitMsMax`.
   */
  async turn(perSecond: number, waitMsMax: number, signal: AbortSignal): Promise<void> {
    const waitMs = this.#waitMs(perSecond);
    if (perSecond <= 0 || waitMs > waitMsMax) {
      throw new HttpFailure(`There are too many requests: ${perSecond} a second are allowed`);
    }
    this.#taken++;
    if (waitMs <= 0) return;
    try {
      await this.#clock.sleep(waitMs, signal);
    } catch (error) {
      this.#taken--;
      throw error;
    }
  }

  /** As many as come in a second may come at once. */
  #waitMs(perSecond: number): number {
    const nowMs = this.#clock.monotonic();
    this.#taken = Math.max(0, this.#taken - ((nowMs - this.#countedMs) * perSecond) / 1_000);
    this.#countedMs = nowMs;
    const burst = Math.max(1, perSecond);
    return ((this.#taken + 1 - burst) / perSecond) * 1_000;
  }
}

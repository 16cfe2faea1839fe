/** Times of calls, and what they amount to. */

import { sortedQuantile } from '../measure.ts';
import type { Quantiles } from './jobs.ts';

export class Latencies {
  readonly #us: number[] = [];

  add(beginMs: number): void {
    this.#us.push((performance.now() - beginMs) * 1_000);
  }

  get count(): number {
    return this.#us.length;
  }

  quantiles(): Quantiles {
    const sorted = Float64Array.from(this.#us).toSorted();
    const at = (part: number): number => (sorted.length === 0 ? 0 : sortedQuantile(sorted, part));
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
  }
}

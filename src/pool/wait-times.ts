/** How long the last calls waited. */

const remembered = 1_000;

export class WaitTimes {
  readonly #ms: number[] = [];
  #next = 0;

  add(ms: number): void {
    this.#ms[this.#next] = ms;
    this.#next = (this.#next + 1) % remembered;
  }

  /** The time that a share of them, 0 to 1, did not exceed; 0 if there are none. */
  quantile(share: number): number {
    const sorted = this.#ms.toSorted((one, other) => one - other);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  }
}

/** An amount of something of which a call may hold so much at once. */

export class Quota {
  readonly max: number;
  #used = 0;

  constructor(max: number) {
    this.max = max;
  }

  get used(): number {
    return this.#used;
  }

  /** Whether there was enough left. */
  take(amount: number): boolean {
    if (this.#used + amount > this.max) return false;
    this.#used += amount;
    return true;
  }

  give(amount: number): void {
    this.#used -= amount;
  }
}

/** Keys by the time when they expire, the soonest first: a binary heap. Whether a key still is what it was when it came in is the owner's business. */

export interface Expiry {
  readonly key: string;
  readonly expiresMs: number;
}

export class ExpiryQueue {
  #heap: Expiry[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The soonest; undefined if there is none. */
  get next(): Expiry | undefined {
    return this.#heap[0];
  }

  add(expiry: Expiry): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || parent.expiresMs <= expiry.expiresMs) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = expiry;
  }

  removeNext(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      const below = sooner(heap, 2 * at + 1);
      const child = heap[below];
      if (child === undefined || child.expiresMs >= last.expiresMs) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
  }

  /** Holds these instead of what it held. */
  replace(expiries: readonly Expiry[]): void {
    this.#heap = expiries.toSorted((one, other) => one.expiresMs - other.expiresMs);
  }
}

/** Of two neighbours, the index of the one that expires sooner. */
function sooner(heap: readonly Expiry[], first: number): number {
  const [one, other] = [heap[first], heap[first + 1]];
  return one !== undefined && other !== undefined && other.expiresMs < one.expiresMs ? first + 1 : first;
}

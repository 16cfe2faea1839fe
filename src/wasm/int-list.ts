/** A list of 32-bit integers that grows: what is gathered by the million costs four bytes each and no object. */

const startLength = 256;

export class IntList {
  items = new Int32Array(startLength);
  length = 0;

  push(value: number): void {
    if (this.length === this.items.length) this.#grow(1);
    this.items[this.length++] = value;
  }

  /** Appends four values that belong together. */
  push4(first: number, second: number, third: number, fourth: number): void {
    if (this.length + 4 > this.items.length) this.#grow(4);
    const { items } = this;
    const at = this.length;
    items[at] = first;
    items[at + 1] = second;
    items[at + 2] = third;
    items[at + 3] = fourth;
    this.length = at + 4;
  }

  at(index: number): number {
    return this.items[index] as number;
  }

  set(index: number, value: number): void {
    this.items[index] = value;
  }

  /** A view of the items there are, valid until more are added. */
  get used(): Int32Array {
    return this.items.subarray(0, this.length);
  }

  #grow(count: number): void {
    const grown = new Int32Array(Math.max(this.length + count, this.items.length * 2));
    grown.set(this.items);
    this.items = grown;
  }
}

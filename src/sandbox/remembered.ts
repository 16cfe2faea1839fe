/**
 * Objects that go to a thread again and again, by number once they have been sent:
 * cloning a grant takes longer than all the rest of a small call. They must never
 * change, and are told apart by identity.
 */

/** Objects that a thread remembers; when there are so many, both sides forget all. */
export const rememberedMax = 256;

/** An object by its number, with the object itself only the first time. */
export interface Reference<T extends object> {
  readonly number: number;
  readonly value?: T;
}

/** The side that sends. */
export class Sent {
  readonly #numbers = new Map<object, number>();
  #next = 0;

  refer<T extends object>(value: T): Reference<T> {
    const number = this.#numbers.get(value);
    if (number !== undefined) return { number };
    if (this.#numbers.size >= rememberedMax) {
      this.#numbers.clear();
      this.#next = 0;
    }
    this.#numbers.set(value, this.#next);
    return { number: this.#next++, value };
  }
}

/** The side that receives: what comes under a number anew takes the place of what had it. */
export class Received {
  readonly #values: object[] = [];

  resolve<T extends object>({ number, value }: Reference<T>): T {
    if (value !== undefined) this.#values[number] = value;
    return this.#values[number] as T;
  }
}

/** Those who wait for something, first come, first served. Its length is bounded by whoever lets them join. */

import { onAbort } from '../base/signals.ts';
import type { ExecError } from '../model/exec-error.ts';
import { abortRefusal } from '../sandbox/refusal.ts';

interface Waiting<T> {
  resolve(value: T): void;
  reject(error: ExecError): void;
}

export class WaitingLine<T> {
  /** What is waited for, for messages. */
  readonly #what: string;
  readonly #waiting = new Set<Waiting<T>>();

  constructor(what: string) {
    this.#what = what;
  }

  get length(): number {
    return this.#waiting.size;
  }

  /** Resolves when it is one's turn; rejects when the signal aborts first. */
  async join(signal: AbortSignal): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const waiting: Waiting<T> = { resolve, reject };
    this.#waiting.add(waiting);
    using _listening = onAbort(signal, () => {
      this.#waiting.delete(waiting);
      reject(abortRefusal(signal, this.#what));
    });
    return await promise;
  }

  /** Whether anybody was there to take it. */
  serve(value: T): boolean {
    const [first] = this.#waiting;
    if (first === undefined) return false;
    this.#waiting.delete(first);
    first.resolve(value);
    return true;
  }

  refuseAll(error: ExecError): void {
    const all = [...this.#waiting];
    this.#waiting.clear();
    for (const waiting of all) waiting.reject(error);
  }
}

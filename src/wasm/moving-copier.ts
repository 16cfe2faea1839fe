/** Copies bytes and puts the new indices of functions in the places of the old ones. */

import type { FunctionReference } from './types.ts';
import type { ByteWriter } from './writer.ts';

export class MovingCopier {
  readonly #bytes: Uint8Array;
  readonly #to: ByteWriter;
  readonly #moved: (index: number) => number;
  #copied: number;

  /** `moved` gives the new index of a function. */
  constructor(bytes: Uint8Array, start: number, to: ByteWriter, moved: (index: number) => number) {
    this.#bytes = bytes;
    this.#copied = start;
    this.#to = to;
    this.#moved = moved;
  }

  /** Copies up to the reference and writes it anew; references come in ascending order. */
  move({ index, start, end }: FunctionReference): void {
    this.copyTo(start);
    this.#to.unsigned(this.#moved(index));
    this.#copied = end;
  }

  copyTo(end: number): void {
    this.#to.copy(this.#bytes, this.#copied, end);
    this.#copied = end;
  }
}

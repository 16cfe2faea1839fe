/**
 * The custom section that tells V8 which branches are seldom taken. Node 24 heeds
 * it with --experimental-wasm-branch-hinting, later versions always.
 */

import { ByteWriter } from '../writer.ts';

export const branchHintSection = 'metadata.code.branch_hint';

const hintBytes = 1;
const unlikely = 0;

export class BranchHints {
  readonly #functions = new ByteWriter();
  #functionCount = 0;
  readonly #body = new ByteWriter();
  #bodyCount = 0;

  /** The `if` or `br_if` so many bytes behind the start of the body is seldom taken. */
  unlikely(offset: number): void {
    this.#body.unsigned(offset).byte(hintBytes).byte(unlikely);
    this.#bodyCount++;
  }

  /** All hints since the last such call belong to the function; functions come in ascending order. */
  endBody(functionIndex: number): void {
    if (this.#bodyCount === 0) return;
    this.#functions.unsigned(functionIndex).unsigned(this.#bodyCount).bytes(this.#body.finish());
    this.#functionCount++;
    this.#body.clear();
    this.#bodyCount = 0;
  }

  write(to: ByteWriter): void {
    to.unsigned(this.#functionCount).bytes(this.#functions.finish());
  }
}

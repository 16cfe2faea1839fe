/**
 * Writes one function body after the other: copies the original, puts something
 * else in places, and keeps account of both for the offset map. Where a function
 * got another parameter, it moves the locals behind it. It knows nothing of fuel.
 */

import { ByteReader } from '../reader.ts';
import { ByteWriter } from '../writer.ts';
import type { OffsetMapWriter } from './offset-map.ts';
import type { CodePlan } from './plan.ts';

export class BodyWriter {
  /** What has been written of the body so far. */
  readonly out = new ByteWriter();
  readonly #bytes: Uint8Array;
  readonly #plan: CodePlan;
  readonly #offsets: OffsetMapWriter;
  /** Reads integers of the original once more. */
  readonly reader: ByteReader;
  /** How far the original has been copied. */
  #copied = 0;
  /** The next use of a local that moves, and behind the last. */
  #use = 0;
  #usesEnd = 0;

  constructor(bytes: Uint8Array, plan: CodePlan, offsets: OffsetMapWriter) {
    this.#bytes = bytes;
    this.#plan = plan;
    this.#offsets = offsets;
    this.reader = new ByteReader(bytes, { start: 0, end: bytes.length }, 'function body');
  }

  /** Begins a body. With `movesLocals`, each local that it declares gets the next index. */
  start(ordinal: number, movesLocals: boolean): void {
    this.out.clear();
    this.#copied = this.#plan.bodyStarts.at(ordinal);
    this.#offsets.startBody(this.#copied);
    this.#use = this.#plan.firstLocalUses.at(ordinal);
    this.#usesEnd = movesLocals ? this.#plan.localUsesEnd(ordinal) : this.#use;
  }

  get copied(): number {
    return this.#copied;
  }

  /** Copies the original up to a position and returns how much has been written. */
  copyTo(position: number): number {
    const { localUses } = this.#plan;
    for (; this.#use < this.#usesEnd && localUses.at(this.#use) < position; this.#use++) {
      this.#moveLocal(localUses.at(this.#use) + 1);
    }
    return this.#copyPlainly(position);
  }

  /** What has been written since `from` takes the place of the original between two positions. */
  replaced(from: number, start: number, end: number): void {
    this.#offsets.change(start, end, this.out.length - from);
    this.#copied = end;
  }

  /** Puts something between two instructions of the original. */
  insert(position: number, write: () => void): void {
    const from = this.copyTo(position);
    write();
    this.replaced(from, position, position);
  }

  /** Writes an instruction of one byte and one index with another index. */
  index(position: number, index: number): void {
    this.copyTo(position + 1);
    const from = this.out.length;
    this.reader.offset = position + 1;
    this.reader.u32();
    this.out.unsigned(index);
    this.replaced(from, position + 1, this.reader.offset);
  }

  /** Adds a group of one local behind the groups of locals, which end at `position`, so that no index moves. */
  declareLocal(position: number, type: number): void {
    const start = this.#copied;
    this.reader.offset = start;
    this.out.unsigned(this.reader.u32() + 1);
    this.replaced(0, start, this.reader.offset);
    this.insert(position, () => this.out.byte(1).byte(type));
  }

  #moveLocal(position: number): void {
    const from = this.#copyPlainly(position);
    this.reader.offset = position;
    this.out.unsigned(this.reader.u32() + 1);
    this.replaced(from, position, this.reader.offset);
  }

  #copyPlainly(position: number): number {
    this.out.copy(this.#bytes, this.#copied, position);
    this.#copied = position;
    return this.out.length;
  }
}

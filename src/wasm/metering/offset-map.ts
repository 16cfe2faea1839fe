/**
 * From positions in a rewritten module back to those in the original, for traps
 * and profiles. Kept as differences, about three bytes for each change, and plain
 * data, fit to be posted between threads.
 */

import { ByteWriter } from '../writer.ts';

export interface OffsetMap {
  /** Functions that the original imports and defines. */
  readonly importedFunctions: number;
  readonly definedFunctions: number;
  /** Where each body begins, behind its size: in the rewritten module and in the original. */
  readonly newStarts: Uint32Array;
  readonly originalStarts: Uint32Array;
  /** Where the last body ends in the rewritten module. */
  readonly newEnd: number;
  /** By body, where its changes begin in `changes`. */
  readonly firstChanges: Uint32Array;
  /** For each change, as unsigned LEB128: bytes kept since the last, bytes that were there, bytes that are there now. */
  readonly changes: Uint8Array;
}

/** Gathers the changes of one body after the other. */
export class OffsetMapWriter {
  readonly #changes = new ByteWriter();
  readonly #newStarts: number[] = [];
  readonly #originalStarts: number[] = [];
  readonly #firstChanges: number[] = [];
  /** Where the last change ends in the original. */
  #position = 0;

  startBody(originalStart: number): void {
    this.#originalStarts.push(originalStart);
    this.#firstChanges.push(this.#changes.length);
    this.#position = originalStart;
  }

  /** The bytes between two positions of the original have become so many. */
  change(start: number, end: number, newLength: number): void {
    if (end - start === newLength) return;
    this.#changes
      .unsigned(start - this.#position)
      .unsigned(end - start)
      .unsigned(newLength);
    this.#position = end;
  }

  /** Says where the body has come to lie within the bytes of all bodies. */
  endBody(newStart: number): void {
    this.#newStarts.push(newStart);
  }

  /** `codeStart` is where the bytes of all bodies begin in the rewritten module, `codeEnd` where they end. */
  finish(importedFunctions: number, codeStart: number, codeEnd: number): OffsetMap {
    return {
      importedFunctions,
      definedFunctions: this.#newStarts.length,
      newStarts: Uint32Array.from(this.#newStarts, (start) => codeStart + start),
      originalStarts: Uint32Array.from(this.#originalStarts),
      newEnd: codeEnd,
      firstChanges: Uint32Array.from(this.#firstChanges),
      changes: this.#changes.finish().slice(),
    };
  }
}

/**
 * The position in the original of a byte of a rewritten function body. Of a byte
 * that was put in, it is that of the instruction behind it. Undefined if the byte
 * lies in no body of the original.
 */
export function originalOffset(map: OffsetMap, offset: number): number | undefined {
  const body = bodyAt(map.newStarts, offset);
  if (body === -1 || offset >= map.newEnd) return undefined;
  let from = map.newStarts[body] as number;
  let original = map.originalStarts[body] as number;
  const end = map.firstChanges[body + 1] ?? map.changes.length;
  let at = map.firstChanges[body] as number;
  const next = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 0x80) {
      const byte = map.changes[at++] as number;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
  };
  // oxlint-disable-next-line no-unmodified-loop-condition -- next() moves it
  while (at < end) {
    const kept = next();
    const removed = next();
    const put = next();
    if (offset < from + kept) break;
    from += kept;
    original += kept;
    if (offset < from + put) return original;
    from += put;
    original += removed;
  }
  return original + offset - from;
}

/** The index in the original of a function of the rewritten module; undefined if metering added it. */
export function originalFunctionIndex(map: OffsetMap, index: number): number | undefined {
  if (index < map.importedFunctions) return index;
  const original = index - 1;
  return index === map.importedFunctions || original >= map.importedFunctions + map.definedFunctions
    ? undefined
    : original;
}

/** The last body that begins at or before the offset. */
function bodyAt(starts: Uint32Array, offset: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((starts[middle] as number) <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/**
 * Function names out of the name section, kept as bytes so that a module with
 * many names costs little until one is asked for. A damaged name section is not
 * an error: what it says up to the damage is kept.
 */

import { WasmError } from './problem.ts';
import { ByteReader, lossyText } from './reader.ts';

/** Plain data, fit to be posted between threads. */
export interface FunctionNames {
  /** Function indices that have a name, ascending. */
  readonly indices: Uint32Array;
  /** Where the name of indices[i] begins in `text`; it ends at ends[i]. */
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
  readonly text: Uint8Array;
}

/** Names beyond these bounds are not kept. */
export const functionNamesMax = 200_000;
export const functionNamesBytesMax = 8 * 1024 * 1024;
/** A name is cut to this length when it is looked up. */
export const functionNameBytesMax = 256;

export const noFunctionNames: FunctionNames = {
  indices: new Uint32Array(),
  starts: new Uint32Array(),
  ends: new Uint32Array(),
  text: new Uint8Array(),
};

const functionNamesId = 1;

/** The function names in the content of a name section. */
export function readFunctionNames(section: ByteReader): FunctionNames {
  try {
    const subsection = findFunctionNames(section);
    return subsection === undefined ? noFunctionNames : readNameMap(subsection);
  } catch (error) {
    if (error instanceof WasmError) return noFunctionNames;
    throw error;
  }
}

function findFunctionNames(section: ByteReader): ByteReader | undefined {
  while (section.left > 0) {
    const id = section.u8();
    const end = section.u32() + section.offset;
    if (id === functionNamesId) {
      const range = { start: section.offset, end: Math.min(end, section.end) };
      return new ByteReader(section.bytes, range, 'function names');
    }
    section.skip(end - section.offset);
  }
  return undefined;
}

function readNameMap(reader: ByteReader): FunctionNames {
  const count = Math.min(reader.count('names'), functionNamesMax);
  const base = reader.offset;
  const indices = new Uint32Array(count);
  const starts = new Uint32Array(count);
  const ends = new Uint32Array(count);
  let kept = 0;
  while (kept < count && readName(reader, base, { indices, starts, ends }, kept)) kept++;
  const text = reader.bytes.slice(base, base + (ends[kept - 1] ?? 0));
  return { indices: indices.slice(0, kept), starts: starts.slice(0, kept), ends: ends.slice(0, kept), text };
}

type NamePlaces = Pick<FunctionNames, 'indices' | 'starts' | 'ends'>;

/** Reads one name; false if names end here, by damage or by a bound. */
function readName(reader: ByteReader, base: number, places: NamePlaces, place: number): boolean {
  if (reader.left < 2) return false;
  const index = reader.u32();
  const length = reader.u32();
  const start = reader.offset - base;
  const ascending = place === 0 || index > (places.indices[place - 1] as number);
  if (!ascending || length > reader.left || start + length > functionNamesBytesMax) return false;
  reader.skip(length);
  places.indices[place] = index;
  places.starts[place] = start;
  places.ends[place] = start + length;
  return true;
}

/** The name of a function, made well-formed and cut to functionNameBytesMax; undefined if it has none. */
export function functionNameOf(names: FunctionNames, index: number): string | undefined {
  const place = findIndex(names.indices, index);
  if (place === -1) return undefined;
  const start = names.starts[place] as number;
  const end = Math.min(names.ends[place] as number, start + functionNameBytesMax);
  return lossyText(names.text.subarray(start, end));
}

function findIndex(ascending: Uint32Array, wanted: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const found = ascending[middle] as number;
    if (found === wanted) return middle;
    if (found < wanted) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

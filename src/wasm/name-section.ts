/**
 * Rewrites the name section of a module whose functions have moved. A part that
 * is damaged, or that describes what no longer is as it was, is left out.
 */

import { WasmError } from './problem.ts';
import { ByteReader } from './reader.ts';
import { ByteWriter } from './writer.ts';

const subsections = { functions: 1, locals: 2, labels: 3 } as const;

export interface FunctionMoves {
  /** The new index of a function of the original, ascending as the old ones are; undefined if it is no longer there. */
  moved(index: number): number | undefined;
  /** The new index of a local of a function of the original; without it none moves. */
  movedLocal?(index: number, local: number): number;
  /** Names of functions that the original does not have, by new index, ascending. */
  readonly added: readonly { readonly index: number; readonly name: string }[];
}

/** Writes the content of a name section anew. */
export function rewriteNames(section: ByteReader, moves: FunctionMoves, to: ByteWriter): void {
  let last = -1;
  while (section.left > 0) {
    const subsection = readSubsection(section);
    // V8 stops at a subsection that is out of order.
    if (subsection === undefined || subsection.id <= last) return;
    last = subsection.id;
    const content = rewriteSubsection(subsection.id, subsection.content, moves);
    if (content !== undefined) to.byte(subsection.id).sized(content);
  }
}

function readSubsection(section: ByteReader): { readonly id: number; readonly content: ByteReader } | undefined {
  return unlessDamaged(() => {
    const id = section.u8();
    const size = section.u32();
    const start = section.offset;
    section.skip(size);
    return { id, content: new ByteReader(section.bytes, { start, end: section.offset }, 'names') };
  });
}

function rewriteSubsection(id: number, content: ByteReader, moves: FunctionMoves): Uint8Array | undefined {
  switch (id) {
    case subsections.functions:
      return unlessDamaged(() => rewriteFunctionNames(content, moves));
    case subsections.locals:
      return unlessDamaged(() => rewriteLocalNames(content, moves));
    case subsections.labels:
      return undefined;
    default:
      return content.bytes.subarray(content.offset, content.end);
  }
}

function rewriteFunctionNames(content: ByteReader, { moved, added }: FunctionMoves): Uint8Array {
  const writer = new ByteWriter();
  const count = content.count('names');
  let place = 0;
  const addUpTo = (index: number): void => {
    for (let next = added[place]; next !== undefined && next.index < index; next = added[++place]) {
      writer.unsigned(next.index).name(next.name);
    }
  };
  let kept = 0;
  for (let left = count; left > 0; left--) {
    const index = moved(content.u32());
    const name = readName(content);
    if (index === undefined) continue;
    addUpTo(index);
    writer.unsigned(index).sized(name);
    kept++;
  }
  addUpTo(Number.POSITIVE_INFINITY);
  return counted(kept + added.length, writer);
}

/** A vector of entries that have been written already. */
function counted(count: number, entries: ByteWriter): Uint8Array {
  return new ByteWriter().unsigned(count).bytes(entries.finish()).finish();
}

function rewriteLocalNames(content: ByteReader, { moved, movedLocal }: FunctionMoves): Uint8Array {
  const writer = new ByteWriter();
  let kept = 0;
  for (let left = content.count('functions'); left > 0; left--) {
    const original = content.u32();
    const index = moved(original);
    const names = new ByteWriter();
    const count = content.count('names');
    for (let rest = count; rest > 0; rest--) {
      const local = content.u32();
      names.unsigned(movedLocal?.(original, local) ?? local).sized(readName(content));
    }
    if (index === undefined) continue;
    writer.unsigned(index).unsigned(count).bytes(names.finish());
    kept++;
  }
  return counted(kept, writer);
}

/** The bytes of a name, which need not be UTF-8. */
function readName(content: ByteReader): Uint8Array {
  const length = content.u32();
  const start = content.offset;
  content.skip(length);
  return content.bytes.subarray(start, content.offset);
}

function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof WasmError) return undefined;
    throw error;
  }
}

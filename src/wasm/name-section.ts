/**
 * Rewrites the name section of a module whose functions have moved. A part that
 * is damaged, or that describes what no longer is as it was, is left out.
 */

import { WasmError } from './problem.ts';
import { ByteReader } from './reader.ts';
import { ByteWriter } from './writer.ts';

const subsections = { functions: 1, locals: 2, labels: 3 } as const;

export interface FunctionMoves {
  /** The new index of a function of the original. */
  moved(index: number): number;
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
  writer.unsigned(count + added.length);
  for (let left = count; left > 0; left--) {
    const index = moved(content.u32());
    addUpTo(index);
    writer.unsigned(index);
    copyName(content, writer);
  }
  addUpTo(Number.POSITIVE_INFINITY);
  return writer.finish();
}

function rewriteLocalNames(content: ByteReader, { moved }: FunctionMoves): Uint8Array {
  const writer = new ByteWriter();
  const count = content.count('functions');
  writer.unsigned(count);
  for (let left = count; left > 0; left--) {
    writer.unsigned(moved(content.u32()));
    const locals = content.count('names');
    writer.unsigned(locals);
    for (let rest = locals; rest > 0; rest--) {
      writer.unsigned(content.u32());
      copyName(content, writer);
    }
  }
  return writer.finish();
}

/** Copies a name with its length. It need not be UTF-8. */
function copyName(content: ByteReader, writer: ByteWriter): void {
  const length = content.u32();
  const start = content.offset;
  content.skip(length);
  writer.unsigned(length).copy(content.bytes, start, content.offset);
}

function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof WasmError) return undefined;
    throw error;
  }
}

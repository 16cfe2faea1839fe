/** Modules for tests, written byte by byte where no text format reaches. */

import { moduleHeader, type SectionName, sectionIds } from '../../../src/wasm/layout.ts';
import { WasmError, type WasmProblem } from '../../../src/wasm/problem.ts';
import { ByteWriter } from '../../../src/wasm/writer.ts';

/** A part of a module: numbers are bytes, text becomes a name, arrays are flattened. */
export type Part = number | string | Uint8Array | readonly Part[];

export function bytesOf(...parts: readonly Part[]): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter();
  for (const part of parts) write(writer, part);
  return writer.finish().slice();
}

function write(writer: ByteWriter, part: Part): void {
  if (typeof part === 'number') writer.u8(part);
  else if (typeof part === 'string') writer.name(part);
  else if (part instanceof Uint8Array) writer.bytes(part);
  else for (const inner of part) write(writer, inner);
}

/** A section with its id and size. */
export function section(name: SectionName, ...content: readonly Part[]): Uint8Array {
  return new ByteWriter().section(sectionIds[name], (writer) => write(writer, content)).finish();
}

export function moduleOf(...sections: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return bytesOf(moduleHeader, ...sections);
}

/** A function body without locals around the instructions; `end` is added. */
export function body(...instructions: readonly Part[]): Uint8Array {
  return new ByteWriter().sized(bytesOf(0, instructions, 0x0b)).finish();
}

/** A module with one function of type () -> () that holds the instructions. */
export function moduleWithBody(...instructions: readonly Part[]): Uint8Array<ArrayBuffer> {
  return moduleOf(
    section('type', 1, [0x60, 0, 0]),
    section('function', 1, 0),
    section('code', 1, body(...instructions)),
  );
}

/** The problem that the function throws; fails if it throws none or something else. */
export function problemOf(run: () => unknown): WasmProblem {
  try {
    run();
  } catch (error) {
    if (error instanceof WasmError) return error.problem;
    throw error;
  }
  throw new Error('Expected a WasmError, but nothing was thrown');
}

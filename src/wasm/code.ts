/** Function bodies: where they lie in the code section, their locals, and what their instructions use. */

import { InstructionReader, walkBody } from './instructions.ts';
import { ByteReader } from './reader.ts';
import { type DecodeContext, readValueType } from './types.ts';

/** More locals than this are refused by V8, too. */
export const localsMax = 50_000;

export interface CodeSummary {
  readonly bodies: number;
  /** The most locals that a body declares, parameters not counted. */
  readonly localsMax: number;
  readonly bodyBytesMax: number;
  readonly branchTargetsMax: number;
}

/** A function body: its locals are declared between start and codeStart, its instructions follow up to end. */
export interface FunctionBody {
  readonly start: number;
  readonly codeStart: number;
  readonly end: number;
  readonly locals: number;
}

/**
 * Passes over the body at the section's offset and returns where it lies; its
 * instructions are not read. For them, open an InstructionReader on its range.
 */
export function readBody(section: ByteReader, context: DecodeContext): FunctionBody {
  const size = section.count('bytes of a function body');
  const start = section.offset;
  const end = start + size;
  const body = new ByteReader(section.bytes, { start, end }, 'function body');
  const locals = skipLocals(body, context);
  section.offset = end;
  return { start, codeStart: body.offset, end, locals };
}

function skipLocals(body: ByteReader, context: DecodeContext): number {
  let locals = 0;
  for (let left = body.count('groups of locals'); left > 0; left--) {
    const start = body.offset;
    locals += body.u32();
    if (locals > localsMax) {
      body.fail(`A function declares more than ${localsMax} locals`, start, 'WASM_OVER_LIMIT');
    }
    readValueType(body, context);
  }
  return locals;
}

/** Walks over all function bodies of a code section and notes their features. */
export function scanCode(section: ByteReader, context: DecodeContext, functions: number): CodeSummary {
  const start = section.offset;
  const bodies = section.count('function bodies');
  if (bodies !== functions) section.fail(`The module has ${functions} functions but ${bodies} bodies`, start);
  const range = new ByteReader(section.bytes, { start, end: start }, 'function body');
  const instructions = new InstructionReader(range, context);
  const summary = { bodies, localsMax: 0, bodyBytesMax: 0, branchTargetsMax: 0 };
  for (let left = bodies; left > 0; left--) {
    const body = readBody(section, context);
    range.offset = body.codeStart;
    range.end = body.end;
    walkBody(instructions);
    summary.localsMax = Math.max(summary.localsMax, body.locals);
    summary.bodyBytesMax = Math.max(summary.bodyBytesMax, body.end - body.start);
  }
  section.expectEnd();
  instructions.noteFeatures();
  return { ...summary, branchTargetsMax: instructions.branchTargetsMax };
}

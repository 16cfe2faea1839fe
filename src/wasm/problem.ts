/**
 * What can be wrong with a module. Problems are values, so that a scan can
 * report many at once; a decoder that cannot go on throws one as a WasmError.
 */

import { boundedText, singleLine } from '../base/text.ts';
import type { Reason } from '../model/reasons.ts';

export interface WasmProblem {
  readonly reason: Reason;
  /** Where: "module+0x1f" for a byte, else a thing by its name, such as "import env.abort" or "memory 0". */
  readonly location: string;
  readonly message: string;
}

/** Thrown where decoding or rewriting cannot go on. */
export class WasmError extends Error {
  readonly problem: WasmProblem;

  constructor(problem: WasmProblem) {
    super(`${problem.message} (at ${problem.location})`);
    this.name = 'WasmError';
    this.problem = problem;
  }
}

/** Location of a byte of the module. */
export function byteLocation(offset: number): string {
  return `module+0x${offset.toString(16)}`;
}

const nameBytesMax = 128;

/** A name out of a module, made fit for a message: one line, bounded, well-formed. */
export function shownName(name: string): string {
  return singleLine(boundedText(name, nameBytesMax));
}

/**
 * The guest's frames of a stack trace. V8 hands them over one by one, so that no
 * function's name, which the guest chose, can pass for a frame. Positions are
 * given as they are in the module as published; functions that metering added and
 * those of the kernel are left out.
 */

import { boundedText, singleLine } from '../../base/text.ts';
import { fixedLimits } from '../../model/limits.ts';
import type { GuestFrame } from '../../model/outcome.ts';
import { type CodeOrigin, publishedFunctionIndex, publishedOffset } from '../../wasm/merge/code-origin.ts';

const functionNameBytesMax = 256;
const wasmUrl = 'wasm://wasm/';
const functionIndexForm = /:wasm-function\[(\d+)\]:0x[0-9a-f]+\)?$/;

/** Lets errors of this thread carry enough frames. The host's own stand on the same stack. */
export function keepStackFrames(): void {
  Error.stackTraceLimit = fixedLimits.guestStackFrames + 16;
}

/** Frames of the guest, innermost first, of an error whose stack nobody has read yet. */
export function guestStackOf(error: Error, offsets: CodeOrigin): readonly GuestFrame[] {
  const prepare = Error.prepareStackTrace;
  let frames: readonly GuestFrame[] = [];
  Error.prepareStackTrace = (_error, sites) => {
    const written = sites.filter(isWasmSite).map((site) => frameOf(site, offsets));
    frames = written.filter((frame) => frame !== undefined).slice(0, fixedLimits.guestStackFrames);
    return '';
  };
  try {
    void error.stack;
  } finally {
    Error.prepareStackTrace = prepare;
  }
  return frames;
}

function isWasmSite(site: NodeJS.CallSite): boolean {
  return site.getScriptNameOrSourceURL()?.startsWith(wasmUrl) === true;
}

/** V8 writes a frame out as in a trace; only there does it give the function's index. */
type WrittenSite = NodeJS.CallSite & { toString(): string };

/** Undefined for a function that the published module does not have. */
function frameOf(site: NodeJS.CallSite, offsets: CodeOrigin): GuestFrame | undefined {
  const index = functionIndexForm.exec((site as WrittenSite).toString())?.[1];
  const functionIndex = publishedFunctionIndex(offsets, Number(index ?? 0));
  if (functionIndex === undefined) return undefined;
  return {
    function: boundedText(singleLine(site.getFunctionName() ?? ''), functionNameBytesMax),
    functionIndex,
    offset: publishedOffset(offsets, site.getPosition()) ?? 0,
  };
}

/** How large a module may become by being rewritten. */

import type { WasmProblem } from './problem.ts';

/** A multiple of the module's bytes, and bytes beyond that. Most modules become 1.2 to 1.4 times as large. */
export const rewrittenSize = { factor: 1.4, bytesBeyond: 1_048_576 } as const;

/** What stands against a module of so many bytes becoming so many. */
export function rewrittenSizeProblem(moduleBytes: number, rewrittenBytes: number): WasmProblem | undefined {
  const { factor, bytesBeyond } = rewrittenSize;
  const bytesMax = Math.floor(moduleBytes * factor) + bytesBeyond;
  if (rewrittenBytes <= bytesMax) return undefined;
  return {
    reason: 'WASM_OVER_LIMIT',
    location: 'module',
    message:
      `With fuel counted the module has ${rewrittenBytes} bytes; at most ${bytesMax} are allowed, ` +
      `${factor} times its ${moduleBytes} bytes and ${bytesBeyond} more: split the module or build it for size`,
  };
}

/** Modules of tests, metered and merged as those of real guests are, with a host that never says no. */

import { inspectModule } from '../../src/wasm/inspect.ts';
import type { CodeOrigin } from '../../src/wasm/merge/code-origin.ts';
import { mergeModules } from '../../src/wasm/merge/merge.ts';
import { meterModule, refuelName } from '../../src/wasm/metering/reserved.ts';
import { rewriteModule } from '../../src/wasm/rewrite.ts';
import { memoryModule, withMemories } from './memories.ts';

export interface MeteredGuest {
  readonly exports: WebAssembly.Exports;
  readonly offsets: CodeOrigin;
}

const memoryBytesMax = 64 * 1_048_576;
const plenty = 1n << 40n;

const emptyModule = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** The guest's imports of "kernel" are those that `kernel` exports; all else it finds in `imports`. */
export function meteredGuest(
  bytes: Uint8Array<ArrayBuffer>,
  imports: WebAssembly.Imports = {},
  kernel: Uint8Array = emptyModule,
): MeteredGuest {
  const rewritten = rewriteModule(bytes, inspectModule(bytes), { memoryBytesMax, metering: {} });
  if (!rewritten.metering) throw new Error('The module was not metered');
  const merged = mergeModules(rewritten.bytes, kernel, {
    moduleName: 'kernel',
    memoryModule,
    importable: new Set(inspectModule(kernel).exports.map(({ name }) => name)),
    guestExports: rewritten.exports,
    hostExports: [],
  });
  const linked = { ...imports, [meterModule]: { [refuelName]: () => plenty } };
  const module = new WebAssembly.Module(merged.bytes);
  const { exports } = new WebAssembly.Instance(module, withMemories(merged.memories, linked));
  const { firstFunction, offsets } = merged;
  return { exports, offsets: { firstFunction, merged: offsets, metered: rewritten.metering.offsets } };
}

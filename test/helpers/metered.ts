/** Modules of tests, metered as those of real guests are, with a host that never says no. */

import { inspectModule } from '../../src/wasm/inspect.ts';
import type { OffsetMap } from '../../src/wasm/metering/offset-map.ts';
import { meterModule, refuelName } from '../../src/wasm/metering/reserved.ts';
import { rewriteModule } from '../../src/wasm/rewrite.ts';

export interface MeteredGuest {
  readonly exports: WebAssembly.Exports;
  readonly offsets: OffsetMap;
}

const memoryBytesMax = 64 * 1_048_576;
const plenty = 1n << 40n;

export function meteredGuest(bytes: Uint8Array<ArrayBuffer>, imports: WebAssembly.Imports = {}): MeteredGuest {
  const rewritten = rewriteModule(bytes, inspectModule(bytes), { memoryBytesMax, metering: {} });
  if (!rewritten.metering) throw new Error('The module was not metered');
  const linked = { ...imports, [meterModule]: { [refuelName]: () => plenty } };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(rewritten.bytes), linked);
  return { exports, offsets: rewritten.metering.offsets };
}

/** The plugin of the call with which every thread warms up: a guest without anything, compiled once per process. */

import { assert } from '../base/assert.ts';
import { inspectModule } from '../wasm/inspect.ts';
import { rewriteModule } from '../wasm/rewrite.ts';
import { composeWithKernel } from './kernel/compose.ts';
import type { CompiledPlugin } from './protocol.ts';
import { warmUpFunction } from './thread/warm-up-call.ts';

const emptyModule = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

let compiled: CompiledPlugin | undefined;

/** Its one function is the kernel's get_log_level. */
export function warmUpPlugin(): CompiledPlugin {
  compiled ??= compileWarmUp();
  return compiled;
}

function compileWarmUp(): CompiledPlugin {
  const rewritten = rewriteModule(emptyModule, inspectModule(emptyModule), { memoryBytesMax: 0, metering: {} });
  const { metering } = rewritten;
  assert(metering, 'A module is metered if that is asked for');
  const { bytes, ...facts } = composeWithKernel({ ...rewritten, metering }, [
    { name: 'get_log_level', as: warmUpFunction },
  ]);
  return { key: 'warm-up', module: new WebAssembly.Module(bytes), ...facts };
}

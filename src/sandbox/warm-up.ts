/** The plugin of the call with which every thread warms up: a guest without anything, compiled once per process. */

import { buildAdapter } from '../wasm/adapter.ts';
import { inspectModule } from '../wasm/inspect.ts';
import { rewriteModule } from '../wasm/rewrite.ts';
import { assert } from '../base/assert.ts';
import { kernelControls } from './kernel/kernel.ts';
import type { CompiledPlugin } from './protocol.ts';
import { warmUpFunction } from './thread/warm-up-call.ts';

const emptyModule = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
const logLevelType = { kind: 'function', parameters: [], results: ['i32'] } as const;

let compiled: CompiledPlugin | undefined;

/** Its one function is the kernel's get_log_level. */
export function warmUpPlugin(): CompiledPlugin {
  compiled ??= compileWarmUp();
  return compiled;
}

function compileWarmUp(): CompiledPlugin {
  const rewritten = rewriteModule(emptyModule, inspectModule(emptyModule), { memoryBytesMax: 0, metering: {} });
  assert(rewritten.metering, 'A module is metered if that is asked for');
  const host = { name: 'get_log_level', as: warmUpFunction, type: logLevelType };
  const adapter = buildAdapter({ guestExports: rewritten.exports, kernelExports: [...kernelControls, host] });
  return {
    key: 'warm-up',
    guest: new WebAssembly.Module(rewritten.bytes),
    adapter: new WebAssembly.Module(adapter),
    lifecycle: [],
    memories: [],
    offsets: rewritten.metering.offsets,
  };
}

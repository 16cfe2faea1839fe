/**
 * A call that does nothing. Every thread runs it before its first real one, which
 * would else wait for code to be loaded and compiled.
 */

import { resolveLimits } from '../model/limits.ts';
import { buildAdapter } from '../wasm/adapter.ts';
import { kernelControls } from './kernel/kernel.ts';
import type { CallMessage, CompiledPlugin } from './protocol.ts';

const functionName = 'warm_up';
const emptyModule = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

let compiled: CompiledPlugin | undefined;

/** A guest without anything, whose one function is the kernel's get_log_level; compiled once per process. */
export function warmUpPlugin(): CompiledPlugin {
  compiled ??= compileWarmUp();
  return compiled;
}

export function warmUpCall(plugin: CompiledPlugin): CallMessage {
  return {
    type: 'call',
    pluginKey: plugin.key,
    plugin,
    forget: undefined,
    functionName,
    input: new Uint8Array(),
    config: new Map(),
    capabilities: [],
    limits: resolveLimits({}, {}),
  };
}

function compileWarmUp(): CompiledPlugin {
  const host = { name: 'get_log_level', as: functionName, type: logLevelType };
  const adapter = buildAdapter({ guestExports: [], kernelExports: [...kernelControls, host] });
  return {
    key: 'warm-up',
    guest: new WebAssembly.Module(emptyModule),
    adapter: new WebAssembly.Module(adapter),
    lifecycle: [],
    memories: [],
    clampedMemories: [],
  };
}

const logLevelType = { kind: 'function', parameters: [], results: ['i32'] } as const;

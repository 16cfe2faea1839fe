/**
 * One instance of a guest with its kernel: what the host reads and calls of it.
 * It does not know who uses it, nor for how long.
 */

import { assert } from '../../base/assert.ts';
import type { Variables } from '../../capabilities/call-context.ts';
import type { LinkedModules } from '../../capabilities/host-functions.ts';
import { noVariables } from '../../capabilities/vars.ts';
import { ExecError } from '../../model/exec-error.ts';
import { fuelGlobal, growFailedGlobal } from '../../wasm/metering/reserved.ts';
import { reservedPrefix } from '../../wasm/policy.ts';
import type { CompiledPlugin } from '../protocol.ts';
import type { FuelCounter } from './fuel-tank.ts';
import { instantiate } from './instantiate.ts';
import { KernelMemory } from './kernel-memory.ts';
import type { Memories } from './memories.ts';

export class GuestInstance {
  readonly plugin: CompiledPlugin;
  readonly kernel: KernelMemory;
  readonly counter: FuelCounter;
  /** Of one call, unless the instance is kept for a session. */
  variables: Variables = noVariables();
  /** Whether its lifecycle functions have run. */
  isInitialised = false;
  /** Fuel that they used, if they ran ahead of the call. */
  fuelUsed = 0;
  /** The configuration that they may have read; undefined if they ran ahead, when they can have read none. */
  config: ReadonlyMap<string, string> | undefined;
  usedMs = 0;
  readonly #exports: WebAssembly.Exports;
  /** The guest's, in order. */
  readonly #memories: readonly WebAssembly.Memory[];
  readonly #kernelMemory: WebAssembly.Memory;

  /** Throws what V8 throws, a trap included: segments may not fit their memories. */
  constructor(plugin: CompiledPlugin, functions: LinkedModules, memories: Memories) {
    const own = plugin.memories.map((type) => memories.take(type));
    const exports = instantiate(plugin, functions, own);
    const [kernelMemory, ...guestMemories] = own.toReversed();
    assert(kernelMemory, 'Every instance has the memory of its kernel');
    this.plugin = plugin;
    this.kernel = new KernelMemory(exports, kernelMemory);
    this.counter = exports[fuelGlobal] as FuelCounter;
    this.#exports = exports;
    this.#memories = guestMemories.toReversed();
    this.#kernelMemory = kernelMemory;
  }

  /** Gives its memories back. It must not be used any more. Answers how many bytes of them nobody will use again. */
  release(memories: Memories): number {
    this.kernel.reset();
    const types = this.plugin.memories;
    let garbageBytes = 0;
    for (const [index, memory] of this.#memories.entries()) {
      const type = types[index];
      const { byteLength } = memory.buffer;
      if (type === undefined || !memories.giveBack(type, memory)) garbageBytes += byteLength;
    }
    const kernelType = types.at(-1);
    if (kernelType) memories.giveBackZeroed(kernelType, this.#kernelMemory);
    return garbageBytes;
  }

  /** An exported function that takes nothing; lifecycle functions have reserved names. */
  function(name: string): () => unknown {
    const fn = this.#exports[name] ?? this.#exports[`${reservedPrefix}${name}`];
    if (typeof fn === 'function') return fn as () => unknown;
    throw new ExecError('FUNCTION_NOT_FOUND', `The plugin exports no function "${name}" that can be executed`);
  }

  /** Bytes of all its memories. */
  get memoryBytes(): number {
    let bytes = 0;
    for (const memory of this.#memories) bytes += memory.buffer.byteLength;
    return bytes;
  }

  /** Its first memory, valid until it grows; undefined if it has none. */
  get memory(): Uint8Array | undefined {
    const [first] = this.#memories;
    return first && new Uint8Array(first.buffer);
  }

  /** Whether it was refused more memory, or a longer table, since the last forgiven refusal. */
  get isMemoryRefused(): boolean {
    return this.#growFailed?.value === 1;
  }

  forgiveRefusedMemory(): void {
    if (this.#growFailed) this.#growFailed.value = 0;
  }

  get #growFailed(): WebAssembly.Global<'i32'> | undefined {
    return this.#exports[growFailedGlobal] as WebAssembly.Global<'i32'> | undefined;
  }
}

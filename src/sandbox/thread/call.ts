/**
 * One call, from its message to its outcome: a fresh instance, the input, the
 * lifecycle functions, the function, and what came of it. Whatever the guest does
 * becomes an outcome, sooner or later or never; only a fault of the host rejects.
 */

import { assert } from '../../base/assert.ts';
import type { Clock } from '../../base/clock.ts';
import type { CallContext, EventSink, GuestBlocks } from '../../capabilities/call-context.ts';
import { shownText } from '../../capabilities/guest-text.ts';
import { type CallFunctions, callFunctions } from '../../capabilities/host-functions.ts';
import { kernelModule, userModule } from '../../model/capability.ts';
import { ExecError } from '../../model/exec-error.ts';
import { fixedLimits, type RunLimits } from '../../model/limits.ts';
import { emptyUsage, failedOutcome, type Outcome, type OutcomeKind, type Usage } from '../../model/outcome.ts';
import type { RunMeters } from '../control-block.ts';
import { hostModule } from '../kernel/kernel.ts';
import type { CallMessage, CompiledPlugin, RunTimings } from '../protocol.ts';
import { type LinkedFunctions, link } from './extism.ts';
import { KernelMemory } from './kernel-memory.ts';
import { type Trap, trapOf } from './trap.ts';

/** What a thread lends to each of its calls. */
export interface CallServices {
  readonly kernel: WebAssembly.Module;
  readonly meters: RunMeters;
  readonly events: EventSink;
  readonly clock: Clock;
}

export interface CallResult {
  readonly outcome: Outcome;
  readonly timings: RunTimings;
}

export function runCall(message: CallMessage, plugin: CompiledPlugin, services: CallServices): Promise<CallResult> {
  return new GuestCall(message, plugin, services).run();
}

/** What a fresh instance of the guest offers. */
interface Instance {
  readonly exports: WebAssembly.Exports;
  readonly kernel: KernelMemory;
}

type Ending = { readonly code: unknown } | { readonly trap: Trap };

/** Traps that a guest out of memory runs into, as opposed to those that have nothing to do with it. */
const memoryTraps: readonly OutcomeKind[] = ['UNREACHABLE', 'OUT_OF_BOUNDS', 'UNCAUGHT_EXCEPTION', 'TRAP'];

class GuestCall {
  readonly #message: CallMessage;
  readonly #plugin: CompiledPlugin;
  readonly #services: CallServices;
  readonly #functions: CallFunctions;
  #instance: Instance | undefined;
  #stop: { readonly kind: OutcomeKind; readonly message: string } | undefined;
  #fault: { readonly error: unknown } | undefined;

  constructor(message: CallMessage, plugin: CompiledPlugin, services: CallServices) {
    this.#message = message;
    this.#plugin = plugin;
    this.#services = services;
    this.#functions = callFunctions(this.#context(), message.capabilities);
  }

  async run(): Promise<CallResult> {
    const { clock } = this.#services;
    const instanceStartMs = clock.now();
    const linkTrap = await this.#link();
    this.#measureMemory();
    const guestStartMs = clock.now();
    const ending = linkTrap ? { trap: linkTrap } : this.#runGuest();
    const guestEndMs = clock.now();
    this.#functions.flush();
    this.#measureMemory();
    if (this.#fault) throw this.#fault.error;
    return { outcome: this.#outcomeOf(ending), timings: { instanceStartMs, guestStartMs, guestEndMs } };
  }

  #context(): CallContext {
    const { config, limits } = this.#message;
    // No guest code runs before the instance is complete, so no host function is called before.
    const blocks: GuestBlocks = {
      view: (address) => this.#kernel.view(address),
      write: (bytes) => this.#kernel.write(bytes),
      free: (address) => this.#kernel.free(address),
    };
    return {
      ...this.#services,
      blocks,
      config,
      limits,
      stop: (kind, message) => {
        this.#stop ??= { kind, message };
      },
      fault: (error) => {
        this.#fault ??= { error };
      },
    };
  }

  get #kernel(): KernelMemory {
    assert(this.#instance, 'The instance is complete');
    return this.#instance.kernel;
  }

  /** Makes the instance. A guest can trap there already, when its segments do not fit its memories. */
  async #link(): Promise<Trap | undefined> {
    const { guest, adapter } = this.#plugin;
    try {
      const { exports } = await link({ kernel: this.#services.kernel, guest, adapter }, this.#linkedFunctions());
      this.#instance = { exports, kernel: new KernelMemory(exports) };
      return undefined;
    } catch (error) {
      const trap = trapOf(error);
      if (trap) return trap;
      if (error instanceof RangeError) {
        throw new ExecError('SANDBOX_UNAVAILABLE', 'No memory is left for another instance', { cause: error });
      }
      throw error;
    }
  }

  #linkedFunctions(): LinkedFunctions {
    const { modules } = this.#functions;
    const kernel_exhausted = (): void => {
      const bytes = kernelBytesMax(this.#message.limits);
      this.#stop ??= { kind: 'KERNEL_MEMORY', message: `The guest held more than ${bytes} bytes of kernel memory` };
    };
    return {
      [hostModule]: { ...modules[kernelModule], kernel_exhausted },
      [userModule]: { ...modules[userModule] },
    };
  }

  #runGuest(): Ending {
    const { functionName, input, limits } = this.#message;
    const fn = this.#function(functionName);
    this.#kernel.setLimit(kernelBytesMax(limits));
    assert(this.#kernel.setInput(input), 'The kernel has room for the input');
    try {
      for (const name of this.#plugin.lifecycle) this.#function(name)();
      return { code: fn() };
    } catch (error) {
      const trap = trapOf(error);
      if (trap === undefined) throw error;
      return { trap };
    }
  }

  #function(name: string): () => unknown {
    const fn = this.#instance?.exports[name];
    if (typeof fn === 'function') return fn as () => unknown;
    throw new ExecError('FUNCTION_NOT_FOUND', `The plugin exports no function "${name}" that can be executed`);
  }

  #measureMemory(): void {
    const exports = this.#instance?.exports;
    if (exports === undefined) return;
    const sizes = this.#plugin.memories.map((name) => (exports[name] as WebAssembly.Memory).buffer.byteLength);
    this.#services.meters.memoryPeakBytes = sizes.reduce((sum, bytes) => sum + bytes, 0);
  }

  #outcomeOf(ending: Ending): Outcome {
    if ('trap' in ending) return this.#trapped(ending.trap);
    const error = this.#guestError();
    if (error !== undefined) return this.#failed('GUEST_ERROR', error);
    const { code } = ending;
    if (typeof code === 'number' && code !== 0) return this.#failed('NONZERO_EXIT', `The function returned ${code}`);
    return this.#withOutput();
  }

  /** The most telling cause first: a limit, then what the guest says itself, then the trap. */
  #trapped({ kind, message, guestStack }: Trap): Outcome {
    if (this.#stop) return this.#failed(this.#stop.kind, this.#stop.message, guestStack);
    if (memoryTraps.includes(kind) && this.#isMemoryExhausted()) {
      const bytes = this.#message.limits.memoryBytes;
      return this.#failed('GUEST_MEMORY', `${message}, with its memory at the limit of ${bytes} bytes`, guestStack);
    }
    const error = kind === 'UNREACHABLE' ? this.#guestError() : undefined;
    return error === undefined
      ? this.#failed(kind, message, guestStack)
      : this.#failed('GUEST_ERROR', error, guestStack);
  }

  /** Whether a memory that the limit holds down can grow no more. The instance is not used after this. */
  #isMemoryExhausted(): boolean {
    const exports = this.#instance?.exports;
    return this.#plugin.clampedMemories.some((name) => exports && !canGrow(exports[name] as WebAssembly.Memory));
  }

  #guestError(): string | undefined {
    const error = this.#instance?.kernel.error;
    if (error === undefined) return undefined;
    return shownText(error, fixedLimits.errorMessageBytes) || 'The guest reported an error without a text';
  }

  #withOutput(): Outcome {
    const { outputBytes } = this.#kernel;
    const { outputBytes: bytesMax } = this.#message.limits;
    if (outputBytes > bytesMax) {
      return this.#failed(
        'OUTPUT_TOO_LARGE',
        `The output has ${outputBytes} bytes, limits.output_bytes is ${bytesMax}`,
      );
    }
    return { name: 'OK', output: this.#kernel.readOutput(), usage: this.#usage(outputBytes) };
  }

  #failed(kind: OutcomeKind, message: string, guestStack: Trap['guestStack'] = []): Outcome {
    return failedOutcome(kind, message, this.#usage(0), guestStack);
  }

  #usage(outputBytes: number): Usage {
    return { ...emptyUsage, ...this.#services.meters, inputBytes: this.#message.input.length, outputBytes };
  }
}

/** Input and output each fit beside whatever else a guest needs. */
function kernelBytesMax({ inputBytes, outputBytes }: RunLimits): number {
  return inputBytes + outputBytes + fixedLimits.kernelScratchBytes;
}

function canGrow(memory: WebAssembly.Memory): boolean {
  try {
    memory.grow(1);
    return true;
  } catch {
    return false;
  }
}

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
import type { FuelProfile } from '../../model/fuel-profile.ts';
import { fixedLimits, type RunLimits } from '../../model/limits.ts';
import { emptyUsage, failedOutcome, type Outcome, type OutcomeKind, type Usage } from '../../model/outcome.ts';
import { fuelGlobal, growFailedGlobal, meterModule, refuelName } from '../../wasm/metering/reserved.ts';
import type { ControlBlock } from '../control-block.ts';
import { hostBytesPerUnit } from '../import-prices.ts';
import { hostModule } from '../kernel/kernel.ts';
import type { CallMessage, CompiledPlugin, RunTimings } from '../protocol.ts';
import { type LinkedFunctions, link } from './extism.ts';
import { type FuelCounter, FuelTank } from './fuel-tank.ts';
import { KernelMemory } from './kernel-memory.ts';
import { profiledSliceUnits, Profiler } from './profiler.ts';
import { type Trap, trapOf } from './trap.ts';

/** What a thread lends to each of its calls. */
export interface CallServices {
  readonly kernel: WebAssembly.Module;
  readonly control: ControlBlock;
  readonly events: EventSink;
  readonly clock: Clock;
}

export interface CallResult {
  readonly outcome: Outcome;
  readonly timings: RunTimings;
  /** Present if the call asked for it. */
  readonly profile: FuelProfile | undefined;
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
  readonly #profiler: Profiler | undefined;
  readonly #tank: FuelTank;
  #instance: Instance | undefined;
  #stop: { readonly kind: OutcomeKind; readonly message: string } | undefined;
  #fault: { readonly error: unknown } | undefined;
  #hasTrapped = false;

  constructor(message: CallMessage, plugin: CompiledPlugin, services: CallServices) {
    this.#message = message;
    this.#plugin = plugin;
    this.#services = services;
    const { control, clock } = services;
    this.#profiler = message.profiled ? new Profiler(plugin.offsets) : undefined;
    const context = this.#context();
    const watch = watchOf(this.#profiler);
    this.#tank = new FuelTank({ control, clock, limits: message.limits, watch, onFault: context.fault });
    this.#functions = callFunctions(context, message.capabilities);
  }

  async run(): Promise<CallResult> {
    const { clock } = this.#services;
    const instanceStartMs = clock.now();
    const linkTrap = await this.#link();
    this.#measureMemory();
    const guestStartMs = clock.now();
    const ending = linkTrap ? { trap: linkTrap } : this.#runGuest();
    this.#hasTrapped = 'trap' in ending;
    const guestEndMs = clock.now();
    this.#functions.flush();
    this.#measureMemory();
    if (this.#fault) throw this.#fault.error;
    const timings = { instanceStartMs, guestStartMs, guestEndMs };
    return { outcome: this.#outcomeOf(ending), timings, profile: this.#profiler?.profile };
  }

  #context(): CallContext {
    const { config, limits } = this.#message;
    // No guest code runs before the instance is complete, so no host function is called before.
    const blocks: GuestBlocks = {
      view: (address) => this.#kernel.view(address),
      write: (bytes) => this.#kernel.write(bytes),
      free: (address) => this.#kernel.free(address),
    };
    const { control, events, clock } = this.#services;
    return {
      events,
      clock,
      meters: control.meters,
      chargeBytes: (bytes) => this.#tank.charge(Math.ceil(bytes / hostBytesPerUnit)),
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
      this.#tank.attach(exports[fuelGlobal] as FuelCounter);
      return undefined;
    } catch (error) {
      const trap = trapOf(error, this.#plugin.offsets);
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
      [meterModule]: { [refuelName]: (left) => this.#tank.refuel(left as bigint) },
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
      const trap = trapOf(error, this.#plugin.offsets);
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
    this.#services.control.meters.memoryPeakBytes = sizes.reduce((sum, bytes) => sum + bytes, 0);
  }

  #outcomeOf(ending: Ending): Outcome {
    const refused = this.#refusedFuel(ending);
    if (refused) return refused;
    if ('trap' in ending) return this.#trapped(ending.trap);
    const error = this.#guestError();
    if (error !== undefined) return this.#failed('GUEST_ERROR', error);
    const { code } = ending;
    if (typeof code === 'number' && code !== 0) return this.#failed('NONZERO_EXIT', `The function returned ${code}`);
    return this.#withOutput();
  }

  /** The outcome of a guest that was stopped between slices, or went over its limit with its last instructions. */
  #refusedFuel(ending: Ending): Outcome | undefined {
    const { verdict } = this.#tank;
    const guestStack = 'trap' in ending ? ending.trap.guestStack : [];
    if (verdict === 'FUEL') {
      const { fuel } = this.#message.limits;
      return this.#failed('FUEL', `The run needed more fuel than limits.fuel, ${fuel} units`, guestStack);
    }
    // The main thread, which asked for the stop, says why.
    return verdict === 'STOPPED' ? this.#failed('CANCELED', 'The run was stopped', guestStack) : undefined;
  }

  /** The most telling cause first: a limit, then what the guest says itself, then the trap. */
  #trapped({ kind, message, guestStack }: Trap): Outcome {
    if (this.#stop) return this.#failed(this.#stop.kind, this.#stop.message, guestStack);
    if (memoryTraps.includes(kind) && this.#isMemoryExhausted()) {
      const bytes = this.#message.limits.memoryBytes;
      return this.#failed(
        'GUEST_MEMORY',
        `${message}, after it was refused more memory, by limits.memory_bytes, ${bytes} bytes, or by its own maximum`,
        guestStack,
      );
    }
    const error = kind === 'UNREACHABLE' ? this.#guestError() : undefined;
    return error === undefined
      ? this.#failed(kind, message, guestStack)
      : this.#failed('GUEST_ERROR', error, guestStack);
  }

  /** Whether the guest was refused more memory, or a longer table, before it trapped. */
  #isMemoryExhausted(): boolean {
    const flag = this.#instance?.exports[growFailedGlobal] as WebAssembly.Global<'i32'> | undefined;
    return flag?.value === 1;
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
    return failedOutcome(
      kind,
      message,
      { ...this.#usage(0), fuelIsLowerBound: this.#hasTrapped && this.#tank.verdict === undefined },
      guestStack,
    );
  }

  #usage(outputBytes: number): Usage {
    const { meters } = this.#services.control;
    const { used: fuel } = this.#tank;
    return { ...emptyUsage, ...meters, fuel, inputBytes: this.#message.input.length, outputBytes };
  }
}

function watchOf(profiler: Profiler | undefined): { sliceUnits: number; look: () => void } | undefined {
  return profiler && { sliceUnits: profiledSliceUnits, look: () => profiler.look() };
}

/** Input and output each fit beside whatever else a guest needs. */
function kernelBytesMax({ inputBytes, outputBytes }: RunLimits): number {
  return inputBytes + outputBytes + fixedLimits.kernelScratchBytes;
}

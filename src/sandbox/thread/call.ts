/**
 * One call, from its message to its outcome: an instance, the lifecycle functions,
 * the input, the function, and what came of it. Whatever the guest does becomes an
 * outcome, sooner or later or never; only a fault of the host rejects.
 */

import { assert } from '../../base/assert.ts';
import type { CallContext, GuestBlocks } from '../../capabilities/call-context.ts';
import { shownText } from '../../capabilities/guest-text.ts';
import { CallFamilies } from '../../capabilities/host-functions.ts';
import { withoutSecrets } from '../../capabilities/secrets-read.ts';
import { localAnswers } from '../../capabilities/local/answers.ts';
import { ExecError } from '../../model/exec-error.ts';
import type { FuelProfile } from '../../model/fuel-profile.ts';
import { fixedLimits } from '../../model/limits.ts';
import { emptyUsage, failedOutcome, type Outcome, type OutcomeKind, type Usage } from '../../model/outcome.ts';
import { reservedPrefix } from '../../wasm/policy.ts';
import { callsMade } from '../control-block.ts';
import { hostBytesPerUnit } from '../import-prices.ts';
import type { CallMessage, CompiledPlugin, RunTimings } from '../protocol.ts';
import type { CallServices } from './call-services.ts';
import { FuelTank } from './fuel-tank.ts';
import type { GuestInstance } from './guest-instance.ts';
import type { AskingCall } from './host-caller.ts';
import type { Instances, Taken } from './instances.ts';
import { kernelBytesMax } from './kernel-room.ts';
import { profiledSliceUnits, Profiler } from './profiler.ts';
import { type Trap, trapOf } from './trap.ts';

export interface CallResult {
  readonly outcome: Outcome;
  readonly timings: RunTimings;
  /** Present if the call asked for it. */
  readonly profile: FuelProfile | undefined;
  /** Bytes of memory of an instance that is not kept; 0 if there is none. */
  readonly garbageBytes: number;
}

export function runCall(
  message: CallMessage,
  plugin: CompiledPlugin,
  { services, instances }: { readonly services: CallServices; readonly instances: Instances },
): CallResult {
  return new GuestCall(message, plugin, services).run(instances);
}

type Ending = { readonly code: unknown } | { readonly trap: Trap };

/** Traps that a guest out of memory runs into, as opposed to those that have nothing to do with it. */
const memoryTraps: readonly OutcomeKind[] = ['UNREACHABLE', 'OUT_OF_BOUNDS', 'UNCAUGHT_EXCEPTION', 'TRAP'];

class GuestCall {
  readonly #message: CallMessage;
  readonly #plugin: CompiledPlugin;
  readonly #services: CallServices;
  readonly #context: CallContext;
  readonly #families: CallFamilies;
  readonly #profiler: Profiler | undefined;
  readonly #tank: FuelTank;
  #taken: Taken | undefined;
  #stop: { readonly kind: OutcomeKind; readonly message: string } | undefined;
  #exitCode: number | undefined;
  #fault: { readonly error: unknown } | undefined;
  #hasTrapped = false;

  constructor(message: CallMessage, plugin: CompiledPlugin, services: CallServices) {
    this.#message = message;
    this.#plugin = plugin;
    this.#services = services;
    const { control, clock } = services;
    this.#profiler = message.profiled ? new Profiler(plugin.offsets) : undefined;
    this.#context = this.#createContext();
    const watch = watchOf(this.#profiler);
    this.#tank = new FuelTank({ control, clock, limits: message.limits, watch, onFault: this.#context.fault });
    this.#families = new CallFamilies(this.#context);
  }

  run(instances: Instances): CallResult {
    const { clock, running } = this.#services;
    const instanceStartMs = clock.now();
    const linkTrap = this.#take(instances);
    this.#measureMemory();
    const guestStartMs = clock.now();
    running.enter({ families: this.#families, tank: this.#tank, kernelExhausted: () => this.#kernelExhausted() });
    try {
      const ending = linkTrap ? { trap: linkTrap } : this.#runGuest();
      this.#hasTrapped = 'trap' in ending;
      const guestEndMs = clock.now();
      this.#families.flush();
      this.#measureMemory();
      if (this.#fault) throw this.#fault.error;
      const outcome = this.#outcomeOf(ending);
      const timings = { instanceStartMs, guestStartMs, guestEndMs };
      return { outcome, timings, profile: this.#profiler?.profile, garbageBytes: this.#giveBack(instances, outcome) };
    } finally {
      running.leave();
    }
  }

  #createContext(): CallContext {
    const { config, limits, grant, functionName, input, randomSeed } = this.#message;
    // No guest code runs before the instance is complete, so no host function is called before.
    const blocks: GuestBlocks = {
      view: (address) => this.#instance.kernel.view(address),
      write: (bytes) => this.#instance.kernel.write(bytes),
      free: (address) => this.#instance.kernel.free(address),
    };
    const { control, events, clock, host } = this.#services;
    const instance = (): GuestInstance => this.#instance;
    const local = localAnswers({ clock, randomSeed });
    const run = (): AskingCall => ({ call: this.#context, tank: this.#tank, local });
    return {
      events,
      clock,
      meters: control.meters,
      blocks,
      config,
      limits,
      grant,
      functionName,
      input,
      randomSeed,
      get memory() {
        return instance().memory;
      },
      get variables() {
        return instance().variables;
      },
      ask: (operation, request) => host.ask(operation, request, run()),
      sleep: (ms) => host.sleep(ms, run()),
      chargeBytes: (bytes) => this.#tank.charge(Math.ceil(bytes / hostBytesPerUnit)),
      stop: (kind, message) => this.#noteStop(kind, message),
      exit: (code) => {
        this.#exitCode ??= code;
        this.#tank.halt();
      },
      fault: (error) => {
        this.#fault ??= { error };
        this.#tank.halt();
      },
    };
  }

  #noteStop(kind: OutcomeKind, message: string): void {
    this.#stop ??= { kind, message };
    this.#tank.halt();
  }

  #kernelExhausted(): void {
    const bytes = kernelBytesMax(this.#message.limits);
    this.#noteStop('KERNEL_MEMORY', `The guest held more than ${bytes} bytes of kernel memory`);
  }

  get #instance(): GuestInstance {
    assert(this.#taken, 'The instance is complete');
    return this.#taken.instance;
  }

  /** Gets the instance. A guest can trap there already, when its segments do not fit its memories. */
  #take(instances: Instances): Trap | undefined {
    try {
      this.#taken = instances.take(this.#message, this.#plugin);
      const { instance } = this.#taken;
      this.#tank.attach(instance.counter, instance.fuelUsed);
      instance.fuelUsed = 0;
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

  /** Answers how many bytes of memory the instance leaves behind. */
  #giveBack(instances: Instances, outcome: Outcome): number {
    if (this.#taken === undefined) return 0;
    const { instance } = this.#taken;
    const isIntact = !this.#hasTrapped && !this.#tank.isHalted && this.#tank.verdict === undefined;
    return instances.giveBack(this.#message, instance, isIntact && outcome.name !== 'DENIED');
  }

  #runGuest(): Ending {
    const { functionName, input, limits } = this.#message;
    const { kernel } = this.#instance;
    if (this.#taken?.source === 'REUSED') {
      kernel.reset();
      this.#instance.forgiveRefusedMemory();
    }
    kernel.setLimit(kernelBytesMax(limits));
    const fn = this.#instance.function(functionName);
    try {
      this.#initialise(functionName);
      if (this.#exitCode !== undefined) return { code: this.#exitCode };
      assert(kernel.setInput(input), 'The kernel has room for the input');
      return { code: fn() };
    } catch (error) {
      const trap = trapOf(error, this.#plugin.offsets);
      if (trap === undefined) throw error;
      return this.#exitCode === undefined ? { trap } : { code: this.#exitCode };
    }
  }

  /** Runs the lifecycle functions, unless they ran ahead or in an earlier call; the one that the call names is the call itself. */
  #initialise(functionName: string): void {
    const instance = this.#instance;
    if (instance.isInitialised) return;
    instance.isInitialised = true;
    instance.config = this.#message.config;
    for (const name of this.#plugin.lifecycle) {
      if (name === `${reservedPrefix}${functionName}`) continue;
      this.#runLifecycle(instance.function(name));
      if (this.#exitCode !== undefined) return;
    }
  }

  /** A start function may end its work by exiting with 0, as programs do: it is done then, and the call goes on. */
  #runLifecycle(fn: () => unknown): void {
    try {
      fn();
    } catch (error) {
      if (this.#exitCode !== 0) throw error;
    }
    if (this.#exitCode !== 0) return;
    this.#exitCode = undefined;
    this.#tank.resume();
  }

  #measureMemory(): void {
    if (this.#taken) this.#services.control.meters.memoryPeakBytes = this.#taken.instance.memoryBytes;
  }

  /** The most telling cause first: a limit, what the guest says itself, the trap, its code. */
  #outcomeOf(ending: Ending): Outcome {
    const guestStack = 'trap' in ending ? ending.trap.guestStack : [];
    if (this.#stop) return this.#failed(this.#stop.kind, this.#stop.message, guestStack);
    const refused = this.#refusedFuel(ending);
    if (refused) return refused;
    if ('trap' in ending) return this.#trapped(ending.trap);
    const error = this.#guestError();
    if (error !== undefined) return this.#failed('GUEST_ERROR', error);
    const { code } = ending;
    if (typeof code === 'number' && code !== 0) {
      const how = this.#exitCode === undefined ? 'function returned' : 'program exited with';
      return this.#failed('NONZERO_EXIT', `The ${how} ${code}`);
    }
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

  #trapped({ kind, message, guestStack }: Trap): Outcome {
    if (memoryTraps.includes(kind) && this.#taken?.instance.isMemoryRefused === true) {
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

  #guestError(): string | undefined {
    const error = this.#taken?.instance.kernel.error;
    if (error === undefined) return undefined;
    const told = withoutSecrets(this.#context, error, fixedLimits.errorMessageBytes + 1);
    return shownText(told, fixedLimits.errorMessageBytes) || 'The guest reported an error without a text';
  }

  #withOutput(): Outcome {
    const written = this.#families.output;
    const outputBytes = written?.length ?? this.#instance.kernel.outputBytes;
    const { outputBytes: bytesMax } = this.#message.limits;
    if (outputBytes > bytesMax) {
      return this.#failed(
        'OUTPUT_TOO_LARGE',
        `The output has ${outputBytes} bytes, limits.output_bytes is ${bytesMax}`,
      );
    }
    return { name: 'OK', output: written ?? this.#instance.kernel.readOutput(), usage: this.#usage(outputBytes) };
  }

  #failed(kind: OutcomeKind, message: string, guestStack: Trap['guestStack'] = []): Outcome {
    return failedOutcome(
      kind,
      message,
      {
        ...this.#usage(0),
        fuelIsLowerBound: this.#hasTrapped && this.#tank.verdict === undefined && !this.#tank.isHalted,
      },
      guestStack,
    );
  }

  #usage(outputBytes: number): Usage {
    const { calls, ...meters } = this.#services.control.meters;
    return {
      ...emptyUsage,
      ...meters,
      hostCallsByCapability: callsMade(calls),
      fuel: this.#tank.used,
      instanceSource: this.#taken?.source ?? 'NONE',
      inputBytes: this.#message.input.length,
      outputBytes,
    };
  }
}

function watchOf(profiler: Profiler | undefined): { sliceUnits: number; look: () => void } | undefined {
  return profiler && { sliceUnits: profiledSliceUnits, look: () => profiler.look() };
}

/**
 * Makes instances, and where it can runs their lifecycle functions ahead of the
 * call: only if these ask the host for nothing, so that what they do is the same
 * for every call, and only as long as no call waits. Their fuel is the call's.
 */

import { CallFamilies } from '../../capabilities/host-functions.ts';
import type { CallContext, HostFamily } from '../../capabilities/call-context.ts';
import type { RunLimits } from '../../model/limits.ts';
import type { CompiledPlugin } from '../protocol.ts';
import type { CallServices } from './call-services.ts';
import { FuelTank } from './fuel-tank.ts';
import { GuestInstance } from './guest-instance.ts';
import { kernelBytesMax } from './kernel-room.ts';
import { Memories } from './memories.ts';

/** Fuel that lifecycle functions may use ahead: some 10 to 25 ms. What needs more waits for its call. */
export const fuelAheadMax = 50_000_000;
/** Plugins remembered as not to be run ahead. */
const unfitMax = 1_000;

export class Preparation {
  readonly #services: CallServices;
  readonly #memories = new Memories();
  /** Keys of plugins whose lifecycle functions ask the host, fail, or take long. */
  readonly #unfit = new Set<string>();

  constructor(services: CallServices) {
    this.#services = services;
  }

  /** Throws what V8 throws. */
  create(plugin: CompiledPlugin): GuestInstance {
    return new GuestInstance(plugin, this.#services.running.imports, this.#memories);
  }

  /** Undefined if there shall be none: a call is on its way, or none can be made. */
  prepare(plugin: CompiledPlugin, limits: RunLimits): GuestInstance | undefined {
    const { control } = this.#services;
    if (control.isCallPending) return undefined;
    const instance = this.#tryCreate(plugin);
    if (instance === undefined || plugin.lifecycle.length === 0 || this.#unfit.has(plugin.key)) return instance;
    if (this.#runAhead(instance, limits)) return instance;
    this.release(instance);
    if (control.isCallPending) return undefined;
    this.#noteUnfit(plugin.key);
    return this.#tryCreate(plugin);
  }

  /** The instance will not be used any more. Answers how many bytes of memory it leaves behind. */
  release(instance: GuestInstance): number {
    return instance.release(this.#memories);
  }

  #tryCreate(plugin: CompiledPlugin): GuestInstance | undefined {
    try {
      return this.create(plugin);
    } catch {
      return undefined;
    }
  }

  forget(pluginKey: string): void {
    this.#unfit.delete(pluginKey);
  }

  #noteUnfit(key: string): void {
    const [oldest] = this.#unfit;
    if (this.#unfit.size >= unfitMax && oldest !== undefined) this.#unfit.delete(oldest);
    this.#unfit.add(key);
  }

  /** Whether the instance is as a call would find it after its lifecycle functions. */
  #runAhead(instance: GuestInstance, limits: RunLimits): boolean {
    const { control, clock, running } = this.#services;
    let isUnfit = false;
    const note = (): void => {
      isUnfit = true;
      tank.halt();
    };
    const tank = new FuelTank({
      control: { meters: { fuel: 0 }, isStopRequested: false, waitForStop: () => {} },
      clock,
      limits: { fuel: fuelAheadMax, cpuPercent: 100 },
      watch: { sliceUnits: sliceAheadUnits, look: () => control.isCallPending && note() },
      onFault: note,
    });
    running.enter({ families: new RefusingFamilies(note), tank, kernelExhausted: note });
    try {
      tank.attach(instance.counter);
      instance.kernel.setLimit(kernelBytesMax(limits));
      for (const name of instance.plugin.lifecycle) instance.function(name)();
    } catch {
      isUnfit = true;
    } finally {
      running.leave();
    }
    instance.isInitialised = true;
    instance.fuelUsed = tank.used;
    return !isUnfit && tank.verdict === undefined && instance.kernel.error === undefined && !instance.isMemoryRefused;
  }
}

/** Fuel between two looks whether a call is on its way. */
const sliceAheadUnits = 500_000;

/** Families of a guest that runs ahead: none, and asking for one is noted. */
class RefusingFamilies extends CallFamilies {
  readonly #note: () => void;

  constructor(note: () => void) {
    super({} as CallContext);
    this.#note = note;
  }

  override get(): HostFamily | undefined {
    this.#note();
    return undefined;
  }
}

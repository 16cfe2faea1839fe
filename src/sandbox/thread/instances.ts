/**
 * The instances that this thread has beyond the one that runs: prepared ones, made
 * ahead of calls and used by nobody yet, and kept ones, which serve further calls of
 * one tenant or session. Both are bounded; which call may have which is decided here.
 */

import { noVariables } from '../../capabilities/vars.ts';
import type { Clock } from '../../base/clock.ts';
import type { RunLimits } from '../../model/limits.ts';
import type { InstanceSource } from '../../model/outcome.ts';
import type { CallMessage, CompiledPlugin, InstanceCounts } from '../protocol.ts';
import type { GuestInstance } from './guest-instance.ts';
import type { Preparation } from './preparation.ts';

/** Prepared instances in all, of all plugins. */
export const preparedMax = 64;
/** Kept instances in all. */
export const keptMax = 64;
/** Bytes of memory of all kept instances; the one used longest ago goes first. */
export const keptBytesMax = 512 * 1_048_576;
/** How long an instance is kept that nobody calls. */
export const idleMsMax = { reuse: 300_000, session: 3_600_000 } as const;

export interface Taken {
  readonly instance: GuestInstance;
  readonly source: Exclude<InstanceSource, 'NONE'>;
}

interface Kept {
  readonly instance: GuestInstance;
  readonly mode: 'reuse' | 'session';
  readonly bytes: number;
}

/** What a prepared instance is good for: calls of this plugin whose kernel has this room. */
type Spares = Map<string, GuestInstance[]>;

export class Instances {
  readonly #preparation: Preparation;
  readonly #clock: Clock;
  readonly #prepared: Spares = new Map();
  /** Used longest ago first. */
  readonly #kept = new Map<string, Kept>();
  #preparedCount = 0;
  #keptBytes = 0;

  constructor(preparation: Preparation, clock: Clock) {
    this.#preparation = preparation;
    this.#clock = clock;
  }

  /** An instance for a call. Throws what V8 throws when one is made. */
  take(message: CallMessage, plugin: CompiledPlugin): Taken {
    const kept = this.#takeKept(message);
    if (kept) return { instance: kept, source: 'REUSED' };
    const prepared = message.profiled ? undefined : this.#takePrepared(message, plugin);
    if (prepared) return { instance: prepared, source: 'PREPARED' };
    return { instance: this.#preparation.create(plugin), source: 'CREATED' };
  }

  /** Takes the instance of a call back, and keeps it if it is intact and the call wishes. Answers how many bytes of memory it leaves behind. */
  giveBack({ instance: wish }: CallMessage, instance: GuestInstance, isIntact: boolean): number {
    if (!isIntact || wish.mode === 'fresh') return this.#preparation.release(instance);
    if (wish.mode === 'reuse') instance.variables = noVariables();
    instance.usedMs = this.#clock.monotonic();
    const bytes = instance.memoryBytes;
    this.#kept.set(wish.key, { instance, mode: wish.mode, bytes });
    this.#keptBytes += bytes;
    this.#bound();
    return 0;
  }

  /**
   * Makes instances ready for calls like this one until there are enough, or a call
   * is on its way. Fails silently: the call that comes makes its own and tells.
   */
  prepare(plugin: CompiledPlugin, { limits, warm }: { readonly limits: RunLimits; readonly warm: number }): void {
    const key = spareKey(plugin, limits);
    while ((this.#prepared.get(key)?.length ?? 0) < warm && this.#makeRoom(key)) {
      const instance = this.#preparation.prepare(plugin, limits);
      if (instance === undefined) return;
      const spares = this.#prepared.get(key) ?? [];
      this.#prepared.set(key, spares);
      spares.push(instance);
      this.#preparedCount++;
    }
  }

  /** Drops what belongs to a plugin. */
  forget(pluginKey: string): void {
    for (const [key, spares] of this.#prepared) {
      if (spares[0]?.plugin.key === pluginKey) this.#dropSpares(key, spares);
    }
    for (const [key, { instance }] of this.#kept) if (instance.plugin.key === pluginKey) this.#drop(key);
    this.#preparation.forget(pluginKey);
  }

  /** Drops kept instances that nobody has called for too long. */
  sweep(): void {
    const nowMs = this.#clock.monotonic();
    for (const [key, { instance, mode }] of this.#kept) {
      if (nowMs - instance.usedMs > idleMsMax[mode]) this.#drop(key);
    }
  }

  counts(pluginKey: string): InstanceCounts {
    let prepared = 0;
    let kept = 0;
    let keptBytes = 0;
    for (const spares of this.#prepared.values()) if (spares[0]?.plugin.key === pluginKey) prepared += spares.length;
    for (const { instance, bytes } of this.#kept.values()) {
      if (instance.plugin.key !== pluginKey) continue;
      kept++;
      keptBytes += bytes;
    }
    return { prepared, kept, keptBytes };
  }

  #takeKept({ instance: wish, config, pluginKey }: CallMessage): GuestInstance | undefined {
    const kept = wish.mode === 'fresh' ? undefined : this.#kept.get(wish.key);
    if (kept === undefined) return undefined;
    const { instance, mode } = kept;
    const isFit = instance.plugin.key === pluginKey && (mode === 'session' || sameConfig(instance.config, config));
    if (!isFit) this.#drop(wish.key);
    else this.#forgetKept(wish.key, kept);
    return isFit ? instance : undefined;
  }

  #takePrepared({ limits }: CallMessage, plugin: CompiledPlugin): GuestInstance | undefined {
    const key = spareKey(plugin, limits);
    const spares = this.#prepared.get(key);
    const instance = spares?.at(-1);
    // What ran ahead must have been possible within this call's fuel.
    if (spares === undefined || instance === undefined || instance.fuelUsed > limits.fuel) return undefined;
    spares.pop();
    this.#preparedCount--;
    if (spares.length === 0) this.#prepared.delete(key);
    else this.#touch(key, spares);
    return instance;
  }

  #touch(key: string, spares: GuestInstance[]): void {
    this.#prepared.delete(key);
    this.#prepared.set(key, spares);
  }

  /** Room for one more, at the cost of the plugin that was prepared longest ago. */
  #makeRoom(key: string): boolean {
    if (this.#preparedCount < preparedMax) return true;
    for (const [other, spares] of this.#prepared) {
      if (other === key) continue;
      this.#dropSpares(other, spares);
      return true;
    }
    return false;
  }

  #dropSpares(key: string, spares: readonly GuestInstance[]): void {
    this.#preparedCount -= spares.length;
    this.#prepared.delete(key);
    for (const spare of spares) this.#preparation.release(spare);
  }

  #bound(): void {
    for (const [key] of this.#kept) {
      if (this.#kept.size <= keptMax && this.#keptBytes <= keptBytesMax) return;
      this.#drop(key);
    }
  }

  #drop(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#forgetKept(key, kept);
    this.#preparation.release(kept.instance);
  }

  #forgetKept(key: string, { bytes }: Kept): void {
    this.#keptBytes -= bytes;
    this.#kept.delete(key);
  }
}

function spareKey(plugin: CompiledPlugin, { inputBytes, outputBytes }: RunLimits): string {
  return `${plugin.key}/${inputBytes + outputBytes}`;
}

function sameConfig(one: ReadonlyMap<string, string> | undefined, other: ReadonlyMap<string, string>): boolean {
  if (one === undefined) return true;
  return one.size === other.size && [...one].every(([key, value]) => other.get(key) === value);
}

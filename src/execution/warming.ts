/** Has instances of a plugin prepared before anybody calls it. */

import { tenantDefault } from '../model/tenant.ts';
import { warmDefault } from '../model/manifest.ts';
import { resolveLimits } from '../model/limits.ts';
import type { PluginVersion } from '../model/plugin.ts';
import type { Lease, LeaseRequest } from '../pool/pool.ts';
import type { CompiledPlugin, InstanceCounts, Sandbox } from '../sandbox/sandbox.ts';
import type { CompiledPluginSource } from './pooled-executor.ts';

/** What warming needs of the pool. */
export interface WarmableSandboxes {
  /** Sandboxes without a call, those that would be used next first. */
  readonly idle: readonly Sandbox[];
  lease(request: LeaseRequest, signal: AbortSignal): Promise<Lease>;
}

export interface Warmed {
  /** Threads that hold instances now. */
  readonly threads: number;
  readonly instances: number;
}

export class Warming {
  readonly #plugins: CompiledPluginSource;
  readonly #sandboxes: WarmableSandboxes;

  constructor(plugins: CompiledPluginSource, sandboxes: WarmableSandboxes) {
    this.#plugins = plugins;
    this.#sandboxes = sandboxes;
  }

  /**
   * Prepares as many instances as the manifest keeps ready, on so many of the threads
   * without a call, 0 meaning all; if every thread has one, on the first that is done.
   * Rejects as executions do that wait for a module or a thread.
   */
  async warm(version: PluginVersion, threads: number, signal: AbortSignal): Promise<Warmed> {
    const limits = resolveLimits({}, version.manifest.limits);
    const plugin = await this.#plugins.compiled(version, limits.memoryBytes, signal);
    const warm = Math.max(version.manifest.instance.warm, warmDefault);
    const prepare = (sandbox: Sandbox): Promise<InstanceCounts> => sandbox.warm({ plugin, limits }, warm);
    const idle = this.#sandboxes.idle.slice(0, threads === 0 ? undefined : threads);
    if (idle.length > 0) return sum(await Promise.all(idle.map(prepare)));
    using lease = await this.#sandboxes.lease(requestOf(version, plugin), signal);
    return sum([await prepare(lease.sandbox)]);
  }
}

function requestOf({ manifest }: PluginVersion, { key }: CompiledPlugin): LeaseRequest {
  return { tenant: tenantDefault, plugin: manifest.name, pluginKey: key };
}

function sum(counts: readonly InstanceCounts[]): Warmed {
  return {
    threads: counts.filter(({ prepared, kept }) => prepared + kept > 0).length,
    instances: counts.reduce((total, { prepared, kept }) => total + prepared + kept, 0),
  };
}

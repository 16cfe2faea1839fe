/**
 * Composition root of the server: puts gRPC, health and tracing around the
 * engine, publishes what it is told to at start, and owns the order in which all
 * of it ends.
 */

import { readFile } from 'node:fs/promises';
import { AdminServer } from './admin/admin-server.ts';
import type { Clock } from './base/clock.ts';
import { type Digest, digestOf } from './base/digest.ts';
import { type Engine, type ExecutedPlugins, startEngine } from './engine.ts';
import { AdminService } from './gen/caisson/v1/admin_pb.ts';
import { ExecutionService } from './gen/caisson/v1/execution_pb.ts';
import { PluginService } from './gen/caisson/v1/plugin_pb.ts';
import type { Log } from './model/log.ts';
import { referenceOf } from './model/plugin.ts';
import type { PluginRegistry } from './plugins/registry.ts';
import type { Policy } from './policy/policy.ts';
import type { SandboxPool } from './pool/pool.ts';
import { bindService } from './rpc/adapter.ts';
import { adminServiceOf, type PoolFacts, type ServerFacts } from './rpc/admin-service.ts';
import { executionServiceOf } from './rpc/execution-service.ts';
import { pluginServiceOf } from './rpc/plugin-service.ts';
import { RpcServer } from './rpc/server.ts';
import { startTracing } from './telemetry/tracing.ts';
import type { OptionalFeature } from './wasm/policy.ts';

export interface AppOptions {
  readonly version: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Where OTEL_* variables are read. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** "host:port" or "unix:/path"; at least one. Port 0 means any free port. */
  readonly grpcAddresses: readonly string[];
  /** Absent: no admin listener. */
  readonly admin: { readonly host: string; readonly port: number } | undefined;
  readonly dataDirectory: string;
  readonly threadsMin: number;
  readonly threadsMax: number;
  readonly queueMax: number;
  readonly graceMs: number;
  readonly allowedFeatures: readonly OptionalFeature[];
  readonly policy: Policy;
  /** Modules and manifests to publish at start, in order. */
  readonly publish: readonly { readonly modulePath: string; readonly manifestPath: string }[];
}

/** A server that runs, in one process or in several. */
export interface RunningServer {
  /** As bound, with real ports. */
  readonly grpcAddresses: readonly string[];
  /** "host:port" as bound, if there is an admin listener. */
  readonly adminAddress: string | undefined;
  /** Turns new calls away, lets running executions go on for the grace, then ends everything. */
  shutdown(): Promise<void>;
  /** Cuts the grace of a shutdown short. */
  hasten(): void;
}

export class App implements RunningServer {
  readonly #options: AppOptions;
  readonly #engine: Engine;
  readonly #rpc: RpcServer;
  readonly #admin: AdminServer | undefined;
  readonly #owned: AsyncDisposableStack;

  private constructor(
    options: AppOptions,
    parts: { engine: Engine; rpc: RpcServer; admin: AdminServer | undefined; owned: AsyncDisposableStack },
  ) {
    this.#options = options;
    this.#engine = parts.engine;
    this.#rpc = parts.rpc;
    this.#admin = parts.admin;
    this.#owned = parts.owned;
  }

  /** Resolves when the server takes calls. Starts everything, or nothing. */
  static async start(options: AppOptions): Promise<App> {
    const { clock, log, version } = options;
    await using owned = new AsyncDisposableStack();
    const tracing = await startTracing({ environment: options.environment, serviceVersion: version, clock, log });
    if (tracing) owned.use(tracing);
    const engine = owned.use(await startEngine(options));
    await publishAll(engine.registry, options);
    const faults = { clock, log };
    const rpc = owned.use(
      await RpcServer.start({
        clock,
        log,
        addresses: options.grpcAddresses,
        services: [
          bindService(ExecutionService, executionServiceOf(engine.executions, faults)),
          bindService(PluginService, pluginServiceOf(engine.registry, engine.warming)),
          bindService(AdminService, adminServiceOf(serverFacts(options, engine))),
        ],
        ...(tracing && { tracer: tracing }),
      }),
    );
    const admin =
      options.admin && owned.use(await AdminServer.start({ ...options.admin, checks: readiness(engine, rpc) }));
    rpc.health.setServing(true);
    return new App(options, { engine, rpc, admin, owned: owned.move() });
  }

  get grpcAddresses(): readonly string[] {
    return this.#rpc.addresses;
  }

  get adminAddress(): string | undefined {
    return boundAddress(this.#options.admin, this.#admin);
  }

  async shutdown(): Promise<void> {
    const { graceMs } = this.#options;
    await Promise.all([this.#rpc.shutdown({ graceMs }), this.#engine.executions[Symbol.asyncDispose]()]);
    await this.#owned.disposeAsync();
  }

  hasten(): void {
    this.#rpc.forceShutdown();
    this.#engine.executions.stopAll();
  }
}

/** Where an admin listener really listens. */
export function boundAddress(asked: AppOptions['admin'], bound: AdminServer | undefined): string | undefined {
  return asked && bound && `${asked.host.includes(':') ? `[${asked.host}]` : asked.host}:${bound.port}`;
}

/** What AdminService answers of this process. */
export function serverFacts(
  { version, clock }: Pick<AppOptions, 'version' | 'clock'>,
  { pool, registry }: Pick<Engine<ExecutedPlugins>, 'pool' | 'registry'>,
): ServerFacts {
  return {
    version,
    nodeVersion: process.versions.node,
    startMs: clock.now(),
    pool: () => {
      const stats = pool.stats();
      return { ...stats, instances: instancesByPlugin(stats.instances, registry) };
    },
  };
}

/** The pool counts by compiled module: those of one plugin for several limits of memory are added up. */
function instancesByPlugin(
  counts: ReturnType<SandboxPool['stats']>['instances'],
  registry: Pick<PluginRegistry, 'referencesOf'>,
): PoolFacts['instances'] {
  const sums = new Map<string, PoolFacts['instances'][number]>();
  for (const [key, { prepared, kept, keptBytes }] of counts) {
    const digest = (key.split('/')[0] ?? key) as Digest;
    const plugin = registry.referencesOf(digest).join(', ') || digest;
    const sum = sums.get(plugin) ?? { plugin, prepared: 0, kept: 0, keptBytes: 0 };
    sums.set(plugin, {
      plugin,
      prepared: sum.prepared + prepared,
      kept: sum.kept + kept,
      keptBytes: sum.keptBytes + keptBytes,
    });
  }
  return [...sums.values()];
}

function readiness(engine: Engine, rpc: RpcServer): Record<string, () => string | undefined> {
  return {
    sandboxes: () => {
      const { threads } = engine.pool.stats();
      return threads > 0 ? undefined : 'no sandbox thread is running';
    },
    serving: () => (rpc.draining.aborted ? 'the server is shutting down' : undefined),
  };
}

/** A plugin that cannot be published is logged and does not keep the server from starting. */
export async function publishAll(
  registry: Pick<PluginRegistry, 'publish'>,
  options: Pick<AppOptions, 'publish' | 'log'>,
): Promise<void> {
  const { signal } = new AbortController();
  for (const { modulePath, manifestPath } of options.publish) {
    try {
      const [module, manifestText] = await Promise.all([readFile(modulePath), readFile(manifestPath, 'utf8')]);
      const header = { manifestText, sha256: digestOf(module), sizeBytes: module.length };
      const { version, created } = await registry.publish(header, chunksOf(module), signal);
      options.log.info({ plugin: referenceOf(version), created }, 'Published a plugin at start');
    } catch (error) {
      options.log.error({ module: modulePath, manifest: manifestPath, error }, 'Cannot publish a plugin at start');
    }
  }
}

const chunkBytes = 262_144;

/** A module in chunks, as an upload brings it. */
export async function* chunksOf(module: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < module.length; at += chunkBytes) yield module.subarray(at, at + chunkBytes);
}

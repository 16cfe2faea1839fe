/**
 * Composes what runs plugins: compiler, pool, registry, executor and its
 * decorators, log of executions. The order of the decorators here is the list
 * of what happens to an execution. Knows nothing of gRPC.
 */

import { availableParallelism } from 'node:os';
import type { Clock } from './base/clock.ts';
import type { Digest } from './base/digest.ts';
import type { Invoker } from './capabilities/services/invoke.ts';
import type { KvStore } from './capabilities/services/kv-store.ts';
import { deadlined } from './execution/deadlined.ts';
import { Executions, type GrantSource } from './execution/executions.ts';
import { HealthChecks } from './execution/health-checks.ts';
import { invokerOf } from './execution/invoker.ts';
import { pooledExecutor } from './execution/pooled-executor.ts';
import { traced } from './execution/traced.ts';
import { Warming } from './execution/warming.ts';
import { watched } from './execution/watched.ts';
import { startHostServices } from './host-services.ts';
import type { Log } from './model/log.ts';
import { PluginRegistry, type PluginRegistryOptions, type PluginStorage } from './plugins/registry.ts';
import type { Policy } from './policy/policy.ts';
import { SandboxPool } from './pool/pool.ts';
import { Compiler } from './sandbox/compiler.ts';
import { Sandbox } from './sandbox/sandbox.ts';
import { modulePolicyDefault, type OptionalFeature } from './wasm/policy.ts';

export interface EngineOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly dataDirectory: string;
  readonly threadsMin: number;
  readonly threadsMax: number;
  readonly queueMax: number;
  readonly policy: Policy;
  /** Where the policy's variables with secrets are. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** WebAssembly features that are refused unless the operator allows them. */
  readonly allowedFeatures: readonly OptionalFeature[];
  /** How long running executions may go on at shutdown. */
  readonly graceMs: number;
}

/** What executions need of a registry, whoever keeps the versions. */
export type ExecutedPlugins = Pick<
  PluginRegistry,
  'resolve' | 'compiled' | 'beginRun' | 'noteRun' | 'noteCheck' | 'running' | 'health' | 'referencesOf'
> &
  AsyncDisposable;

/** What differs between a server's only process and one of several. */
export interface EngineParts<Registry extends ExecutedPlugins> {
  /** Opens what knows the versions. */
  openRegistry(compiler: Compiler, links: RegistryLinks): Promise<Registry> | Registry;
  /** Absent: values of capability "kv" are kept in this process. */
  readonly kv?: KvStore;
  /** Absent: identifiers of executions carry nothing but their time. */
  readonly newId?: (nowMs: number) => string;
}

/** What a registry reaches of the rest of the engine. */
export interface RegistryLinks {
  readonly storage: PluginStorage;
  readonly released: (digest: Digest) => void;
}

export interface Engine<Registry extends ExecutedPlugins = PluginRegistry> extends AsyncDisposable {
  readonly registry: Registry;
  readonly kv: KvStore;
  readonly executions: Executions;
  readonly pool: SandboxPool;
  readonly warming: Warming;
}

/** The engine that keeps the versions itself. */
export async function startEngine(
  options: EngineOptions,
  parts: Omit<EngineParts<PluginRegistry>, 'openRegistry'> & Pick<PluginRegistryOptions, 'changed'> = {},
): Promise<Engine> {
  const { dataDirectory, clock, log, policy: grants } = options;
  const { changed, ...others } = parts;
  return await startEngineWith(options, {
    ...others,
    openRegistry: (compiler, links) =>
      PluginRegistry.open({ dataDirectory, compiler, grants, ...links, clock, log, ...(changed && { changed }) }),
  });
}

/** Starts everything, or nothing: what was started before a failure is stopped again. */
export async function startEngineWith<Registry extends ExecutedPlugins>(
  options: EngineOptions,
  parts: EngineParts<Registry>,
): Promise<Engine<Registry>> {
  const { clock, log } = options;
  await using stack = new AsyncDisposableStack();
  const modulePolicy = { ...modulePolicyDefault, allowedFeatures: options.allowedFeatures };
  const compiler = stack.use(await Compiler.start({ clock, policy: modulePolicy }));
  const links: RegistryLinks = {
    storage: { drop: (plugin) => host.kv.dropPlugin(plugin) },
    // A registry that opens has released nothing yet: the pool is there when it does.
    released: (digest) => pool.forget(digest),
  };
  const registry = stack.use(await parts.openRegistry(compiler, links));
  const pool = stack.use(
    await SandboxPool.start({
      clock,
      threadsMin: options.threadsMin,
      threadsMax: options.threadsMax,
      queueMax: options.queueMax,
      shortCallsMax: availableParallelism(),
      startSandbox: (id) => Sandbox.start({ clock, id }),
    }),
  );
  const grants = grantsOf(options.policy);
  const invoker: Invoker = {
    execute: (request, run) => invokerOf({ executor, registry, grants }).execute(request, run),
  };
  const host = stack.use(startHostServices({ ...options, invoker, ...(parts.kv && { kv: parts.kv }) }));
  const pooled = pooledExecutor({ plugins: registry, sandboxes: pool, services: host.services, clock });
  const executor = watched(traced(deadlined(pooled, clock)), registry);
  const { graceMs } = options;
  const { newId } = parts;
  const executions = stack.use(
    new Executions({ executor, registry, grants, clock, log, graceMs, ...(newId && { newId }) }),
  );
  stack.use(new HealthChecks({ executor, plugins: registry, grants, clock, log }));
  const owned = stack.move();
  const warming = new Warming(registry, pool);
  return { registry, executions, pool, warming, kv: host.kv, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function grantsOf(policy: Policy): GrantSource {
  return {
    grantFor: (tenant, { manifest }) => ({
      ...policy.grantFor({ tenant, manifest }),
      limitCaps: policy.limitsFor(tenant, manifest.name),
    }),
  };
}

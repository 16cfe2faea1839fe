/**
 * Composes what runs plugins: compiler, pool, registry, executor and its
 * decorators, log of executions. The order of the decorators here is the list
 * of what happens to an execution. Knows nothing of gRPC.
 */

import type { Clock } from './base/clock.ts';
import type { Invoker } from './capabilities/services/invoke.ts';
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
import { PluginRegistry } from './plugins/registry.ts';
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

export interface Engine extends AsyncDisposable {
  readonly registry: PluginRegistry;
  readonly executions: Executions;
  readonly pool: SandboxPool;
  readonly warming: Warming;
}

/** Starts everything, or nothing: what was started before a failure is stopped again. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { clock, log } = options;
  await using stack = new AsyncDisposableStack();
  const modulePolicy = { ...modulePolicyDefault, allowedFeatures: options.allowedFeatures };
  const compiler = stack.use(await Compiler.start({ clock, policy: modulePolicy }));
  const registry = stack.use(
    await PluginRegistry.open({
      dataDirectory: options.dataDirectory,
      compiler,
      grants: options.policy,
      storage: { drop: (plugin) => host.kv.dropPlugin(plugin) },
      clock,
      log,
    }),
  );
  const pool = stack.use(
    await SandboxPool.start({
      clock,
      threadsMin: options.threadsMin,
      threadsMax: options.threadsMax,
      queueMax: options.queueMax,
      startSandbox: (id) => Sandbox.start({ clock, id }),
    }),
  );
  const grants = grantsOf(options.policy);
  const invoker: Invoker = {
    execute: (request, run) => invokerOf({ executor, registry, grants }).execute(request, run),
  };
  const host = stack.use(startHostServices({ ...options, invoker }));
  const pooled = pooledExecutor({ plugins: registry, sandboxes: pool, services: host.services, clock });
  const executor = watched(traced(deadlined(pooled, clock)), registry);
  const executions = stack.use(new Executions({ executor, registry, grants, clock, log, graceMs: options.graceMs }));
  stack.use(new HealthChecks({ executor, plugins: registry, grants, clock, log }));
  const owned = stack.move();
  const warming = new Warming(registry, pool);
  return { registry, executions, pool, warming, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

function grantsOf(policy: Policy): GrantSource {
  return {
    grantFor: (tenant, { manifest }) => ({
      ...policy.grantFor({ tenant, manifest }),
      limitCaps: policy.limitsFor(tenant, manifest.name),
    }),
  };
}

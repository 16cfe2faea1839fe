/**
 * Composes what runs plugins: compiler, pool, registry, executor and its
 * decorators, log of executions. The order of the decorators here is the list
 * of what happens to an execution. Knows nothing of gRPC.
 */

import type { Clock } from './base/clock.ts';
import { deadlined } from './execution/deadlined.ts';
import { Executions } from './execution/executions.ts';
import { pooledExecutor } from './execution/pooled-executor.ts';
import { traced } from './execution/traced.ts';
import type { Log } from './model/log.ts';
import { PluginRegistry } from './plugins/registry.ts';
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
  /** WebAssembly features that are refused unless the operator allows them. */
  readonly allowedFeatures: readonly OptionalFeature[];
  /** How long running executions may go on at shutdown. */
  readonly graceMs: number;
}

export interface Engine extends AsyncDisposable {
  readonly registry: PluginRegistry;
  readonly executions: Executions;
  readonly pool: SandboxPool;
}

/** Starts everything, or nothing: what was started before a failure is stopped again. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { clock, log } = options;
  await using stack = new AsyncDisposableStack();
  const policy = { ...modulePolicyDefault, allowedFeatures: options.allowedFeatures };
  const compiler = stack.use(await Compiler.start({ clock, policy }));
  const registry = stack.use(await PluginRegistry.open({ dataDirectory: options.dataDirectory, compiler, clock, log }));
  const pool = stack.use(
    await SandboxPool.start({
      clock,
      threadsMin: options.threadsMin,
      threadsMax: options.threadsMax,
      queueMax: options.queueMax,
      startSandbox: (id) => Sandbox.start({ clock, id }),
    }),
  );
  const executor = traced(deadlined(pooledExecutor({ plugins: registry, sandboxes: pool, clock }), clock));
  const executions = stack.use(new Executions({ executor, registry, clock, log, graceMs: options.graceMs }));
  const owned = stack.move();
  return { registry, executions, pool, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

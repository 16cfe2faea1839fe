/**
 * The executor that really runs: it has the module compiled, waits for a sandbox,
 * runs the guest there and completes the receipt. Time limits, traces and the
 * rest are decorators around it.
 */

import type { Clock } from '../base/clock.ts';
import { AbortReason } from '../model/abort-reason.ts';
import type { ExecutionContext, Executor, PreparedAction, RunPhases } from '../model/execution.ts';
import { emptyUsage, failedOutcome, type Outcome, type Usage } from '../model/outcome.ts';
import type { PluginVersion } from '../model/plugin.ts';
import type { Lease } from '../pool/pool.ts';
import type { CompiledPlugin } from '../sandbox/compiler.ts';
import type { SandboxCall } from '../sandbox/sandbox.ts';

/** What the executor needs of the registry. */
export interface CompiledPluginSource {
  compiled(version: PluginVersion, memoryBytes: number, signal?: AbortSignal): Promise<CompiledPlugin>;
}

/** What the executor needs of the pool. */
export interface SandboxSource {
  /** Waits for a sandbox; rejects QUEUE_FULL, or when the signal aborts. */
  lease(signal: AbortSignal): Promise<Lease>;
}

export interface PooledExecutorOptions {
  readonly plugins: CompiledPluginSource;
  readonly sandboxes: SandboxSource;
  readonly clock: Clock;
}

type Measured = { -readonly [Phase in keyof RunPhases]: RunPhases[Phase] };

export function pooledExecutor(options: PooledExecutorOptions): Executor {
  return { execute: (action, context) => execute(options, action, context) };
}

async function execute(
  options: PooledExecutorOptions,
  action: PreparedAction,
  context: ExecutionContext,
): Promise<Outcome> {
  const { clock } = options;
  const startMs = clock.now();
  const phases: Measured = { startMs, endMs: startMs };
  try {
    const outcome = await admit(options, action, context, phases);
    phases.endMs = clock.now();
    return { ...outcome, usage: completeUsage(outcome.usage, phases) };
  } finally {
    phases.endMs = clock.now();
    context.measured?.(phases);
  }
}

/** Waits for module and sandbox. A run that is stopped while it waits has an outcome, though it never began. */
async function admit(
  { plugins, sandboxes, clock }: PooledExecutorOptions,
  action: PreparedAction,
  context: ExecutionContext,
  phases: Measured,
): Promise<Outcome> {
  const { signal } = context;
  let plugin: CompiledPlugin;
  let lease: Lease;
  try {
    signal.throwIfAborted();
    plugin = await plugins.compiled(action.version, action.limits.memoryBytes, signal);
    phases.compiledMs = clock.now();
    lease = await sandboxes.lease(signal);
    phases.leasedMs = clock.now();
  } catch (error) {
    if (signal.aborted) return notBegun(action, signal);
    throw error;
  }
  using held = lease;
  if (signal.aborted) return notBegun(action, signal);
  context.report({ type: 'stage', stage: 'RUNNING' });
  const call = { ...callOf(action, context.id, plugin), profiled: context.profiled !== undefined };
  const { outcome, timings, profile } = await held.sandbox.run(call, context);
  if (profile) context.profiled?.(profile);
  if (timings) {
    phases.guestStartMs = timings.guestStartMs;
    phases.guestEndMs = timings.guestEndMs;
  }
  return outcome;
}

function callOf(action: PreparedAction, executionId: string, plugin: CompiledPlugin): SandboxCall {
  return {
    executionId,
    plugin,
    functionName: action.function,
    input: action.input,
    config: action.config,
    capabilities: action.version.manifest.capabilities,
    limits: action.limits,
  };
}

function notBegun(action: PreparedAction, signal: AbortSignal): Outcome {
  const { kind, message } = AbortReason.of(signal);
  return failedOutcome(kind, message, { ...emptyUsage, inputBytes: action.input.byteLength });
}

/** The sandbox has measured the run. The wait for the module counts as neither queue nor run: only the wall time holds it. */
function completeUsage(usage: Usage, phases: RunPhases): Usage {
  const { startMs, compiledMs, leasedMs, endMs } = phases;
  return {
    ...usage,
    wallMs: endMs - startMs,
    queueMs: compiledMs === undefined ? 0 : (leasedMs ?? endMs) - compiledMs,
  };
}

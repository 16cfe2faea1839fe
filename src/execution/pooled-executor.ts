/**
 * The executor that really runs: it has the module compiled, waits for a sandbox,
 * runs the guest there and completes the receipt. Time limits, traces and the
 * rest are decorators around it.
 */

import type { Clock } from '../base/clock.ts';
import { AbortReason } from '../model/abort-reason.ts';
import type { ExecutionContext, Executor, PreparedAction, RunPhases } from '../model/execution.ts';
import { emptyUsage, failedOutcome, type Outcome, type Usage } from '../model/outcome.ts';
import type { HostService } from '../capabilities/services/service.ts';
import { type PluginVersion, referenceOf } from '../model/plugin.ts';
import type { Lease, LeaseRequest } from '../pool/pool.ts';
import type { CompiledPlugin } from '../sandbox/compiler.ts';
import type { InstanceWish, SandboxCall, SandboxRun } from '../sandbox/sandbox.ts';
import { GuestSpans } from './guest-spans.ts';

/** What the executor needs of the registry. */
export interface CompiledPluginSource {
  compiled(version: PluginVersion, memoryBytes: number, signal?: AbortSignal): Promise<CompiledPlugin>;
}

/** What the executor needs of the pool. */
export interface SandboxSource {
  /** Waits for a sandbox; rejects QUEUE_FULL, or when the signal aborts. */
  lease(request: LeaseRequest, signal: AbortSignal): Promise<Lease>;
}

export interface PooledExecutorOptions {
  readonly plugins: CompiledPluginSource;
  readonly sandboxes: SandboxSource;
  /** Answers the host calls that threads cannot. */
  readonly services: HostService;
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
  { plugins, sandboxes, services, clock }: PooledExecutorOptions,
  action: PreparedAction,
  context: ExecutionContext,
  phases: Measured,
): Promise<Outcome> {
  const { signal } = context;
  let plugin: CompiledPlugin;
  let instance: InstanceWish;
  let lease: Lease;
  try {
    signal.throwIfAborted();
    plugin = await plugins.compiled(action.version, action.limits.memoryBytes, signal);
    phases.compiledMs = clock.now();
    instance = instanceWish(action, plugin);
    lease = await sandboxes.lease(leaseRequest(action, context, { plugin, instance }), signal);
    phases.leasedMs = clock.now();
  } catch (error) {
    if (signal.aborted) return notBegun(action, signal);
    throw error;
  }
  using held = lease;
  if (signal.aborted) return notBegun(action, signal);
  context.report({ type: 'stage', stage: 'RUNNING' });
  const call = callOf(action, context, { plugin, instance });
  using spans = context.span && new GuestSpans(context.span);
  const run = runOf(action, context, { services, lease: held, spans });
  const { outcome, timings, profile } = await held.sandbox.run(call, run);
  if (profile) context.profiled?.(profile);
  if (timings) {
    phases.guestStartMs = timings.guestStartMs;
    phases.guestEndMs = timings.guestEndMs;
  }
  return outcome;
}

/** What an action needs of a sandbox. */
interface Needs {
  readonly plugin: CompiledPlugin;
  readonly instance: InstanceWish;
}

function leaseRequest(action: PreparedAction, context: ExecutionContext, { plugin, instance }: Needs): LeaseRequest {
  const { mode, key } = instance;
  return {
    tenant: action.tenant,
    plugin: action.version.manifest.name,
    pluginKey: plugin.key,
    isNested: (context.chain?.length ?? 0) > 0,
    ...(mode === 'session' && { session: key }),
  };
}

function callOf(action: PreparedAction, { id, profiled }: ExecutionContext, needs: Needs): SandboxCall {
  return {
    executionId: id,
    ...needs,
    functionName: action.function,
    input: action.input,
    config: action.config,
    grant: action.grant,
    limits: action.limits,
    randomSeed: action.randomSeed,
    profiled: profiled !== undefined,
  };
}

/**
 * Instances are kept for one tenant's runs of one version, or one of its sessions, alone: versions may share a module,
 * and one that was deleted may be published again.
 */
function instanceWish({ tenant, sessionId, version }: PreparedAction, plugin: CompiledPlugin): InstanceWish {
  const { mode, warm } = version.manifest.instance;
  if (mode === 'fresh') return { mode, warm, key: '' };
  const whose = [referenceOf(version), version.createdMs, tenant, mode === 'session' ? sessionId : ''];
  return { mode, warm, key: JSON.stringify([plugin.key, ...whose]) };
}

/** What a running guest reaches of the main thread. */
function runOf(
  action: PreparedAction,
  context: ExecutionContext,
  reached: { readonly services: HostService; readonly lease: Lease; readonly spans: GuestSpans | undefined },
): SandboxRun {
  const { services, lease, spans } = reached;
  const { id, signal, span } = context;
  const chain = [...(context.chain ?? []), referenceOf(action.version)];
  let number = 0;
  return {
    signal,
    report: (event) => context.report(event),
    ...(spans && { traced: (guestSpan) => spans.add(guestSpan) }),
    async answer(operation, request, fuelLeft) {
      using _blocked = operation === 'invoke.call' ? lease.block() : undefined;
      const { grant, randomSeed } = action;
      const run = {
        executionId: id,
        number: ++number,
        grant,
        randomSeed,
        signal,
        fuelLeft,
        chain,
        ...(span && { span }),
      };
      return await services.answer(operation, request, run);
    },
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

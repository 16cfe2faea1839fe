/** Carries out the calls that a running plugin makes of another: like calls from outside, but on the caller's account. */

import { createHash } from 'node:crypto';
import type { AskingRun } from '../capabilities/services/service.ts';
import type { Invoker, InvokeRequest } from '../capabilities/services/invoke.ts';
import { linkSignals } from '../base/signals.ts';
import type { Action, Executor } from '../model/execution.ts';
import { refusalText } from '../model/grant-refusal.ts';
import { resolveLimits } from '../model/limits.ts';
import { emptyUsage, failedOutcome, type Outcome } from '../model/outcome.ts';
import type { GrantSource, PluginSource } from './executions.ts';
import { prepareAction } from './prepared-action.ts';

export interface InvokerOptions {
  readonly executor: Executor;
  readonly registry: PluginSource;
  readonly grants: GrantSource;
}

/** Tenant and deadline are the caller's; fuel is what it has left, if the plugin's own limit is not less. */
export function invokerOf({ executor, registry, grants }: InvokerOptions): Invoker {
  return {
    async execute(request: InvokeRequest, run: AskingRun): Promise<Outcome> {
      const { tenant } = run.grant;
      const version = registry.resolve(request.plugin);
      const decision = grants.grantFor(tenant, version);
      const [refusal] = decision.refusals;
      if (refusal) return failedOutcome('NOT_GRANTED', refusalText(refusal), emptyUsage);
      const fuel = Math.min(request.fuelMax, resolveLimits({}, version.manifest.limits).fuel);
      const action = prepareAction(actionOf(request, run, fuel), version, decision);
      const { executionId: id, chain, span } = run;
      using linked = linkSignals(run.signal);
      const { signal, abort: stop } = linked;
      return await executor.execute(action, { id, signal, stop, chain, report: () => {}, ...(span && { span }) });
    },
  };
}

/** A seed of its own for each call of a seeded run: two streams of one seed are equal. */
function seedOf({ randomSeed, number }: AskingRun): Uint8Array {
  if (randomSeed.length === 0) return randomSeed;
  return createHash('sha256').update(randomSeed).update(`invoke ${number}`).digest();
}

function actionOf(request: InvokeRequest, run: AskingRun, fuel: number): Action {
  return {
    tenant: run.grant.tenant,
    plugin: request.plugin,
    function: request.function,
    input: request.input,
    config: new Map(),
    limits: { fuel },
    requestId: '',
    labels: new Map(),
    randomSeed: seedOf(run),
    sessionId: '',
  };
}

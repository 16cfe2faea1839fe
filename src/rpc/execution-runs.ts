/** How a run hangs on the call that asked for it, and when its end is a refusal. */

import type { ExecutionSnapshot } from '../execution/execution-record.ts';
import type { StartOptions } from '../execution/executions.ts';
import type { Action } from '../model/execution.ts';
import type { ExecutionApi } from './execution-api.ts';
import type { CallContext } from './service-types.ts';
import { shuttingDown } from './status.ts';

/** Runs an action that stops when the caller goes. Rejects if the platform refused or failed. */
export async function runToEnd(
  executions: ExecutionApi,
  action: Action,
  context: CallContext,
): Promise<ExecutionSnapshot> {
  return endedByItself(await executions.start(action, attachedOptions(context)).ended);
}

/** The run stops when the caller goes. */
export function attachedOptions(context: CallContext): StartOptions {
  return { signal: context.signal, ...detachedOptions(context) };
}

/** The run is traced as part of the call, but nothing that happens to the call stops it. */
export function detachedOptions({ span }: CallContext): StartOptions {
  return span ? { span } : {};
}

/** The snapshot of an ended run. One that the shutdown cut short is a refusal, so that callers try again. */
export function endedByItself(snapshot: ExecutionSnapshot): ExecutionSnapshot {
  const { outcome, id } = snapshot;
  const cutShort = outcome !== undefined && outcome.name !== 'OK' && outcome.error.kind === 'SHUTDOWN';
  if (cutShort) throw shuttingDown({ execution_id: id });
  return snapshot;
}

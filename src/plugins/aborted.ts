/** What a caller is told when the registry gives up because a signal aborted. */

import { onAbort } from '../base/signals.ts';
import { AbortReason, type StopKind } from '../model/abort-reason.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Reason } from '../model/reasons.ts';

const reasonOf: Readonly<Record<StopKind, Reason>> = {
  TIMEOUT: 'DEADLINE_EXCEEDED',
  CANCELED: 'CANCELED',
  DISCONNECTED: 'CANCELED',
  DEADLINE: 'DEADLINE_EXCEEDED',
  SHUTDOWN: 'SHUTTING_DOWN',
};

/** The error for work that an aborted signal ended: the signal's own if it carries an ExecError, else by its AbortReason. */
export function abortError(signal: AbortSignal): ExecError {
  if (signal.reason instanceof ExecError) return signal.reason;
  const reason = AbortReason.of(signal);
  return new ExecError(reasonOf[reason.kind], reason.message);
}

/** What `work` settles with, or a rejection as soon as the signal aborts; the work itself goes on. */
export async function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  work.then(resolve, reject);
  using _listening = onAbort(signal, () => reject(abortError(signal)));
  return await promise;
}

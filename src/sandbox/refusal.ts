/** Errors on their way: between threads, and out of waits that were cut short. */

import { AbortReason, type StopKind } from '../model/abort-reason.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Reason } from '../model/reasons.ts';
import type { ErrorData } from './protocol.ts';

const reasonOfStop: Readonly<Record<StopKind, Reason>> = {
  TIMEOUT: 'DEADLINE_EXCEEDED',
  DEADLINE: 'DEADLINE_EXCEEDED',
  CANCELED: 'CANCELED',
  DISCONNECTED: 'CANCELED',
  SHUTDOWN: 'SHUTTING_DOWN',
};

/** Why someone who waited for `what` no longer does. */
export function abortRefusal(signal: AbortSignal, what: string): ExecError {
  const { kind, message } = AbortReason.of(signal);
  return new ExecError(reasonOfStop[kind], `Stopped waiting for ${what}: ${message}`, { cause: signal.reason });
}

export function errorData(error: unknown): ErrorData {
  const { reason, message, cause } = ExecError.from(error);
  return { reason, message, ...(cause !== undefined && { cause: describe(cause) }) };
}

export function errorFrom({ reason, message, cause }: ErrorData): ExecError {
  return new ExecError(reason, message, { cause });
}

function describe(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
}

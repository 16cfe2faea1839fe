/**
 * Whatever went wrong, as one line or one JSON value, and the exit code for it.
 * Never a stack trace: a fault of this program is named, its cause is not shown.
 */

import { CommanderError } from 'commander';
import { CallError } from '../client/call-error.ts';
import { ExecError } from '../model/exec-error.ts';
import { reasons } from '../model/reasons.ts';
import { exitCodeOfRefusal, exitCodes } from './exit-codes.ts';
import { shown } from './output.ts';

/** The command line, or a file that it names, is not what it must be. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Something on this machine does not work; the message says what and what to do. */
export class LocalError extends Error {
  override readonly name = 'LocalError';
}

export interface Failure {
  readonly exitCode: number;
  /** Name of the gRPC status code; absent if no server or engine refused. */
  readonly code?: string;
  readonly reason?: string;
  readonly message: string;
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  readonly retryDelayMs?: number;
}

export function failureOf(error: unknown): Failure {
  if (error instanceof CallError) return refusal(error.codeName, error);
  if (error instanceof ExecError) return refusal(reasons[error.reason].code, error);
  if (error instanceof UsageError) return { exitCode: exitCodes.usage, message: error.message, violations: [] };
  if (error instanceof CommanderError) return commanderFailure(error);
  const message = error instanceof Error ? error.message : String(error);
  return { exitCode: exitCodes.failure, message, violations: [] };
}

function refusal(code: string, error: CallError | ExecError): Failure {
  const { reason, message, violations, retryDelayMs } = error;
  return {
    exitCode: exitCodeOfRefusal(code),
    code,
    reason: reason === '' || reason === undefined ? code : reason,
    message,
    violations,
    ...(retryDelayMs !== undefined && { retryDelayMs }),
  };
}

function commanderFailure(error: CommanderError): Failure {
  const message = error.message.replace(/^error: /, '');
  return { exitCode: error.exitCode === 0 ? exitCodes.ok : exitCodes.usage, message, violations: [] };
}

/** "caisson: PLUGIN_NOT_FOUND: no plugin …; field: what is wrong; try again in 1 s" */
export function failureLine({ reason, message, violations, retryDelayMs }: Failure): string {
  const parts = [
    reason === undefined ? message : `${reason}: ${message}`,
    ...violations.map(({ field, description }) => `${field}: ${description}`).filter((text) => !message.includes(text)),
    ...(retryDelayMs === undefined ? [] : [`try again in ${retryDelayMs / 1_000} s`]),
  ];
  return shown(`caisson: ${parts.join('; ').replaceAll(/\s*\n\s*/g, ' ')}`);
}

/** The same for programs. */
export function failureJson({ code, reason, message, violations, retryDelayMs }: Failure): object {
  return { error: { code, reason, message, violations, retryDelayMs } };
}

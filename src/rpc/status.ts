/**
 * Errors into gRPC statuses. What the platform refuses leaves with google.rpc
 * details; whatever else was thrown leaves as INTERNAL with an id and nothing of
 * its text, and goes to the log under that id.
 */

import { Metadata, status as statusCodes } from '@grpc/grpc-js';
import type { Clock } from '../base/clock.ts';
import { timeOrderedId } from '../base/identifier.ts';
import { boundedText } from '../base/text.ts';
import { AbortReason } from '../model/abort-reason.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Log } from '../model/log.ts';
import { type Reason, reasons, type StatusCode } from '../model/reasons.ts';
import { encodeDetails, type Refusal } from './details.ts';
import { ForwardedRefusal } from './forwarded-refusal.ts';
import { detailsKey, pushbackKey, type WireStatus } from './wire-status.ts';

export type { WireStatus } from './wire-status.ts';

/** Thrown by the standard services, whose protocols name codes that no Reason has. */
export class StandardRefusal extends Error {
  readonly code: StatusCode;
  readonly reason: string;
  /** What it is about. */
  readonly subject: string;

  constructor(code: StatusCode, reason: string, message: string, subject: string) {
    super(message);
    this.name = 'StandardRefusal';
    this.code = code;
    this.reason = reason;
    this.subject = subject;
  }
}

/** Where faults of the server are told, and when they happened. */
export interface FaultLog {
  readonly clock: Clock;
  readonly log: Log;
}

/** Bytes of "grpc-message" as sent. */
export const statusTextBytesMax = 2_048;
const faultTextBytesMax = 512;

/** 5 of NOT_FOUND. */
export function statusCodeNumber(code: StatusCode): number {
  return statusCodes[code];
}

/** A call that failed: its path, and its request where it had a single one. */
export interface FailedCall {
  readonly path: string;
  readonly request?: unknown;
}

/** The status for anything thrown; faults of the server are logged with their cause under the id that the caller sees. */
export function statusFor(thrown: unknown, call: FailedCall, faults: FaultLog): WireStatus {
  return thrown instanceof ForwardedRefusal ? thrown.status : wireStatus(refusalFor(thrown, call, faults));
}

/** The refusal for anything thrown, logged as statusFor says. */
export function refusalFor(thrown: unknown, call: FailedCall, { clock, log }: FaultLog): Refusal {
  if (thrown instanceof StandardRefusal) return standardRefusal(thrown);
  if (thrown instanceof ForwardedRefusal) return thrown.refusal;
  const error = asExecError(thrown);
  const refusal = refusalOf(error, call.request);
  const fields = { method: call.path, reason: error.reason, error: error.cause ?? error };
  if (!isFault(refusal.code)) {
    if (error.cause !== undefined) log.warn(fields, 'A call was refused');
    return refusal;
  }
  const id = timeOrderedId(clock.now());
  log.error({ ...fields, error_id: id }, 'A call failed');
  // Cut before the id is added, so that the id is not what is cut off.
  const message = `${boundedText(error.message, faultTextBytesMax)} (id ${id})`;
  return { ...refusal, message, help: '', metadata: { error_id: id, ...error.metadata } };
}

function standardRefusal({ code, reason, message, subject }: StandardRefusal): Refusal {
  return { code, reason, message, help: '', violations: [], metadata: {}, retryDelayMs: undefined, subject };
}

function refusalOf(error: ExecError, request: unknown): Refusal {
  const { reason, message, violations, metadata, retryDelayMs } = error;
  const subject = subjectOf(reason, request);
  const { code, help } = reasons[reason];
  return { code, reason, message, help, violations, metadata, retryDelayMs, subject };
}

/** First word of a reason -> field of the requests that names what it is about. */
const subjectFields: ReadonlyMap<string, string> = new Map([
  ['PLUGIN', 'plugin'],
  ['FUNCTION', 'function'],
  ['EXECUTION', 'id'],
]);

function subjectOf(reason: Reason, request: unknown): string {
  const field = subjectFields.get(reason.split('_')[0] ?? '');
  const value = field && (request as Readonly<Record<string, unknown>> | undefined)?.[field];
  return typeof value === 'string' ? value : '';
}

/** Whether a status with this code means that the server is at fault. */
function isFault(code: StatusCode): boolean {
  return code === 'INTERNAL' || code === 'DATA_LOSS';
}

/** The ExecError for anything thrown: an abort reason becomes the refusal that it stands for. */
function asExecError(thrown: unknown): ExecError {
  if (!(thrown instanceof AbortReason)) return ExecError.from(thrown);
  switch (thrown.kind) {
    case 'SHUTDOWN':
      return shuttingDown();
    case 'DEADLINE':
      return new ExecError('DEADLINE_EXCEEDED', 'The deadline of the call passed');
    case 'CANCELED':
    case 'DISCONNECTED':
      return new ExecError('CANCELED', 'The caller canceled the call');
    case 'TIMEOUT':
      return ExecError.from(thrown);
  }
}

/** What every call is told once the server shuts down. */
export function shuttingDown(metadata: Readonly<Record<string, string>> = {}): ExecError {
  return new ExecError('SHUTTING_DOWN', 'The server is shutting down', { metadata });
}

function wireStatus(refusal: Refusal): WireStatus {
  const code = statusCodeNumber(refusal.code);
  const metadata = new Metadata();
  const bytes = encodeDetails(refusal, code);
  metadata.set(detailsKey, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  if (refusal.retryDelayMs !== undefined) metadata.set(pushbackKey, String(Math.ceil(refusal.retryDelayMs)));
  return { code, details: statusText(refusalText(refusal)), metadata };
}

/** What was wrong, and what to do; the latter is not cut off, however long the former. */
export function refusalText({ message, help }: Refusal): string {
  if (help === '') return message;
  return `${boundedText(message, statusTextBytesMax - Buffer.byteLength(help) - 2)}. ${help}`;
}

/**
 * Text fit for "grpc-message": well-formed, because grpc-js passes it to
 * encodeURI in a callback where a lone surrogate ends the process, and at most
 * statusTextBytesMax bytes long once percent-encoded.
 */
export function statusText(text: string): string {
  let cut = boundedText(text, statusTextBytesMax);
  for (let max = statusTextBytesMax; encodeURI(cut).length > statusTextBytesMax; cut = boundedText(text, max)) {
    max = Math.floor(max * 0.8);
  }
  return cut;
}

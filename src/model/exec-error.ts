/**
 * The one error class. It says why the platform refused or failed; whatever a
 * guest does is an Outcome instead, and never thrown.
 */

import { type Reason, reasons, retryDelayMsDefault } from './reasons.ts';

/** One field of a request that is wrong, by its proto path or manifest path. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface ExecErrorOptions {
  /** What stands behind the failure: for the log, never sent. */
  readonly cause?: unknown;
  readonly violations?: readonly FieldViolation[];
  /** Facts for programs, sent in ErrorInfo.metadata: short, printable ASCII keys. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly retryDelayMs?: number;
}

export class ExecError extends Error {
  readonly reason: Reason;
  readonly violations: readonly FieldViolation[];
  readonly metadata: Readonly<Record<string, string>>;
  /** How long to wait before another try; absent if another try is in vain. */
  readonly retryDelayMs: number | undefined;

  /** `message` leaves the process: it may hold only what the caller may know. */
  constructor(reason: Reason, message: string, options: ExecErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ExecError';
    this.reason = reason;
    this.violations = options.violations ?? [];
    this.metadata = options.metadata ?? {};
    this.retryDelayMs = options.retryDelayMs ?? (reasons[reason].retryable ? retryDelayMsDefault : undefined);
  }

  /** The error itself if it is one, else INTERNAL with a fixed text and the error as its cause. */
  static from(error: unknown): ExecError {
    return error instanceof ExecError ? error : new ExecError('INTERNAL', 'internal error', { cause: error });
  }
}

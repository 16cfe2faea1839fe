/** What a call failed with, google.rpc details decoded. Knows no service. */

import { type DescMessage, fromBinary, type MessageShape } from '@bufbuild/protobuf';
import { type Any, anyUnpack } from '@bufbuild/protobuf/wkt';
import { type ServiceError, status as statusCodes } from '@grpc/grpc-js';
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from '../gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../gen/google/rpc/status_pb.ts';

const detailsKey = 'grpc-status-details-bin';
const msPerSecond = 1_000;
const nanosPerMs = 1_000_000;

/** The name of a gRPC status code. */
export type CodeName = keyof typeof statusCodes;

/** One field of the request that is wrong. */
export interface CallFieldViolation {
  readonly field: string;
  readonly description: string;
}

/** Says why a call failed: the status, and what the server's details tell beyond it. */
export class CallError extends Error {
  /** gRPC status code, 5 for NOT_FOUND. */
  readonly code: number;
  readonly codeName: CodeName;
  /** Stable name of the cause from ErrorInfo; empty if the server gave none, as when it could not be reached. */
  readonly reason: string;
  /** Facts from ErrorInfo. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly CallFieldViolation[];
  /** How long to wait before another try; undefined if the server advises none. */
  readonly retryDelayMs: number | undefined;

  constructor(error: ServiceError, options?: ErrorOptions) {
    super(error.details, options);
    this.name = 'CallError';
    this.code = error.code;
    this.codeName = (statusCodes[error.code] ?? 'UNKNOWN') as CodeName;
    const details = detailsOf(error);
    const info = unpacked(details, ErrorInfoSchema);
    this.reason = info?.reason ?? '';
    this.metadata = info?.metadata ?? {};
    this.violations = violationsOf(details);
    this.retryDelayMs = retryDelayOf(details);
  }

  /** The error as callers shall see it: grpc-js's own become CallErrors, the cause being why the caller aborted, if it did. */
  static from(error: unknown, signal: AbortSignal | undefined): unknown {
    if (!isServiceError(error)) return error;
    return new CallError(error, signal?.aborted === true ? { cause: signal.reason } : undefined);
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

function detailsOf({ metadata }: ServiceError): readonly Any[] {
  const [bytes] = metadata?.get(detailsKey) ?? [];
  if (!(bytes instanceof Uint8Array)) return [];
  return unlessDamaged(() => fromBinary(StatusSchema, bytes).details) ?? [];
}

function unpacked<Desc extends DescMessage>(details: readonly Any[], schema: Desc): MessageShape<Desc> | undefined {
  return details
    .map((detail) => unlessDamaged(() => anyUnpack(detail, schema)))
    .find((message) => message !== undefined);
}

/** Details are a courtesy: damaged ones must not hide the error itself. */
function unlessDamaged<Result>(decode: () => Result): Result | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

function violationsOf(details: readonly Any[]): readonly CallFieldViolation[] {
  const violations = unpacked(details, BadRequestSchema)?.fieldViolations ?? [];
  return violations.map(({ field, description }) => ({ field, description }));
}

function retryDelayOf(details: readonly Any[]): number | undefined {
  const delay = unpacked(details, RetryInfoSchema)?.retryDelay;
  return delay && Number(delay.seconds) * msPerSecond + delay.nanos / nanosPerMs;
}

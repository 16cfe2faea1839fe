/**
 * google.rpc details of a refusal, as the bytes of the trailer
 * "grpc-status-details-bin". Bounded: clients built on the C core replace an
 * error whose trailers exceed 8 KiB by one of their own.
 */

import { create, type DescMessage, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { type Any, anyPack } from '@bufbuild/protobuf/wkt';
import { boundedText } from '../base/text.ts';
import {
  type BadRequest_FieldViolationSchema,
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from '../gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../gen/google/rpc/status_pb.ts';
import type { FieldViolation } from '../model/exec-error.ts';
import type { StatusCode } from '../model/reasons.ts';
import { durationOf } from './wire-time.ts';

/** A refusal on its way to the wire. */
export interface Refusal {
  /** Name of the gRPC status code. */
  readonly code: StatusCode;
  /** Stable name of the cause. */
  readonly reason: string;
  readonly message: string;
  /** What the caller should do; empty if there is nothing to say. */
  readonly help: string;
  readonly violations: readonly FieldViolation[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryDelayMs: number | undefined;
  /** The name of the plugin, function or execution that it is about; empty if it is about none. */
  readonly subject: string;
}

/** ErrorInfo.domain of everything that this server refuses. */
const domain = 'caisson';
/** Bound of the encoded Status; in base64 it is a third longer. */
export const detailsBytesMax = 4_096;
/** Bytes of message repeated inside the details; the trailer "grpc-message" holds more. */
const messageBytesMax = 512;
const metadataEntriesMax = 8;
const metadataKeyBytesMax = 64;
const metadataValueBytesMax = 128;
const fieldBytesMax = 128;
const descriptionBytesMax = 256;
/** Bytes that packing adds around one violation at most. */
const violationOverheadBytes = 16;

/** Encoded google.rpc.Status of at most detailsBytesMax bytes; field violations that do not fit are left out, the last ones first. */
export function encodeDetails(refusal: Refusal, code: number): Uint8Array {
  const message = boundedText(refusal.message, messageBytesMax);
  const details = [errorInfo(refusal), ...optionalDetails(refusal, message)];
  const encode = (all: Any[]): Uint8Array =>
    toBinary(StatusSchema, create(StatusSchema, { code, message, details: all }));
  const bytes = encode(details);
  if (refusal.violations.length === 0) return bytes;
  const fieldViolations = fitting(refusal.violations, detailsBytesMax - bytes.length - badRequestOverheadBytes);
  return encode([...details, packed(BadRequestSchema, { fieldViolations })]);
}

const badRequestOverheadBytes = 64;

function packed<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Any {
  return anyPack(schema, create(schema, init));
}

function errorInfo({ reason, metadata }: Refusal): Any {
  const entries = Object.entries(metadata)
    .slice(0, metadataEntriesMax)
    .map(([key, value]) => [boundedText(key, metadataKeyBytesMax), boundedText(value, metadataValueBytesMax)] as const);
  return packed(ErrorInfoSchema, { reason, domain, metadata: Object.fromEntries(entries) });
}

function optionalDetails(refusal: Refusal, description: string): Any[] {
  const details: Any[] = [];
  const subject = boundedText(refusal.subject, metadataValueBytesMax);
  if (refusal.retryDelayMs !== undefined) {
    details.push(packed(RetryInfoSchema, { retryDelay: durationOf(refusal.retryDelayMs) }));
  }
  if (refusal.code === 'NOT_FOUND' || refusal.code === 'ALREADY_EXISTS') {
    details.push(packed(ResourceInfoSchema, { resourceType: resourceTypeOf(refusal.reason), resourceName: subject }));
  }
  if (refusal.code === 'RESOURCE_EXHAUSTED') {
    details.push(packed(QuotaFailureSchema, { violations: [{ subject: subject || 'server', description }] }));
  }
  if (refusal.code === 'FAILED_PRECONDITION') {
    details.push(packed(PreconditionFailureSchema, { violations: [{ type: refusal.reason, subject, description }] }));
  }
  return details;
}

/** "plugin" of PLUGIN_NOT_FOUND. */
function resourceTypeOf(reason: string): string {
  return reason.split('_')[0]?.toLowerCase() ?? '';
}

function fitting(
  violations: readonly FieldViolation[],
  room: number,
): MessageInitShape<typeof BadRequest_FieldViolationSchema>[] {
  let left = room;
  const fit = [];
  for (const violation of violations) {
    const field = boundedText(violation.field, fieldBytesMax);
    const description = boundedText(violation.description, descriptionBytesMax);
    left -= Buffer.byteLength(field) + Buffer.byteLength(description) + violationOverheadBytes;
    if (left < 0) break;
    fit.push({ field, description });
  }
  return fit;
}

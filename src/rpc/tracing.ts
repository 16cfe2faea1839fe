/**
 * Spans of calls. Owns when a span starts and that it ends exactly once;
 * how spans are made belongs to the tracer. Where no tracer is configured there
 * is no interceptor at all.
 */

import {
  type Metadata,
  type ServerInterceptor,
  ServerInterceptingCall,
  type ServerListener,
  status as statusCodes,
} from '@grpc/grpc-js';
import type { TraceAttributes, TraceSpan } from '../model/trace.ts';
import { wallClockMs } from './wall-clock.ts';

/** Reads the metadata of a call, such as "traceparent". */
export interface MetadataReader {
  get(name: string): readonly string[];
}

/** Starts spans; telemetry/ implements it. */
export interface CallTracer {
  /** `path` is "/package.Service/Method". Undefined if this call is not traced. */
  startCall(path: string, metadata: MetadataReader): TraceSpan | undefined;
}

/** Calls that machines make all day and that nobody wants to see traced. */
const untraced = /^\/grpc\.(?:health|reflection)\./;

/** Codes that mean the server is at fault; the others are the caller's. */
const faults = new Set(['UNKNOWN', 'DEADLINE_EXCEEDED', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS']);

/** As in the call's context: a deadline that grpc-js met is past by then, give or take a few milliseconds. */
const deadlineToleranceMs = 50;

const spans = new WeakMap<Metadata, TraceSpan>();

/** The span of the call with this metadata, if it is traced. */
export function spanOf(metadata: Metadata): TraceSpan | undefined {
  return spans.get(metadata);
}

/** First of all interceptors, so that it sees what the others refuse. */
export function tracingInterceptor(tracer: CallTracer): ServerInterceptor {
  return ({ path }, call) => {
    if (untraced.test(path)) return new ServerInterceptingCall(call);
    let span: TraceSpan | undefined;
    const finish = (code: string): void => {
      if (span) endSpan(span, code);
      span = undefined;
    };
    const listener: ServerListener = {
      onReceiveMetadata: (metadata, next) => {
        span = tracer.startCall(path, readerOf(metadata));
        if (span) {
          span.set(peerAttributes(call.getPeer()));
          spans.set(metadata, span);
        }
        next(metadata);
      },
      // Comes last on every call; alone it means that grpc-js ended the call by
      // itself, for the client or for the deadline.
      onCancel: () =>
        finish(Number(call.getDeadline()) <= wallClockMs() + deadlineToleranceMs ? 'DEADLINE_EXCEEDED' : 'CANCELLED'),
    };
    return new ServerInterceptingCall(call, {
      start: (next) => next(listener),
      sendStatus: (status, next) => {
        finish(statusCodes[status.code] ?? 'UNKNOWN');
        next(status);
      },
    });
  };
}

/** Of "address:port"; there is nothing to say of Unix sockets. */
function peerAttributes(peer: string): TraceAttributes {
  const colon = peer.lastIndexOf(':');
  if (colon < 0) return {};
  return { 'network.peer.address': peer.slice(0, colon), 'network.peer.port': Number(peer.slice(colon + 1)) };
}

function endSpan(span: TraceSpan, code: string): void {
  span.set({ 'rpc.status_code': code });
  if (faults.has(code)) span.fail(code);
  else if (code !== 'OK') span.set({ 'error.type': code });
  span.end();
}

function readerOf(metadata: Metadata): MetadataReader {
  return { get: (name) => metadata.get(name).map(String) };
}

/**
 * What an implementation of a service looks like, derived from its descriptor.
 * Types only: the adapter turns such an implementation into grpc-js handlers.
 */

import type { DescMethod, DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { Metadata } from '@grpc/grpc-js';
import type { TraceSpan } from '../model/trace.ts';

/** What a handler may know of its call. */
export interface CallContext {
  /** "/package.Service/Method". */
  readonly path: string;
  readonly metadata: Metadata;
  /** Aborts when the client goes, the deadline passes or the server stops; the reason is an AbortReason. */
  readonly signal: AbortSignal;
  /** Aborts when the server begins to shut down: streams without an end of their own end then. */
  readonly draining: AbortSignal;
  /** Milliseconds since 1970, Infinity if the caller set none. */
  readonly deadlineMs: number;
  /** Address of the caller; "unknown" on Unix sockets. */
  readonly peer: string;
  /** The span of this call; absent if it is not traced. */
  readonly span: TraceSpan | undefined;
}

type Request<Method extends DescMethod> = MessageShape<Method['input']>;
type Response<Method extends DescMethod> = MessageShape<Method['output']> | MessageInitShape<Method['output']>;

/** The function behind one method, by its kind. */
export type MethodImplementation<Method extends DescMethod> = Method['methodKind'] extends 'unary'
  ? (request: Request<Method>, context: CallContext) => Promise<Response<Method>> | Response<Method>
  : Method['methodKind'] extends 'server_streaming'
    ? (request: Request<Method>, context: CallContext) => AsyncIterable<Response<Method>>
    : Method['methodKind'] extends 'client_streaming'
      ? (requests: AsyncIterable<Request<Method>>, context: CallContext) => Promise<Response<Method>>
      : (requests: AsyncIterable<Request<Method>>, context: CallContext) => AsyncIterable<Response<Method>>;

/** One function for each method of the service, by its local name. */
export type ServiceImplementation<Service extends DescService> = {
  readonly [Name in keyof Service['method']]: MethodImplementation<Service['method'][Name]>;
};

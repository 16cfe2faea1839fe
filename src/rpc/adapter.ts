/**
 * Puts implementations of protobuf-es services onto a grpc-js server, all four
 * kinds of methods. Owns the life of a call: admission, signal, back-pressure,
 * status. Knows no service.
 */

import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  toBinary,
} from '@bufbuild/protobuf';
import {
  Metadata,
  type MethodDefinition,
  type sendUnaryData,
  type Server,
  type ServiceDefinition,
  type UntypedHandleCall,
} from '@grpc/grpc-js';
import { ExecError } from '../model/exec-error.ts';
import { type LiveCalls, ServerCallContext, type SurfaceCall } from './call-context.ts';
import { RawMessage } from './raw-message.ts';
import { type ReadableCall, readRequests } from './request-stream.ts';
import { sendAll, type WritableCall } from './response-stream.ts';
import type { CallContext, ServiceImplementation } from './service-types.ts';
import { type FaultLog, shuttingDown, statusFor, type WireStatus } from './status.ts';

/** What all calls of one server share. */
export interface CallHost extends FaultLog {
  readonly live: LiveCalls;
  /** Aborted when the server begins to shut down: new calls are refused from then on. */
  readonly draining: AbortSignal;
}

/** A service and what implements it. */
export interface ServiceBinding {
  readonly descriptor: DescService;
  readonly implementation: Readonly<Record<string, UntypedMethod>>;
  /** Whether its calls are still admitted while the server shuts down. */
  readonly servesWhileDraining: boolean;
}

/** Requests (a message, or an async iterable of them) in, responses (likewise) out, whatever the kind of the method. */
type UntypedMethod = (request: never, context: CallContext) => unknown;

type Encode = (message: unknown) => Buffer;

/** A grpc-js call of any kind; which of its parts are there follows from the kind. */
interface AnyCall extends SurfaceCall, WritableCall, ReadableCall {
  readonly request: unknown;
  cancelled: boolean;
  sendMetadata(metadata: Metadata): void;
  end(): void;
}

/** Ties an implementation to its service; the types of all methods are checked here. */
export function bindService<Service extends DescService>(
  descriptor: Service,
  implementation: ServiceImplementation<Service>,
  options: { readonly servesWhileDraining?: boolean } = {},
): ServiceBinding {
  return {
    descriptor,
    implementation: implementation as Readonly<Record<string, UntypedMethod>>,
    servesWhileDraining: options.servesWhileDraining ?? false,
  };
}

/** Registers the service; methods left out of the implementation are answered UNIMPLEMENTED. */
export function addService(server: Server, binding: ServiceBinding, host: CallHost): void {
  const definition: Record<string, MethodDefinition<Buffer, Message>> = {};
  const handlers: Record<string, UntypedHandleCall> = {};
  for (const method of binding.descriptor.methods) {
    definition[method.localName] = methodDefinition(method);
    const implementation = binding.implementation[method.localName];
    if (implementation)
      handlers[method.localName] = new MethodAdapter(
        method,
        implementation.bind(binding.implementation),
        binding,
        host,
      ).handler();
  }
  server.addService(definition as ServiceDefinition, handlers);
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** Responses pass grpc-js as bytes: the adapter encodes them itself, so that it knows their size and answers for failures. */
function methodDefinition(method: DescMethod): MethodDefinition<Buffer, Message> {
  const decode = (schema: DescMessage) => (bytes: Buffer) => fromBinary(schema, bytes, { readUnknownFields: false });
  const identity = (bytes: Buffer): Buffer => bytes;
  return {
    path: pathOf(method),
    requestStream: streamsRequests(method),
    responseStream: streamsResponses(method),
    requestSerialize: identity,
    requestDeserialize: decode(method.input),
    responseSerialize: identity,
    responseDeserialize: decode(method.output),
  } as unknown as MethodDefinition<Buffer, Message>;
}

function streamsRequests({ methodKind }: DescMethod): boolean {
  return methodKind === 'client_streaming' || methodKind === 'bidi_streaming';
}

function streamsResponses({ methodKind }: DescMethod): boolean {
  return methodKind === 'server_streaming' || methodKind === 'bidi_streaming';
}

function encoder(schema: DescMessage): Encode {
  return (message) => {
    if (message instanceof RawMessage) return message.bytes;
    const complete =
      (message as Partial<Message>).$typeName === undefined
        ? create(schema, message as Record<string, unknown>)
        : (message as Message);
    const bytes = toBinary(schema, complete);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

/** One method of one service on one server. */
class MethodAdapter {
  readonly #streamsRequests: boolean;
  readonly #streamsResponses: boolean;
  readonly #path: string;
  readonly #encode: Encode;
  readonly #implementation: (request: unknown, context: CallContext) => unknown;
  readonly #host: CallHost;
  readonly #servesWhileDraining: boolean;

  constructor(method: DescMethod, implementation: UntypedMethod, binding: ServiceBinding, host: CallHost) {
    this.#streamsRequests = streamsRequests(method);
    this.#streamsResponses = streamsResponses(method);
    this.#path = pathOf(method);
    this.#encode = encoder(method.output);
    this.#implementation = implementation as (request: unknown, context: CallContext) => unknown;
    this.#host = host;
    this.#servesWhileDraining = binding.servesWhileDraining;
  }

  handler(): UntypedHandleCall {
    const handler = this.#streamsResponses
      ? (call: AnyCall) => void this.#stream(call)
      : (call: AnyCall, callback: sendUnaryData<Buffer>) => void this.#answer(call, callback);
    return handler as unknown as UntypedHandleCall;
  }

  /** One response. Never rejects: grpc-js awaits nobody, and a rejection would end the process. */
  async #answer(call: AnyCall, callback: sendUnaryData<Buffer>): Promise<void> {
    const context = this.#context(call);
    let response: Buffer;
    try {
      this.#admit(context);
      response = this.#encode(await this.#implementation(this.#request(call, context), context));
    } catch (error) {
      context.abandon();
      return callback(this.#fail(error, call));
    }
    context.finish();
    callback(null, response);
  }

  /** Many responses. Never rejects. */
  async #stream(call: AnyCall): Promise<void> {
    const context = this.#context(call);
    try {
      this.#admit(context);
      // Else the header waits for the first message, and the client with it.
      call.sendMetadata(new Metadata());
      const responses = this.#implementation(this.#request(call, context), context) as AsyncIterable<unknown>;
      await sendAll(call, responses, this.#encode);
    } catch (error) {
      context.abandon();
      const status = this.#fail(error, call);
      // destroy() would leave the client hanging.
      if (!call.cancelled) call.emit('error', status);
      return;
    }
    context.finish();
    if (!call.cancelled) call.end();
  }

  #request(call: AnyCall, context: ServerCallContext): unknown {
    return this.#streamsRequests ? readRequests(call, context) : call.request;
  }

  #context(call: SurfaceCall): ServerCallContext {
    return new ServerCallContext(this.#path, call, this.#host.live, this.#host.draining);
  }

  #admit(context: ServerCallContext): void {
    if (this.#host.draining.aborted && !this.#servesWhileDraining) throw shuttingDown();
    if (context.late) throw new ExecError('DEADLINE_EXCEEDED', 'The deadline of the call had passed when it arrived');
  }

  #fail(error: unknown, { request }: AnyCall): WireStatus {
    return statusFor(error, { path: this.#path, request }, this.#host);
  }
}

/**
 * A typed client of any service, made from its descriptor: promises, async
 * iterables and AbortSignals instead of grpc-js's callbacks and emitters. Knows
 * no service; sees generated code only through what it is given.
 */

import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import {
  type ChannelCredentials,
  type ClientReadableStream,
  credentials as channelCredentials,
  Client as GrpcClient,
  type CallOptions as GrpcCallOptions,
  Metadata,
  type ServiceError,
} from '@grpc/grpc-js';
import { onAbort } from '../base/signals.ts';
import { CallError } from './call-error.ts';
import { RequestSender, type SendingCall } from './request-sender.ts';

/** Which server, and how to reach it. */
export interface ClientOptions {
  /** "host:port" or "unix:/path". */
  readonly address: string;
  /** Default: none, for plain connections. */
  readonly credentials?: ChannelCredentials;
  /** Sent with every call; what a call has of its own wins. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Share no connection with other clients of this address; a server with several processes gives each connection to one of them. */
  readonly ownConnection?: boolean;
}

/** What one call takes besides its request. */
export interface CallOptions {
  /** Cancels the call when it aborts. A call whose signal has aborted already throws the signal's reason. */
  readonly signal?: AbortSignal;
  /** Sets the call's deadline; at most 24 days, and none by default. Leave it out for streams without an end. */
  readonly timeoutMs?: number;
  readonly metadata?: Readonly<Record<string, string>>;
}

type Request<Method extends DescMethod> = MessageInitShape<Method['input']>;
type Response<Method extends DescMethod> = MessageShape<Method['output']>;

/** The function for one method, by its kind. */
export type ClientMethod<Method extends DescMethod> = Method['methodKind'] extends 'unary'
  ? (request: Request<Method>, options?: CallOptions) => Promise<Response<Method>>
  : Method['methodKind'] extends 'server_streaming'
    ? (request: Request<Method>, options?: CallOptions) => AsyncGenerator<Response<Method>, void, undefined>
    : Method['methodKind'] extends 'client_streaming'
      ? (requests: AsyncIterable<Request<Method>>, options?: CallOptions) => Promise<Response<Method>>
      : (
          requests: AsyncIterable<Request<Method>>,
          options?: CallOptions,
        ) => AsyncGenerator<Response<Method>, void, undefined>;

/**
 * One function for each method of the service, by its local name. Failed calls
 * throw CallError. Streams begin when they are first read and are canceled when
 * the loop over them is left. Disposing closes the connection.
 */
export type Client<Service extends DescService> = Disposable & {
  readonly [Name in keyof Service['method']]: ClientMethod<Service['method'][Name]>;
};

const mebi = 1_048_576;
/** As large as the greatest messages of a server. */
const messageBytesMax = 18 * mebi;
/** grpc-js turns longer deadlines into ones that have passed. */
const timeoutMsMax = 24 * 86_400_000;

/** `target` is an address, or options with more than that. */
export function createClient<Service extends DescService>(
  service: Service,
  target: string | ClientOptions,
): Client<Service> {
  const {
    address,
    credentials,
    metadata = {},
    ownConnection = false,
  }: ClientOptions = typeof target === 'string' ? { address: target } : target;
  const channel = new GrpcClient(address, credentials ?? channelCredentials.createInsecure(), {
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
    ...(ownConnection && { 'grpc.use_local_subchannel_pool': 1 }),
  });
  const methods = service.methods.map((method) => [
    method.localName,
    new MethodClient(channel, method, metadata).function(),
  ]);
  const client = { ...Object.fromEntries(methods), [Symbol.dispose]: () => channel.close() };
  return client as unknown as Client<Service>;
}

/** One method on one channel, its types forgotten: createClient gives them back. */
class MethodClient {
  readonly #channel: GrpcClient;
  readonly #method: DescMethod;
  readonly #path: string;
  readonly #metadata: Readonly<Record<string, string>>;

  constructor(channel: GrpcClient, method: DescMethod, metadata: Readonly<Record<string, string>>) {
    this.#channel = channel;
    this.#method = method;
    this.#metadata = metadata;
    this.#path = `/${method.parent.typeName}/${method.name}`;
  }

  function(): unknown {
    switch (this.#method.methodKind) {
      case 'unary':
        return this.#unary.bind(this);
      case 'server_streaming':
        return this.#serverStream.bind(this);
      case 'client_streaming':
        return this.#clientStream.bind(this);
      case 'bidi_streaming':
        return this.#bidiStream.bind(this);
    }
  }

  async #unary(request: unknown, options: CallOptions = {}): Promise<unknown> {
    options.signal?.throwIfAborted();
    const bytes = this.#encode(request);
    return await new Promise((resolve, reject) => {
      const settle = this.#settler(options, resolve, reject, () => aborting);
      const call = this.#channel.makeUnaryRequest(
        this.#path,
        asIs,
        this.#decode,
        bytes,
        this.#metadataOf(options),
        grpcOptions(options),
        settle,
      );
      const aborting = cancelOnAbort(call, options);
    });
  }

  async #clientStream(requests: AsyncIterable<unknown>, options: CallOptions = {}): Promise<unknown> {
    options.signal?.throwIfAborted();
    return await new Promise((resolve, reject) => {
      const fail = (error: unknown): void => reject((sender.failure?.error ?? error) as Error);
      const settle = this.#settler(options, resolve, fail, () => {
        sender.stop();
        return aborting;
      });
      const call = this.#channel.makeClientStreamRequest(
        this.#path,
        asIs,
        this.#decode,
        this.#metadataOf(options),
        grpcOptions(options),
        settle,
      );
      const sender = this.#sender(call, requests);
      const aborting = cancelOnAbort(call, options);
      void sender.run();
    });
  }

  async *#serverStream(request: unknown, options: CallOptions = {}): AsyncGenerator<unknown, void, undefined> {
    options.signal?.throwIfAborted();
    const call = this.#channel.makeServerStreamRequest(
      this.#path,
      asIs,
      this.#decode,
      this.#encode(request),
      this.#metadataOf(options),
      grpcOptions(options),
    );
    yield* readResponses(call, options);
  }

  async *#bidiStream(
    requests: AsyncIterable<unknown>,
    options: CallOptions = {},
  ): AsyncGenerator<unknown, void, undefined> {
    options.signal?.throwIfAborted();
    const call = this.#channel.makeBidiStreamRequest(
      this.#path,
      asIs,
      this.#decode,
      this.#metadataOf(options),
      grpcOptions(options),
    );
    const sender = this.#sender(call, requests);
    void sender.run();
    try {
      yield* readResponses(call, options);
    } catch (error) {
      throw sender.failure ? sender.failure.error : error;
    } finally {
      sender.stop();
    }
  }

  #sender(call: SendingCall, requests: AsyncIterable<unknown>): RequestSender<unknown> {
    return new RequestSender(call, requests, (request) => this.#encode(request));
  }

  /** grpc-js's callback: undoes the listening and settles the promise. */
  #settler(
    { signal }: CallOptions,
    resolve: (response: unknown) => void,
    reject: (error: unknown) => void,
    listening: () => Disposable | undefined,
  ): (error: ServiceError | null, response?: unknown) => void {
    return (error, response) => {
      listening()?.[Symbol.dispose]();
      if (error) reject(CallError.from(error, signal));
      else resolve(response);
    };
  }

  #metadataOf(options: CallOptions): Metadata {
    const metadata = new Metadata();
    const entries = { ...this.#metadata, ...options.metadata };
    for (const [key, value] of Object.entries(entries)) metadata.set(key, value);
    return metadata;
  }

  #encode(request: unknown): Buffer {
    const bytes = toBinary(this.#method.input, create(this.#method.input, request as Record<string, unknown>));
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  readonly #decode = (bytes: Buffer): MessageShape<DescMessage> => fromBinary(this.#method.output, bytes);
}

const asIs = (bytes: Buffer): Buffer => bytes;

/** The responses of a call; leaving early cancels it, which grpc-js would not do. */
async function* readResponses(
  call: ClientReadableStream<unknown>,
  options: CallOptions,
): AsyncGenerator<unknown, void, undefined> {
  using _aborting = cancelOnAbort(call, options);
  // The status of a call that nobody reads any more would end the process.
  call.on('error', () => {});
  try {
    for await (const response of call) yield response;
  } catch (error) {
    throw CallError.from(error, options.signal);
  } finally {
    call.cancel();
  }
}

function cancelOnAbort(call: { cancel(): void }, { signal }: CallOptions): Disposable | undefined {
  return signal && onAbort(signal, () => call.cancel());
}

/** The deadline is one of the wall clock: grpc-js compares it with that. */
function grpcOptions({ timeoutMs }: CallOptions): GrpcCallOptions {
  if (timeoutMs === undefined) return {};
  return { deadline: new Date(new Date().getTime() + Math.min(timeoutMs, timeoutMsMax)) };
}

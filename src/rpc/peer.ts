/**
 * Passes calls on to another process of the same server, over its private
 * socket: metadata, deadline, cancel and status are kept, responses stay bytes.
 * Which call goes where is decided by the caller.
 */

import { type DescMessage, type DescMethod, type Message, toBinary } from '@bufbuild/protobuf';
import {
  type CallOptions,
  Client,
  type ClientReadableStream,
  type ClientWritableStream,
  credentials,
  type Metadata,
  type ServiceError,
  status as statusCodes,
} from '@grpc/grpc-js';
import { onAbort } from '../base/signals.ts';
import { ExecError } from '../model/exec-error.ts';
import { ForwardedRefusal } from './forwarded-refusal.ts';
import { RawMessage } from './raw-message.ts';
import { messageBytesMax } from './server.ts';
import type { CallContext } from './service-types.ts';
import { wallClockMs } from './wall-clock.ts';

/** What forwarding needs of the call that is forwarded. */
export type ForwardedCall = Pick<CallContext, 'metadata' | 'signal' | 'deadlineMs' | 'span'>;

/** grpc-js turns longer deadlines into ones that have passed. */
const deadlineMsMax = 24 * 86_400_000;
/** A process that was replaced is found again soon. */
const reconnectMs = { first: 50, max: 500 } as const;

/** Statuses that a connection makes when the process behind it ends. */
const connectionCodes: readonly number[] = [
  statusCodes.UNAVAILABLE,
  statusCodes.INTERNAL,
  statusCodes.UNKNOWN,
  statusCodes.CANCELLED,
];

/** One other process. Connects when it is first called, and again whenever it must. */
export class RpcPeer implements Disposable {
  readonly #client: Client;

  /** "unix:/path". */
  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': messageBytesMax,
      'grpc.max_send_message_length': messageBytesMax,
      'grpc.initial_reconnect_backoff_ms': reconnectMs.first,
      'grpc.min_reconnect_backoff_ms': reconnectMs.first,
      'grpc.max_reconnect_backoff_ms': reconnectMs.max,
      'grpc.use_local_subchannel_pool': 1,
      // Who may try again is the caller's matter.
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }

  /**
   * Calls a method with one response. Rejects with ForwardedRefusal, with
   * PROCESS_UNAVAILABLE if the other process ends or is not there, or with the
   * signal's reason.
   */
  async unary(method: DescMethod, request: Message, call: ForwardedCall): Promise<RawMessage> {
    return await this.#one(call, (settle) =>
      this.#client.makeUnaryRequest(
        pathOf(method),
        asIs,
        asIs,
        encoded(method.input, request),
        metadataOf(call),
        optionsOf(call),
        settle,
      ),
    );
  }

  /** Calls a method with a stream of requests; rejects as unary. */
  async clientStream(method: DescMethod, requests: AsyncIterable<Message>, call: ForwardedCall): Promise<RawMessage> {
    return await this.#one(call, (settle) => {
      const stream = this.#client.makeClientStreamRequest(
        pathOf(method),
        asIs,
        asIs,
        metadataOf(call),
        optionsOf(call),
        settle,
      );
      void send(stream, requests, method.input);
      return stream;
    });
  }

  /** Calls a method with a stream of responses; throws as unary rejects. */
  async *serverStream(method: DescMethod, request: Message, call: ForwardedCall): AsyncGenerator<RawMessage> {
    call.signal.throwIfAborted();
    const stream: ClientReadableStream<Buffer> = this.#client.makeServerStreamRequest(
      pathOf(method),
      asIs,
      asIs,
      encoded(method.input, request),
      metadataOf(call),
      optionsOf(call),
    );
    using _aborting = onAbort(call.signal, () => stream.cancel());
    // The status of a call that nobody reads any more would end the process.
    stream.on('error', () => {});
    try {
      for await (const bytes of stream) yield new RawMessage(bytes as Buffer);
    } catch (error) {
      throw refusalOf(error as ServiceError, call);
    } finally {
      stream.cancel();
    }
  }

  #one(call: ForwardedCall, begin: (settle: Settle) => { cancel(): void }): Promise<RawMessage> {
    call.signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const started = begin((error, bytes) => {
        aborting[Symbol.dispose]();
        if (error) reject(refusalOf(error, call) as Error);
        else resolve(new RawMessage(bytes ?? Buffer.alloc(0)));
      });
      const aborting = onAbort(call.signal, () => started.cancel());
    });
  }
}

type Settle = (error: ServiceError | null, bytes?: Buffer) => void;

const asIs = (bytes: Buffer): Buffer => bytes;

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function encoded(schema: DescMessage, message: Message): Buffer {
  const bytes = toBinary(schema, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The caller's own, and the span of this call as the parent of the other one's. */
function metadataOf({ metadata, span }: ForwardedCall): Metadata {
  const passed = metadata.clone();
  if (span) passed.set('traceparent', span.traceparent);
  return passed;
}

function optionsOf({ deadlineMs }: ForwardedCall): CallOptions {
  if (!Number.isFinite(deadlineMs)) return {};
  return { deadline: new Date(Math.min(deadlineMs, wallClockMs() + deadlineMsMax)) };
}

/** Sends no faster than the other process reads. What ends the requests early ends the call. */
async function send(
  stream: ClientWritableStream<Buffer>,
  requests: AsyncIterable<Message>,
  schema: DescMessage,
): Promise<void> {
  let ended = false;
  const closed = new Promise<void>((resolve) => {
    const end = (): void => {
      ended = true;
      resolve();
    };
    stream.once('close', end).once('error', end).once('status', end);
  });
  try {
    for await (const request of requests) {
      if (ended) return;
      if (stream.write(encoded(schema, request))) continue;
      await Promise.race([new Promise<void>((resolve) => stream.once('drain', resolve)), closed]);
    }
    stream.end();
  } catch {
    stream.cancel();
  }
}

/** What the caller is told of a call that failed over there. */
function refusalOf(error: ServiceError, { signal }: ForwardedCall): unknown {
  if (signal.aborted) return signal.reason;
  const isOfConnection = !ForwardedRefusal.isOfServer(error) && connectionCodes.includes(error.code);
  return isOfConnection ? processUnavailable(error) : new ForwardedRefusal(error);
}

/** The refusal of calls whose process has ended or cannot be reached. */
export function processUnavailable(cause?: unknown): ExecError {
  return new ExecError(
    'PROCESS_UNAVAILABLE',
    'The process of the server that this call needs has ended or cannot be reached',
    cause === undefined ? {} : { cause },
  );
}

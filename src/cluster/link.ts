/**
 * Requests, answers and notices between two processes of one server, over one
 * socket, either side asking the other. Frames are a length and a value as the
 * structured clone algorithm writes it: only for sockets that nobody else
 * reaches. Knows no topic.
 */

import type { Socket } from 'node:net';
import { deserialize, serialize } from 'node:v8';
import { onAbort } from '../base/signals.ts';
import { ExecError, type FieldViolation } from '../model/exec-error.ts';
import type { Reason } from '../model/reasons.ts';

/** What one side can be asked and told, by topic. */
export interface Topics {
  readonly requests: Readonly<Record<string, { readonly body: unknown; readonly answer: unknown }>>;
  readonly notices: Readonly<Record<string, unknown>>;
}

/** One function for each topic of a side. */
export interface Handlers<Own extends Topics> {
  readonly requests: {
    readonly [Topic in keyof Own['requests']]: (
      body: Own['requests'][Topic]['body'],
    ) => Promise<Own['requests'][Topic]['answer']>;
  };
  readonly notices: { readonly [Topic in keyof Own['notices']]: (body: Own['notices'][Topic]) => void };
}

type Frame =
  | { readonly type: 'request'; readonly id: number; readonly topic: string; readonly body: unknown }
  | { readonly type: 'answer'; readonly id: number; readonly body: unknown }
  | { readonly type: 'refusal'; readonly id: number; readonly refusal: WireRefusal }
  | { readonly type: 'notice'; readonly topic: string; readonly body: unknown };

interface WireRefusal {
  readonly reason: Reason;
  readonly message: string;
  readonly violations: readonly FieldViolation[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryDelayMs: number | undefined;
}

interface Pending {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Above the greatest value of capability "kv" and the greatest manifest, with what stands around them. */
export const frameBytesMax = 33_554_432;
/** Bytes that the other side has not read yet; beyond them it counts as gone. */
export const unreadBytesMax = 134_217_728;
/** Requests without an answer yet. */
export const pendingMax = 10_000;
const lengthBytes = 4;

/** Why requests of a link that has ended are not answered. */
export class LinkEnded extends Error {
  constructor() {
    super('The link to the other process has ended');
    this.name = 'LinkEnded';
  }
}

/** One end of a link; `Other` is what the other side answers. Ends with its socket, or when disposed. */
export class Link<Own extends Topics, Other extends Topics> implements Disposable {
  /** Resolves when the link has ended. */
  readonly ended: Promise<void>;
  readonly #socket: Socket;
  readonly #handlers: Handlers<Own>;
  readonly #pending = new Map<number, Pending>();
  #chunks: Buffer[] = [];
  #bytes = 0;
  #lastId = 0;

  constructor(socket: Socket, handlers: Handlers<Own>) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.ended = new Promise((resolve) => {
      socket.once('close', () => {
        this.#failAll();
        resolve();
      });
    });
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
  }

  /** Asks the other side. Rejects with the ExecError that it answers with, with LinkEnded, or with the signal's reason. */
  async request<Topic extends keyof Other['requests'] & string>(
    topic: Topic,
    body: Other['requests'][Topic]['body'],
    signal?: AbortSignal,
  ): Promise<Other['requests'][Topic]['answer']> {
    signal?.throwIfAborted();
    if (this.#socket.destroyed) throw new LinkEnded();
    if (this.#pending.size >= pendingMax) {
      throw new ExecError('PROCESS_UNAVAILABLE', `${pendingMax} requests wait for another process already`);
    }
    const id = ++this.#lastId;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(id, { resolve, reject });
    using _aborting = signal && onAbort(signal, () => reject(signal.reason as Error));
    try {
      this.#send({ type: 'request', id, topic, body });
      return await promise;
    } finally {
      this.#pending.delete(id);
    }
  }

  /** Tells the other side; what is told after the link has ended is lost. */
  tell<Topic extends keyof Other['notices'] & string>(topic: Topic, body: Other['notices'][Topic]): void {
    this.#send({ type: 'notice', topic, body });
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #send(frame: Frame): void {
    if (this.#socket.destroyed) return;
    const bytes = serialize(frame);
    if (bytes.length > frameBytesMax) throw new RangeError(`A frame of ${bytes.length} bytes is too large for a link`);
    const length = Buffer.allocUnsafe(lengthBytes);
    length.writeUInt32LE(bytes.length);
    this.#socket.cork();
    this.#socket.write(length);
    this.#socket.write(bytes);
    this.#socket.uncork();
    if (this.#socket.writableLength > unreadBytesMax) this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    for (;;) {
      const frame = this.#take();
      if (frame === undefined) return;
      this.#handle(deserialize(frame) as Frame);
    }
  }

  /** The bytes of the next frame if they are there. */
  #take(): Buffer | undefined {
    if (this.#bytes < lengthBytes) return undefined;
    const [first] = this.#chunks;
    if (first === undefined || first.length < lengthBytes) this.#chunks = [Buffer.concat(this.#chunks)];
    const length = this.#chunks[0]?.readUInt32LE(0) ?? 0;
    if (length > frameBytesMax) {
      this.#socket.destroy();
      return undefined;
    }
    const end = lengthBytes + length;
    if (this.#bytes < end) return undefined;
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    if (all === undefined) return undefined;
    this.#chunks = all.length > end ? [all.subarray(end)] : [];
    this.#bytes = all.length - end;
    return all.subarray(lengthBytes, end);
  }

  #handle(frame: Frame): void {
    switch (frame.type) {
      case 'request':
        void this.#answer(frame.id, frame.topic, frame.body);
        break;
      case 'notice':
        this.#handlers.notices[frame.topic]?.(frame.body as Own['notices'][string]);
        break;
      case 'answer':
        this.#pending.get(frame.id)?.resolve(frame.body);
        break;
      case 'refusal':
        this.#pending.get(frame.id)?.reject(errorOf(frame.refusal));
        break;
    }
  }

  /** Never rejects: what the handler throws is the answer. */
  async #answer(id: number, topic: string, body: unknown): Promise<void> {
    try {
      const handler = this.#handlers.requests[topic];
      if (!handler) throw new TypeError(`Nobody answers "${topic}"`);
      this.#send({ type: 'answer', id, body: await handler(body as Own['requests'][string]['body']) });
    } catch (error) {
      this.#send({ type: 'refusal', id, refusal: refusalOf(ExecError.from(error)) });
    }
  }

  #failAll(): void {
    for (const { reject } of this.#pending.values()) reject(new LinkEnded());
    this.#pending.clear();
  }
}

function refusalOf({ reason, message, violations, metadata, retryDelayMs }: ExecError): WireRefusal {
  return { reason, message, violations, metadata, retryDelayMs };
}

function errorOf({ reason, message, violations, metadata, retryDelayMs }: WireRefusal): ExecError {
  return new ExecError(reason, message, { violations, metadata, ...(retryDelayMs !== undefined && { retryDelayMs }) });
}

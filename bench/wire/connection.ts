/**
 * A client connection that speaks as much HTTP/2 as gRPC without encryption needs,
 * over a bare socket: some microseconds a call where the clients of the libraries
 * take a hundred. It checks the status of every call. Not for use beyond benchmarks.
 */

import { connect, type Socket } from 'node:net';
import { type GrpcStatus, lost, readStatus } from './grpc-status.ts';
import { encodeHeaders } from './header-block.ts';
import {
  FrameReader,
  frame,
  frameFlag,
  frameHeader,
  frameType,
  numberPayload,
  payloadBytesMax,
  preface,
  readSettings,
  setting,
  settingsPayload,
  windowBytesDefault,
  windowBytesMax,
} from './http2-frames.ts';
import { CallStream, type StreamTaker } from './stream.ts';

/** Bytes received after which the server is told that it may send as many again. */
const windowRefreshBytes = 2 ** 28;
/** Bytes up to which what is to be sent is joined to one write. */
const joinedBytesMax = 262_144;
const cancelCode = 8;

export class Connection implements Disposable {
  readonly #socket: Socket;
  readonly #authority: string;
  readonly #blocks = new Map<string, Buffer>();
  readonly #streams = new Map<number, CallStream>();
  /** Streams that have bytes left for which there was no window. */
  readonly #blocked = new Set<CallStream>();
  readonly #ready = Promise.withResolvers<void>();
  #out: Buffer[] = [];
  #outBytes = 0;
  #nextId = 1;
  #window = windowBytesDefault;
  #streamWindow = windowBytesDefault;
  #receivedBytes = 0;
  #failure: GrpcStatus | undefined;

  private constructor(socket: Socket, authority: string) {
    this.#socket = socket;
    this.#authority = authority;
    const reader = new FrameReader((type, flags, id, payload) => this.#take(type, flags, id, payload));
    socket.on('data', (chunk) => reader.push(chunk));
    socket.on('error', (error) => this.#fail(lost(error.message)));
    socket.on('close', () => this.#fail(lost('The connection is closed')));
  }

  /** Resolves when the server has told its settings. */
  static async open(address: string): Promise<Connection> {
    const [host = '', port = ''] = address.split(/:(?=\d+$)/);
    const connection = new Connection(connect({ host, port: Number(port), noDelay: true }), address);
    connection.#greet();
    await connection.#ready.promise;
    return connection;
  }

  /** Begins a call, whose messages the caller sends. */
  begin(path: string, taker: StreamTaker): CallStream {
    const stream = new CallStream(this.#nextId, this.#streamWindow, taker, {
      send: (sender) => this.#pump(sender),
      cancel: (sender) => this.#cancel(sender),
    });
    this.#nextId += 2;
    if (this.#failure) {
      const failure = this.#failure;
      queueMicrotask(() => stream.end(failure));
      return stream;
    }
    this.#streams.set(stream.id, stream);
    const block = this.#blockOf(path);
    this.#write(frameHeader(frameType.headers, frameFlag.endHeaders, stream.id, block.length), block);
    return stream;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #greet(): void {
    const settings = [
      [setting.headerTableSize, 0],
      [setting.enablePush, 0],
      [setting.initialWindowSize, windowBytesMax],
    ] as const;
    const more = numberPayload(windowBytesMax - windowBytesDefault);
    this.#write(
      preface,
      frame(frameType.settings, 0, 0, settingsPayload(settings)),
      frame(frameType.windowUpdate, 0, 0, more),
    );
  }

  #blockOf(path: string): Buffer {
    let block = this.#blocks.get(path);
    if (block === undefined) {
      block = encodeHeaders([
        [':method', 'POST'],
        [':scheme', 'http'],
        [':path', path],
        [':authority', this.#authority],
        ['content-type', 'application/grpc'],
        ['te', 'trailers'],
      ]);
      this.#blocks.set(path, block);
    }
    return block;
  }

  /** Gathers what is written in one turn of the event loop. */
  #write(...buffers: readonly Buffer[]): void {
    if (this.#out.length === 0) process.nextTick(() => this.#flush());
    for (const buffer of buffers) {
      this.#out.push(buffer);
      this.#outBytes += buffer.length;
    }
  }

  #flush(): void {
    const out = this.#out;
    this.#out = [];
    if (this.#outBytes <= joinedBytesMax) this.#socket.write(Buffer.concat(out, this.#outBytes));
    else {
      this.#socket.cork();
      for (const buffer of out) this.#socket.write(buffer);
      this.#socket.uncork();
    }
    this.#outBytes = 0;
  }

  /** Sends of a stream what windows allow. */
  #pump(stream: CallStream): void {
    for (;;) {
      const room = Math.max(0, Math.min(payloadBytesMax, this.#window, stream.window));
      const piece = stream.take(room);
      if (piece === undefined) break;
      this.#window -= piece.bytes.length;
      const flags = piece.isLast ? frameFlag.endStream : 0;
      this.#write(frameHeader(frameType.data, flags, stream.id, piece.bytes.length), piece.bytes);
    }
    if (stream.hasMore) this.#blocked.add(stream);
    else this.#blocked.delete(stream);
  }

  #pumpBlocked(): void {
    for (const stream of this.#blocked) this.#pump(stream);
  }

  #cancel(stream: CallStream): void {
    if (!this.#forget(stream.id)) return;
    this.#write(frame(frameType.reset, 0, stream.id, numberPayload(cancelCode)));
  }

  #take(type: number, flags: number, id: number, payload: Buffer): void {
    if (type === frameType.data) this.#takeData(flags, id, payload);
    else if (type === frameType.headers) this.#takeHeaders(flags, id, payload);
    else if (type === frameType.windowUpdate) this.#takeWindow(id, payload.readUInt32BE(0));
    else if (type === frameType.settings) this.#takeSettings(flags, payload);
    else if (type === frameType.ping && (flags & frameFlag.ack) === 0)
      this.#write(frame(frameType.ping, frameFlag.ack, 0, payload));
    else if (type === frameType.reset) this.#end(id, lost(`RST_STREAM ${payload.readUInt32BE(0)}`));
    else if (type === frameType.goAway && payload.readUInt32BE(4) !== 0)
      this.#fail(lost(`GOAWAY ${payload.readUInt32BE(4)}`));
    else if (type === frameType.continuation) this.#fail(lost('The server sent CONTINUATION, which is not read here'));
  }

  #takeData(flags: number, id: number, payload: Buffer): void {
    this.#receivedBytes += payload.length;
    if (this.#receivedBytes > windowRefreshBytes) {
      this.#write(frame(frameType.windowUpdate, 0, 0, numberPayload(this.#receivedBytes)));
      this.#receivedBytes = 0;
    }
    this.#streams.get(id)?.receive(contentOf(flags, payload));
    if ((flags & frameFlag.endStream) !== 0) this.#end(id, lost('The answer has no trailers'));
  }

  #takeHeaders(flags: number, id: number, payload: Buffer): void {
    if ((flags & frameFlag.endStream) !== 0) this.#end(id, readStatus(contentOf(flags, payload)));
  }

  #takeWindow(id: number, bytes: number): void {
    const stream = this.#streams.get(id);
    if (id === 0) this.#window += bytes;
    else if (stream) stream.window += bytes;
    this.#pumpBlocked();
  }

  #takeSettings(flags: number, payload: Buffer): void {
    if ((flags & frameFlag.ack) !== 0) return;
    const window = readSettings(payload).get(setting.initialWindowSize);
    if (window !== undefined) {
      for (const stream of this.#streams.values()) stream.window += window - this.#streamWindow;
      this.#streamWindow = window;
      this.#pumpBlocked();
    }
    this.#write(frame(frameType.settings, frameFlag.ack, 0, Buffer.alloc(0)));
    this.#ready.resolve();
  }

  #end(id: number, status: GrpcStatus): void {
    this.#forget(id)?.end(status);
  }

  #forget(id: number): CallStream | undefined {
    const stream = this.#streams.get(id);
    if (stream === undefined) return undefined;
    this.#streams.delete(id);
    this.#blocked.delete(stream);
    return stream;
  }

  #fail(status: GrpcStatus): void {
    this.#failure ??= status;
    this.#ready.reject(new Error(status.message));
    for (const id of this.#streams.keys()) this.#end(id, status);
  }
}

/** The payload without padding and priority. */
function contentOf(flags: number, payload: Buffer): Buffer {
  const isPadded = (flags & frameFlag.padded) !== 0;
  const begin = (isPadded ? 1 : 0) + ((flags & frameFlag.priority) !== 0 ? 5 : 0);
  return payload.subarray(begin, payload.length - (isPadded ? (payload[0] ?? 0) : 0));
}

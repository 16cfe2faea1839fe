/** One call on a connection: what is still to be sent, and the messages that come. */

import { MessageReader } from './grpc-messages.ts';
import type { GrpcStatus } from './grpc-status.ts';

export interface StreamTaker {
  /** A message: a view of what came. */
  message(message: Buffer): void;
  /** The end, once. */
  end(status: GrpcStatus): void;
}

/** What a stream asks of its connection. */
export interface StreamHost {
  send(stream: CallStream): void;
  cancel(stream: CallStream): void;
}

interface Piece {
  readonly bytes: Buffer;
  readonly isLast: boolean;
}

export class CallStream {
  readonly id: number;
  /** Bytes that the server takes of this stream for now. */
  window: number;
  readonly #taker: StreamTaker;
  readonly #host: StreamHost;
  readonly #messages = new MessageReader();
  #pending: Buffer[] = [];
  #isFinished = false;
  #isEnded = false;

  constructor(id: number, window: number, taker: StreamTaker, host: StreamHost) {
    this.id = id;
    this.window = window;
    this.#taker = taker;
    this.#host = host;
  }

  /** Sends bytes that are gRPC frames already; `last` says that none will follow. */
  send(frames: Buffer, last = false): void {
    this.#pending.push(frames);
    this.#isFinished = last;
    this.#host.send(this);
  }

  /** Says that no further message will follow. */
  finish(): void {
    this.send(Buffer.alloc(0), true);
  }

  /** Resets the stream; its end is not told. */
  cancel(): void {
    this.#host.cancel(this);
  }

  get hasMore(): boolean {
    return this.#pending.length > 0;
  }

  /** The next bytes to be sent, as many as there is room for; undefined if nothing can be sent. */
  take(room: number): Piece | undefined {
    const first = this.#pending[0];
    if (first === undefined || (room === 0 && first.length > 0)) return undefined;
    const bytes = first.length <= room ? first : first.subarray(0, room);
    if (bytes.length === first.length) this.#pending.shift();
    else this.#pending[0] = first.subarray(room);
    this.window -= bytes.length;
    return { bytes, isLast: this.#isFinished && this.#pending.length === 0 };
  }

  receive(bytes: Buffer): void {
    this.#messages.push(bytes, (message) => this.#taker.message(message));
  }

  end(status: GrpcStatus): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#taker.end(status);
  }
}

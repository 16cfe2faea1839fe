/** Sends the messages of an async iterable over a call, no faster than the server takes them. */

import type { EventEmitter } from 'node:events';

/** What of a grpc-js client call with a stream of requests this needs; messages are bytes. */
export interface SendingCall extends EventEmitter {
  write(bytes: Buffer): boolean;
  end(): void;
  cancel(): void;
}

/** What the caller's iterable threw. */
export interface RequestFailure {
  readonly error: unknown;
}

/** The sending side of one call. */
export class RequestSender<Request> {
  readonly #call: SendingCall;
  readonly #iterator: AsyncIterator<Request>;
  readonly #encode: (request: Request) => Buffer;
  #stopped = false;
  #failure: RequestFailure | undefined;

  constructor(call: SendingCall, requests: AsyncIterable<Request>, encode: (request: Request) => Buffer) {
    this.#call = call;
    this.#iterator = requests[Symbol.asyncIterator]();
    this.#encode = encode;
  }

  /** Set once the iterable has thrown: the call then ends CANCELLED, which is not what went wrong. */
  get failure(): RequestFailure | undefined {
    return this.#failure;
  }

  /** Never rejects. */
  async run(): Promise<void> {
    try {
      while (!this.#stopped) {
        const next = await this.#iterator.next();
        if (next.done === true) break;
        if (!this.#stopped && !this.#call.write(this.#encode(next.value))) await this.#drained();
      }
      this.#call.end();
    } catch (error) {
      this.#failure = { error };
      this.#call.cancel();
    }
  }

  /** The call has ended: nothing more is taken from the iterable. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    // Not awaited: it waits in turn for an item that may never come.
    this.#iterator.return?.().then(undefined, () => {});
  }

  /** "drain" never comes on a call that has ended. */
  #drained(): Promise<void> {
    const call = this.#call;
    return new Promise((resolve) => {
      const settle = (): void => {
        for (const event of ['drain', 'status', 'close']) call.off(event, settle);
        resolve();
      };
      for (const event of ['drain', 'status', 'close']) call.on(event, settle);
    });
  }
}

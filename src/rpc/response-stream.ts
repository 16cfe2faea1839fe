/**
 * Sends the messages of an async iterable over a streaming call, no faster than
 * the client reads. Owns the bound on what waits to be sent; the status at the
 * end belongs to the adapter.
 */

import type { EventEmitter } from 'node:events';

/** What of a grpc-js streaming call this needs; messages are bytes. */
export interface WritableCall extends EventEmitter {
  cancelled: boolean;
  write(bytes: Buffer, onWritten: () => void): boolean;
}

/** At these many bytes or messages waiting for the client, nothing more is taken from the handler. */
const waitingBytesMax = 65_536;
const waitingMessagesMax = 16;

/**
 * Resolves when the iterable has ended or the call was canceled; rejects with
 * what the iterable throws, once all before it has left. On a cancel the iterable is told by return(), which
 * a generator obeys only once its pending await ends: handlers must heed their
 * signal.
 */
export async function sendAll<Message>(
  call: WritableCall,
  messages: AsyncIterable<Message>,
  encode: (message: Message) => Buffer,
): Promise<void> {
  const iterator = messages[Symbol.asyncIterator]();
  const writer = new PacedWriter(call);
  let done = false;
  const stop = (): void => {
    if (done) return;
    done = true;
    iterator.return?.().then(undefined, () => {});
  };
  call.once('cancelled', stop);
  try {
    while (!done && !call.cancelled) {
      const next = await iterator.next();
      if (next.done === true) done = true;
      if (done) break;
      await writer.write(encode(next.value as Message));
    }
  } catch (error) {
    stop();
    await writer.flushed();
    throw error;
  } finally {
    stop();
    call.off('cancelled', stop);
  }
}

class PacedWriter {
  readonly #call: WritableCall;
  #messages = 0;
  #bytes = 0;
  #wake: (() => void) | undefined;
  #wakeBelow = waitingMessagesMax;

  constructor(call: WritableCall) {
    this.#call = call;
  }

  /** Resolves at once while little is waiting, else when enough of it has left or the call has ended. */
  write(bytes: Buffer): Promise<void> | undefined {
    this.#messages++;
    this.#bytes += bytes.length;
    this.#call.write(bytes, () => {
      this.#messages--;
      this.#bytes -= bytes.length;
      if (this.#messages < this.#wakeBelow && this.#bytes < waitingBytesMax) this.#wake?.();
    });
    return this.#full ? this.#waitBelow(waitingMessagesMax) : undefined;
  }

  /**
   * Resolves when nothing is waiting any more. A status that is emitted as an
   * error before that is lost on a two-way call: the iterator over its requests
   * sees the error and destroys the call.
   */
  async flushed(): Promise<void> {
    if (this.#messages > 0) await this.#waitBelow(1);
  }

  get #full(): boolean {
    return this.#messages >= waitingMessagesMax || this.#bytes >= waitingBytesMax;
  }

  /** "drain" alone never comes on a call that was canceled. */
  #waitBelow(messages: number): Promise<void> {
    const call = this.#call;
    this.#wakeBelow = messages;
    return new Promise((resolve) => {
      const settle = (): void => {
        this.#wake = undefined;
        call.off('cancelled', settle);
        call.off('close', settle);
        resolve();
      };
      if (call.cancelled) return resolve();
      this.#wake = settle;
      call.on('cancelled', settle);
      call.on('close', settle);
    });
  }
}

/**
 * Reads the messages that a client streams. Clients built on Node half-close a
 * call before they cancel it, so the regular end proves nothing: what must be
 * whole says how long it is.
 */

import { heeding } from './abortable.ts';
import type { ServerCallContext } from './call-context.ts';

/** What of a grpc-js call with a stream of requests this needs. */
export interface ReadableCall {
  readonly cancelled: boolean;
  iterator(options: { destroyOnReturn: boolean }): AsyncIterator<unknown> & AsyncIterable<unknown>;
}

/**
 * The client's messages, one at a time. Ends with an AbortReason when the call
 * is canceled or the server stops. Leaving the loop early keeps the call open
 * for its answer.
 */
export async function* readRequests(call: ReadableCall, context: ServerCallContext): AsyncGenerator {
  try {
    // Without destroyOnReturn: false the end of reading destroys a two-way call
    // before its status is sent, and the client waits for ever.
    yield* heeding(call.iterator({ destroyOnReturn: false }), context.signal);
  } catch (error) {
    throw call.cancelled ? context.signal.reason : error;
  }
  // A cut connection can look like the regular end of the client's messages.
  if (call.cancelled) throw context.signal.reason;
}

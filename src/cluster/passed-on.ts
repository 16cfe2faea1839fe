/** Responses of another process in place of our own: bytes that the adapter sends as they are, whatever the method's type. */

import type { RawMessage } from '../rpc/raw-message.ts';

/** A response, or a stream of them, typed as the method's. */
export function passedOn<Response>(raw: Promise<RawMessage> | AsyncGenerator<RawMessage>): Response {
  return raw as Response;
}

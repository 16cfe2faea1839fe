/**
 * The HTTP/2 session under a call. grpc-js keeps it private and nothing public
 * tells a client that canceled from one that went away; where the private
 * fields are not found, nobody is said to have gone away.
 */

import type { Http2Session } from 'node:http2';

interface CallLayer {
  /** In a call as handlers see it: the call below. */
  readonly call?: CallLayer;
  /** In an intercepted call: the call below. */
  readonly nextCall?: CallLayer;
  readonly stream?: { readonly session?: Http2Session };
}

const layersMax = 16;

/** The session, to be taken while the call runs: afterwards its stream no longer knows it. */
export function connectionOf(call: object): Pick<Http2Session, 'destroyed'> | undefined {
  let layer: CallLayer | undefined = call as CallLayer;
  for (let depth = 0; layer && depth < layersMax; depth++) {
    if (layer.stream) return layer.stream.session;
    layer = layer.call ?? layer.nextCall;
  }
  return undefined;
}

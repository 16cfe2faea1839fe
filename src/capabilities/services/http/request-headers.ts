/** Headers of requests: which of a guest's are sent, and which the host adds. */

import type { HttpRequest } from '../../http-messages.ts';
import { HttpFailure } from './refusals.ts';

/** Say how a connection is used, which is the host's affair. */
const dropped: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'content-length']);

/** Would lead a request elsewhere than it was judged, or make two out of one. */
const refused: ReadonlySet<string> = new Set([
  'host',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'te',
  'trailer',
  'expect',
]);

/** May be sent to another origin than the guest named. */
const safeElsewhere: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'content-language',
  'content-type',
  'user-agent',
]);

/** Describe a body, and go with it. */
const ofBody: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
]);

const methodsRefused: ReadonlySet<string> = new Set(['CONNECT', 'TRACE', 'TRACK']);

export type Headers = ReadonlyMap<string, string>;

/** The guest's headers that are sent, with the host's defaults. Throws HttpFailure for those that no guest may send. */
export function guestHeaders({ method, headers }: HttpRequest): Headers {
  if (methodsRefused.has(method)) throw new HttpFailure(`The method "${method}" is not possible`);
  for (const name of headers.keys()) {
    if (refused.has(name) || name.startsWith('proxy-')) {
      throw new HttpFailure(`The header "${name}" belongs to the host: leave it out`);
    }
  }
  const defaults = [
    ['user-agent', 'caisson'],
    // Nothing is decompressed here, so that a small answer cannot become a large one.
    ['accept-encoding', 'identity'],
  ] as const;
  return new Map([...defaults, ...[...headers].filter(([name]) => !dropped.has(name))]);
}

/** The headers that may follow a redirect to another origin. */
export function headersElsewhere(headers: Headers): Headers {
  return new Map([...headers].filter(([name]) => safeElsewhere.has(name)));
}

/** The headers of a request that has lost its body. */
export function headersWithoutBody(headers: Headers): Headers {
  return new Map([...headers].filter(([name]) => !ofBody.has(name)));
}

/** The next request after a redirect, by the rules of the fetch standard. Whether it is allowed is judged elsewhere. */

import type { HttpPlace } from './place.ts';
import { followPlace, isSameOrigin } from './place.ts';
import { type Headers, headersElsewhere, headersWithoutBody } from './request-headers.ts';

/** One request of a chain. */
export interface Hop {
  readonly place: HttpPlace;
  readonly method: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
  readonly redirectedFrom?: HttpPlace | undefined;
}

const redirectStatuses: readonly number[] = [301, 302, 303, 307, 308];

/** The request that an answer redirects to; undefined if the answer is the last. Throws HttpFailure for a bad Location. */
export function nextHop(hop: Hop, status: number, location: string | undefined): Hop | undefined {
  if (location === undefined || !redirectStatuses.includes(status)) return undefined;
  const place = followPlace(location, hop.place);
  const next = becomesGet(hop.method, status) ? withoutBody(hop) : hop;
  const headers = isSameOrigin(place, hop.place) ? next.headers : headersElsewhere(next.headers);
  return { ...next, headers, place, redirectedFrom: hop.place };
}

function becomesGet(method: string, status: number): boolean {
  if (status === 303) return method !== 'GET' && method !== 'HEAD';
  return method === 'POST' && (status === 301 || status === 302);
}

function withoutBody(hop: Hop): Hop {
  return { ...hop, method: 'GET', headers: headersWithoutBody(hop.headers), body: new Uint8Array() };
}

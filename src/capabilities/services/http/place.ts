/**
 * Where a request goes: a URL taken apart once, its host in the one spelling that
 * is judged, resolved and sent. Knows the form of URLs, not what is allowed.
 */

import { isIP, isIPv6 } from 'node:net';
import { hasControlCharacter } from '../../../base/text.ts';
import { HttpFailure } from './refusals.ts';

export type HttpScheme = 'http' | 'https';

export interface HttpPlace {
  readonly scheme: HttpScheme;
  /** Lower case, in Punycode, without a trailing dot; an IPv6 address without brackets. */
  readonly host: string;
  readonly isAddress: boolean;
  readonly port: number;
  /** Scheme, host and port: all of a URL that messages may show. */
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
  readonly url: URL;
}

export const schemePorts: Readonly<Record<HttpScheme, number>> = { http: 80, https: 443 };

const schemeLengthMax = 32;
const hostLengthMax = 253;
const hostForm = /^(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}$/;
const plainForm = /^https?:\/\/[^/?#@]+(?:[/?#]|$)/i;

/** The place that an absolute URL names. Throws HttpFailure. */
export function readPlace(text: string): HttpPlace {
  const place = placeOf(parsedUrl(text));
  if (plainForm.test(text)) return place;
  throw new HttpFailure('The URL is written in an unusual way: write "scheme://host/path"');
}

/** The place that a Location header leads to from another place. Throws HttpFailure. */
export function followPlace(location: string, from: HttpPlace): HttpPlace {
  // Servers send UTF-8, which node hands on byte by byte.
  return placeOf(parsedUrl(Buffer.from(location, 'latin1').toString(), from.url));
}

function parsedUrl(text: string, base?: URL): URL {
  // The parser would leave out some and turn the others into slashes.
  if (hasControlCharacter(text) || text.includes('\\')) {
    throw new HttpFailure('The URL holds a control character or a backslash: percent-encode it');
  }
  const url = URL.parse(text, base?.href);
  if (url === null) throw new HttpFailure('The URL is not valid: give one such as "https://example.com/path"');
  return url;
}

function placeOf(url: URL): HttpPlace {
  const scheme = schemeOf(url);
  if (url.username !== '' || url.password !== '') {
    throw new HttpFailure('The URL must not hold a user name or password: send a header instead');
  }
  const host = canonicalHost(url.hostname);
  if (host === undefined) throw new HttpFailure('The URL names a host that is no host name and no address');
  const port = url.port === '' ? schemePorts[scheme] : Number(url.port);
  if (port === 0) throw new HttpFailure('The URL names port 0: name a port from 1 to 65535');
  return {
    scheme,
    host,
    isAddress: isIP(host) !== 0,
    port,
    origin: `${scheme}://${bracketed(host)}:${port}`,
    path: url.pathname + url.search,
    url,
  };
}

function schemeOf(url: URL): HttpScheme {
  const scheme = url.protocol.slice(0, -1);
  if (scheme === 'http' || scheme === 'https') return scheme;
  throw new HttpFailure(
    `The URL has the scheme "${scheme.slice(0, schemeLengthMax)}": only http and https are possible`,
  );
}

/** The value of the header Host. */
export function hostHeader({ scheme, host, port }: HttpPlace): string {
  return port === schemePorts[scheme] ? bracketed(host) : `${bracketed(host)}:${port}`;
}

/** Whether both are the same scheme, host and port. */
export function isSameOrigin(one: HttpPlace, other: HttpPlace): boolean {
  return one.origin === other.origin;
}

function canonicalHost(hostname: string): string | undefined {
  if (hostname.startsWith('[')) return hostname.slice(1, -1);
  const host = hostname.endsWith('.') ? hostname.slice(0, -1) : hostname;
  return host.length <= hostLengthMax && hostForm.test(host) ? host : undefined;
}

function bracketed(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}

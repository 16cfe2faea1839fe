/**
 * A connection to one of the addresses that were judged, and to no other: the
 * socket is given the address and never a name. Every request has a connection of
 * its own, because one that is used again would carry a hostile server's leftovers
 * into the answer of another run, plugin or tenant.
 */

import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import type { Clock } from '../../../base/clock.ts';
import { linkSignals, onAbort } from '../../../base/signals.ts';
import { isSameAddress } from './addresses.ts';
import type { HttpPlace } from './place.ts';
import { HttpFailure } from './refusals.ts';

/** Addresses of one host that are tried, and how long each but the last. */
export const addressesTriedMax = 4;
const addressMsMax = 3_000;

export interface DialOptions {
  readonly clock: Clock;
  /** Certificates to trust instead of node's own. */
  readonly ca?: string | undefined;
}

/** Disposing of it destroys the socket. */
export interface Connection extends Disposable {
  readonly socket: Socket;
}

/** A connection to the first of the addresses that answers. Rejects with HttpFailure, or the signal's reason. */
export async function dial(
  place: HttpPlace,
  addresses: readonly string[],
  options: DialOptions,
  signal: AbortSignal,
): Promise<Connection> {
  const tried = addresses.slice(0, addressesTriedMax);
  for (const [index, address] of tried.entries()) {
    try {
      if (index === tried.length - 1) return await connected(place, address, options, signal);
      return await connectedSoon(place, address, options, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (index === tried.length - 1) throw error;
    }
  }
  throw new HttpFailure(`The host "${place.host}" has no address`);
}

async function connectedSoon(
  place: HttpPlace,
  address: string,
  options: DialOptions,
  signal: AbortSignal,
): Promise<Connection> {
  const late = new AbortController();
  using _timer = options.clock.after(addressMsMax, () => late.abort(new HttpFailure('The connection took too long')));
  using link = linkSignals(signal, late.signal);
  return await connected(place, address, options, link.signal);
}

async function connected(
  place: HttpPlace,
  address: string,
  { ca }: DialOptions,
  signal: AbortSignal,
): Promise<Connection> {
  using made = new DisposableStack();
  const plain = connect({ host: address, port: place.port, family: isIP(address), noDelay: true, lookup });
  made.defer(() => plain.destroy());
  await opened(plain, 'connect', signal);
  verifyPeer(plain, address);
  if (place.scheme === 'http') return connectionOf(plain, made.move());
  const secure = secured(plain, place, ca);
  made.defer(() => secure.destroy());
  await opened(secure, 'secureConnect', signal);
  return connectionOf(secure, made.move());
}

function connectionOf(socket: Socket, made: Disposable): Connection {
  return { socket, [Symbol.dispose]: () => made[Symbol.dispose]() };
}

/** Throws unless the socket's other end is the address that was judged. */
export function verifyPeer({ remoteAddress }: Pick<Socket, 'remoteAddress'>, address: string): void {
  if (remoteAddress === undefined || !isSameAddress(remoteAddress, address)) {
    throw new HttpFailure('The connection leads to another address than the one that was checked');
  }
}

function secured(socket: Socket, { host, isAddress }: HttpPlace, ca: string | undefined): TLSSocket {
  return connectTls({
    socket,
    host,
    servername: isAddress ? '' : host,
    ALPNProtocols: ['http/1.1'],
    // Said, because the environment can turn it off.
    rejectUnauthorized: true,
    ...(ca !== undefined && { ca }),
  });
}

/** Resolves at the event. Destroys the socket when the signal aborts first. */
async function opened(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once(event, resolve);
  // Stays: an error after the end of the request would otherwise end the process.
  socket.on('error', (error) => reject(connectionFailure(error)));
  socket.once('close', () => reject(connectionFailure()));
  using _listening = onAbort(signal, () => {
    reject(signal.reason as Error);
    socket.destroy();
  });
  await promise;
}

/** Sockets are given addresses only: whoever asks for a name's has lost its way. */
function lookup(): never {
  throw new Error('A socket was given a name');
}

const texts: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'The connection was refused',
  ECONNRESET: 'The connection ended before the answer was complete',
  EPIPE: 'The connection ended before the answer was complete',
  ETIMEDOUT: 'The host did not answer in time',
  EHOSTUNREACH: 'There is no way to the host',
  ENETUNREACH: 'There is no way to the host',
  HPE_HEADER_OVERFLOW: 'The answer has too many bytes of headers',
};

/** A failure in words that tell nothing of addresses. */
export function connectionFailure(error?: Error & { readonly code?: unknown }): HttpFailure {
  const code = typeof error?.code === 'string' ? error.code : 'ECONNRESET';
  const text = Object.hasOwn(texts, code) ? texts[code] : undefined;
  if (text !== undefined) return new HttpFailure(text);
  if (code.startsWith('HPE_')) return new HttpFailure(`The answer is not HTTP/1.1 (${code})`);
  if (/CERT|SSL|TLS|SIGN|TRUST|ISSUER/.test(code)) {
    return new HttpFailure(`The host could not prove with a certificate that it is the one named (${code})`);
  }
  return new HttpFailure(`The connection failed (${code})`);
}

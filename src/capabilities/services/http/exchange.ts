/** One request and its answer over one connection, within bounds of bytes. No redirects, no agents, no proxies. */

import { type IncomingMessage, request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { onAbort } from '../../../base/signals.ts';
import { connectionFailure } from './connection.ts';
import { hostHeader } from './place.ts';
import type { Hop } from './redirects.ts';
import { HttpFailure } from './refusals.ts';

/** Bytes of an answer's status line and headers. */
export const responseHeaderBytesMax = 65_536;
/** Interim answers, such as 103, before the answer. */
export const interimAnswersMax = 16;
/**
 * Pieces of a body. Each costs the main thread about a microsecond whatever its
 * size: beyond the first thousands they must have some bytes each.
 */
export const freePieces = 4_096;
export const pieceBytesMin = 64;

/** The answer with its body still to be read. Rejects with HttpFailure, or the signal's reason. */
export async function send(socket: Socket, hop: Hop, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  using _listening = onAbort(signal, () => {
    reject(signal.reason as Error);
    socket.destroy();
  });
  const request = started(socket, hop);
  let interimAnswers = 0;
  request.on('information', () => {
    if (++interimAnswers <= interimAnswersMax) return;
    reject(new HttpFailure('The host sends too many interim answers'));
    socket.destroy();
  });
  request.on('response', resolve);
  request.on('upgrade', () => reject(new HttpFailure('The host wants to speak another protocol than HTTP/1.1')));
  request.on('error', (error) => reject(connectionFailure(error)));
  request.on('close', () => reject(connectionFailure()));
  return await promise;
}

/** With no agent given, node uses the socket for this request alone and reads no proxy from the environment. */
function started(socket: Socket, hop: Hop): ReturnType<typeof httpRequest> {
  const request = httpRequest({
    createConnection: () => socket,
    method: hop.method,
    path: hop.place.path,
    headers: {
      host: hostHeader(hop.place),
      ...Object.fromEntries(hop.headers),
      ...(hop.body.length > 0 && { 'content-length': hop.body.length }),
    },
    maxHeaderSize: responseHeaderBytesMax,
    // Said, because a flag of the process can turn it on.
    insecureHTTPParser: false,
  });
  // Node would leave out headers beyond this number without a word; their bytes are bounded.
  request.maxHeadersCount = 0;
  request.end(hop.body);
  return request;
}

/** The headers of an answer: lower-case names, values of one name joined with commas. */
export function headersOf({ rawHeaders }: IncomingMessage): ReadonlyMap<string, string> {
  const headers = new Map<string, string>();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] ?? '').toLowerCase();
    const value = rawHeaders[at + 1] ?? '';
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

/** The whole body. Destroys the connection as soon as it has more than `bytesMax` bytes. */
export async function readBody(message: IncomingMessage, bytesMax: number, signal: AbortSignal): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const body = new Body(bytesMax);
  const fail = (error: Error): void => {
    reject(error);
    message.destroy();
  };
  using _listening = onAbort(signal, () => fail(signal.reason as Error));
  message.on('data', (piece: Uint8Array) => {
    const refusal = body.add(piece);
    if (refusal !== undefined) fail(new HttpFailure(refusal));
  });
  message.on('end', () => (message.complete ? resolve() : reject(connectionFailure())));
  message.on('error', (error) => reject(connectionFailure(error)));
  message.on('close', () => reject(connectionFailure()));
  await promise;
  return body.bytes();
}

/** Bytes in one growing buffer: a list of pieces could take many times the memory of what they hold. */
class Body {
  readonly #bytesMax: number;
  #buffer = new Uint8Array(16_384);
  #length = 0;
  #pieces = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Why the piece is not taken; undefined if it is. */
  add(piece: Uint8Array): string | undefined {
    const length = this.#length + piece.length;
    if (length > this.#bytesMax) return `The answer has more than the ${this.#bytesMax} bytes that the policy allows`;
    if (++this.#pieces > freePieces + length / pieceBytesMin) return 'The answer comes in pieces that are too small';
    if (length > this.#buffer.length) this.#grow(length);
    this.#buffer.set(piece, this.#length);
    this.#length = length;
    return undefined;
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #grow(length: number): void {
    const grown = new Uint8Array(Math.min(this.#bytesMax, Math.max(length, this.#buffer.length * 2)));
    grown.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = grown;
  }
}

/**
 * Real servers on loopback that remember every connection and request. Closing
 * one fails if a client kept a connection open.
 */

import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createRawServer, type Server as RawServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { TestCertificate } from './certificate.ts';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The name that a client of TLS asked for. */
  readonly servername?: string | undefined;
}

export interface LocalServer extends AsyncDisposable {
  readonly port: number;
  readonly seen: SeenRequest[];
  /** Connections accepted so far. */
  connections(): number;
  /** Resolves when a connection was accepted. */
  connected(): Promise<void>;
  /** Resolves when no connection is open. */
  quiet(): Promise<void>;
}

export interface ServerOptions {
  /** Default "127.0.0.1". */
  readonly host?: string;
  /** Default: any that is free. */
  readonly port?: number;
  readonly secure?: TestCertificate;
}

const closedMsMax = 5_000;

/** A server that reads whole requests before it answers. Default: 200 with the body "ok". */
export async function httpServer(
  answer: (request: SeenRequest, response: Parameters<RequestListener>[1]) => void = (_request, response) => {
    response.end('ok');
  },
  { host = '127.0.0.1', port = 0, secure }: ServerOptions = {},
): Promise<LocalServer> {
  const seen: SeenRequest[] = [];
  const listener: RequestListener = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => {});
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const servername = request.socket instanceof TLSSocket ? String(request.socket.servername) : undefined;
      const one = { method, path: url, headers, body: Buffer.concat(chunks).toString(), servername };
      seen.push(one);
      answer(one, response);
    });
  };
  const server: Server = secure === undefined ? createServer(listener) : createSecureServer(secure, listener);
  return await localServer(server, { host, port }, seen);
}

/** A server of bytes. */
export async function rawServer(serve: (socket: Socket) => void, host = '127.0.0.1'): Promise<LocalServer> {
  const server = createRawServer((socket) => {
    serve(socket);
    // Read on, so that the end of the connection is seen.
    socket.resume();
  });
  return await localServer(server, { host, port: 0 }, []);
}

async function localServer(
  server: RawServer,
  at: { readonly host: string; readonly port: number },
  seen: SeenRequest[],
): Promise<LocalServer> {
  const open = new Set<Socket>();
  let connections = 0;
  server.on('connection', (socket: Socket) => {
    connections++;
    open.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => open.delete(socket));
  });
  server.on('tlsClientError', () => {});
  server.listen(at);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    connections: () => connections,
    connected: async () => {
      if (connections === 0) await once(server, 'connection');
    },
    quiet: async () => {
      for (const socket of open) await new Promise((resolve) => socket.once('close', resolve));
    },
    [Symbol.asyncDispose]: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      const timer = setTimeout(() => {
        for (const socket of open) socket.destroy(new Error('A client kept its connection'));
      }, closedMsMax);
      await closed;
      clearTimeout(timer);
    },
  };
}

/**
 * gRPC servers and clients inside the test's own process, on loopback. A test
 * that leaves a server open fails after its end.
 */

import { type ClientHttp2Stream, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import type { DescMethod, DescService } from '@bufbuild/protobuf';
import { afterEach } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { type Client, createClient } from '../../src/client/client.ts';
import type { Log } from '../../src/model/log.ts';
import type { ServiceBinding } from '../../src/rpc/adapter.ts';
import { RpcServer, type RpcServerOptions } from '../../src/rpc/server.ts';

const open = new Set<string>();

afterEach(() => {
  const leaked = [...open];
  open.clear();
  if (leaked.length > 0) throw new Error(`The test left open: ${leaked.join(', ')}`);
});

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Readonly<Record<string, unknown>>;
  readonly text: string;
}

/** A logger that keeps what it is told. */
export function recordingLog(lines: LogLine[], base: object = {}): Log {
  const at = (level: LogLine['level']) => (fields: object, text: string) => {
    lines.push({ level, fields: { ...base, ...fields }, text });
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => recordingLog(lines, { ...base, ...fields }),
  };
}

export interface TestRpc extends AsyncDisposable {
  readonly server: RpcServer;
  readonly address: string;
  readonly lines: LogLine[];
  /** A client of the server, closed together with it. */
  client<Service extends DescService>(service: Service): Client<Service>;
}

/** Starts a server that serves the bindings on a free loopback port, or on `addresses`. */
export async function startRpc(
  services: readonly ServiceBinding[],
  options: Partial<RpcServerOptions> = {},
): Promise<TestRpc> {
  const lines: LogLine[] = [];
  const server = await RpcServer.start({
    services,
    addresses: ['127.0.0.1:0'],
    clock: systemClock,
    log: recordingLog(lines),
    ...options,
  });
  const address = server.addresses[0] ?? '';
  open.add(`server ${address}`);
  const clients: Disposable[] = [];
  return {
    server,
    address,
    lines,
    client: (service) => {
      const client = createClient(service, address);
      clients.push(client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client[Symbol.dispose]();
      await server.shutdown();
      open.delete(`server ${address}`);
    },
  };
}

/** Collects a stream to its end. */
export async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The items, one after the other. */
export async function* streamOf<Item>(...items: readonly Item[]): AsyncGenerator<Item> {
  yield* items;
}

/** Waits until the condition holds; fails after five seconds. */
export async function until(condition: () => boolean, what = 'the condition'): Promise<void> {
  const limit = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > limit) throw new Error(`Waited in vain for ${what}`);
    await systemClock.sleep(5);
  }
}

/** What the promise rejects with; fails if it resolves. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  const resolved = Symbol('resolved');
  const result = await promise.then(
    () => resolved,
    (error: unknown) => error,
  );
  if (result === resolved) throw new Error('Expected a rejection');
  return result;
}

/** One gRPC frame around an empty message. */
export const emptyFrame = Buffer.alloc(5);

export interface RawCall extends Disposable {
  readonly stream: ClientHttp2Stream;
  /** The response's headers. */
  readonly headers: Promise<IncomingHttpHeaders>;
  readonly closed: Promise<void>;
  /** Cuts the connection without a word. */
  cut(): void;
}

/** A call made of bare HTTP/2, for what no proper client does. Frames are written to its stream. */
export function rawCall(address: string, method: DescMethod, headers: OutgoingHttpHeaders = {}): RawCall {
  const session = connect(`http://${address}`);
  session.on('error', () => {});
  const stream = session.request({
    ':method': 'POST',
    ':path': `/${method.parent.typeName}/${method.name}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => {});
  const response = new Promise<IncomingHttpHeaders>((resolve) => stream.once('response', resolve));
  return {
    stream,
    headers: response.then((received) => {
      stream.resume();
      return received;
    }),
    closed: new Promise((resolve) => stream.once('close', resolve)),
    cut: () => session.socket.destroy(),
    [Symbol.dispose]: () => session.destroy(),
  };
}

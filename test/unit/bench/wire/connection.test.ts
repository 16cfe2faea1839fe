/** The client of the load generator against node:http2. */

import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Connection } from '../../../../bench/wire/connection.ts';
import { grpcFrame } from '../../../../bench/wire/grpc-messages.ts';
import type { GrpcStatus } from '../../../../bench/wire/grpc-status.ts';

let server: Http2Server;
let connection: Connection;
const canceled = Promise.withResolvers<number>();

beforeEach(async () => {
  server = createServer({ settings: { initialWindowSize: 10_000 } });
  server.on('stream', (stream, { ':path': path }) => {
    // A stream that is reset says so here, too.
    stream.on('error', () => {});
    answers[`${path}`]?.(stream);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  connection = await Connection.open(`127.0.0.1:${(server.address() as AddressInfo).port}`);
});

afterEach(async () => {
  connection[Symbol.dispose]();
  await new Promise((resolve) => server.close(resolve));
});

const answers: Readonly<Record<string, (stream: ServerHttp2Stream) => void>> = {
  '/echo': (stream) => {
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.pipe(stream);
  },
  '/refuse': (stream) =>
    stream.respond({ ':status': 200, 'grpc-status': '8', 'grpc-message': 'full' }, { endStream: true }),
  '/reset': (stream) => stream.close(2),
  '/wait': (stream) => void stream.once('close', () => canceled.resolve(stream.rstCode)),
  '/end': (stream) => stream.session?.destroy(),
};

interface Answer {
  readonly messages: readonly Buffer[];
  readonly status: GrpcStatus;
}

function call(path: string, ...messages: readonly Buffer[]): Promise<Answer> {
  const got: Buffer[] = [];
  return new Promise((resolve) => {
    const stream = connection.begin(path, {
      message: (message) => got.push(message),
      end: (status) => resolve({ messages: got, status }),
    });
    for (const message of messages) stream.send(grpcFrame(message));
    stream.finish();
  });
}

describe('A call', () => {
  test('gives back messages and status', async () => {
    expect(await call('/echo', Buffer.from('a'), Buffer.from('b'))).toEqual({
      messages: [Buffer.from('a'), Buffer.from('b')],
      status: { code: 0, message: '' },
    });
  });

  test('of a megabyte keeps to the windows of the server, many at once', async () => {
    const message = Buffer.alloc(1_000_000, 'caisson');
    const all = await Promise.all([1, 2, 3].map(() => call('/echo', message)));
    for (const { messages, status } of all) {
      expect(status.code).toBe(0);
      expect(messages.map((one) => one.equals(message))).toEqual([true]);
    }
  });

  test('that is refused without a body has the status of its only header', async () => {
    expect(await call('/refuse', Buffer.from('a'))).toEqual({ messages: [], status: { code: 8, message: 'full' } });
  });

  test('whose stream or connection ends has the status UNAVAILABLE, as has every later one', async () => {
    expect((await call('/reset')).status).toEqual({ code: 14, message: 'RST_STREAM 2' });
    expect((await call('/end')).status.code).toBe(14);
    expect((await call('/echo')).status.code).toBe(14);
  });

  test('that is canceled is reset on the server', async () => {
    const stream = connection.begin('/wait', { message: () => {}, end: () => {} });
    stream.send(grpcFrame(Buffer.from('a')));
    await call('/echo');
    stream.cancel();
    expect(await canceled.promise).toBe(8);
  });
});

test('A connection to nobody is refused', async () => {
  await expect(Connection.open('127.0.0.1:1')).rejects.toThrow('ECONNREFUSED');
});

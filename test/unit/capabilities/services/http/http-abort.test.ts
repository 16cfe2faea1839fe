import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { AbortReason } from '../../../../../src/model/abort-reason.ts';
import type { HttpGrant } from '../../../../../src/model/grant.ts';
import { dial } from '../../../../../src/capabilities/services/http/connection.ts';
import { readPlace } from '../../../../../src/capabilities/services/http/place.ts';
import { systemClock } from '../../../../../src/base/clock.ts';
import { ManualClock, settled } from '../../../base/manual-clock.ts';
import { ask, askingRun, FixedResolver, httpService, target } from './asking.ts';
import { httpServer, type LocalServer, rawServer } from './local-servers.ts';

const resolver = new FixedResolver({ 'good.test': ['127.0.0.1'] });
const reason = new AbortReason('CANCELED');

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await settled();
}

function abortable({ port }: { readonly port: number }, http: Partial<HttpGrant> = {}) {
  const stop = new AbortController();
  const targets = [target('good.test', port, { scheme: '*' })];
  return { stop, run: askingRun({ targets, ...http }, { signal: stop.signal }), url: `http://good.test:${port}/` };
}

/** The request ends with the run's reason, every connection is closed, and nobody listens to the signal any more. */
async function expectAborted(asking: Promise<unknown>, stop: AbortController, server?: LocalServer): Promise<void> {
  stop.abort(reason);
  await expect(asking).rejects.toBe(reason);
  expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
  await server?.quiet();
}

describe('A run that is stopped', () => {
  test('makes no request any more', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver });
    const { stop, run, url } = abortable(server);
    stop.abort(reason);
    await expectAborted(ask(service, run, { url }), stop);
    expect(server.connections()).toBe(0);
  });

  test('leaves the waiting line', async () => {
    await using server = await rawServer(() => {});
    await using service = httpService({ resolver, waitingMax: 1 });
    const first = abortable(server, { connectionsMax: 1 });
    const second = abortable(server, { connectionsMax: 1 });
    const held = ask(service, first.run, { url: first.url });
    await server.connected();
    await expectAborted(ask(service, second.run, { url: second.url }), second.stop);
    const third = abortable(server, { connectionsMax: 1 });
    const waiting = ask(service, third.run, { url: third.url });
    await settled();
    await expectAborted(waiting, third.stop);
    await expectAborted(held, first.stop, server);
    expect(server.connections()).toBe(1);
  });

  test('gives back its turn while it waits for it', async () => {
    await using server = await httpServer();
    const clock = new ManualClock();
    await using service = httpService({ resolver, clock });
    const { stop, run, url } = abortable(server, { requestsPerSecond: 1 });
    await ask(service, run, { url });
    const waiting = ask(service, run, { url });
    await settled();
    await expectAborted(waiting, stop, server);
    const next = abortable(server, { requestsPerSecond: 1 });
    const asking = ask(service, next.run, { url });
    await settled();
    await clock.advance(1_000);
    expect(await asking).toMatchObject({ status: 200 });
    expect(server.connections()).toBe(2);
  });

  test('does not wait for the resolver, which keeps its place until it has ended', async () => {
    const ends: (() => void)[] = [];
    const asked: string[] = [];
    await using service = httpService({
      resolver: {
        resolve: (host) => {
          asked.push(host);
          return new Promise((resolve) => ends.push(() => resolve([])));
        },
      },
    });
    const { stop, run, url } = abortable({ port: 80 });
    const asking = ask(service, run, { url });
    await until(() => asked.length === 1);
    await expectAborted(asking, stop);
    const next = abortable({ port: 80 });
    const waiting = ask(service, next.run, { url });
    await settled();
    expect(asked).toHaveLength(1);
    ends[0]?.();
    await until(() => asked.length === 2);
    await expectAborted(waiting, next.stop);
  });

  test('ends a connection while it is being made', async () => {
    await using server = await rawServer(() => {});
    const stop = new AbortController();
    const place = readPlace(`http://good.test:${server.port}/`);
    const dialing = dial(place, ['127.0.0.1'], { clock: systemClock }, stop.signal);
    await expectAborted(dialing, stop, server);
  });

  test('does not try the next address', async () => {
    await using server = await rawServer(() => {}, '127.0.0.2');
    const stop = new AbortController();
    const place = readPlace(`http://good.test:${server.port}/`);
    const dialing = dial(place, ['127.0.0.1', '127.0.0.2'], { clock: systemClock }, stop.signal);
    await expectAborted(dialing, stop);
    await settled();
    expect(server.connections()).toBe(0);
  });

  test('ends a connection in the handshake of TLS', async () => {
    const greeted = Promise.withResolvers<void>();
    await using server = await rawServer((socket) => void socket.once('data', () => greeted.resolve()));
    await using service = httpService({ resolver });
    const { stop, run } = abortable(server);
    const asking = ask(service, run, { url: `https://good.test:${server.port}/` });
    await greeted.promise;
    await expectAborted(asking, stop, server);
  });

  test.each([
    ['before the headers', ''],
    ['in the headers', 'HTTP/1.1 200 OK\r\nx-half'],
    ['before the body', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n'],
    ['in the body', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour'],
    ['in an endless body', 'HTTP/1.1 200 OK\r\n\r\nfour'],
  ])('ends a connection %s', async (_where, bytes) => {
    const sent = Promise.withResolvers<void>();
    await using server = await rawServer((socket) => {
      socket.once('data', () => socket.write(bytes || '\r\n', () => sent.resolve()));
    });
    await using service = httpService({ resolver });
    const { stop, run, url } = abortable(server);
    const asking = ask(service, run, { url });
    await sent.promise;
    await settled();
    await expectAborted(asking, stop, server);
  });

  test('ends a connection while it uploads', async () => {
    await using server = await rawServer((socket) => void socket.pause());
    await using service = httpService({ resolver });
    const { stop, run, url } = abortable(server, { requestBytesMax: 50_000_000 });
    const asking = ask(service, run, { url, method: 'PUT' }, new Uint8Array(20_000_000));
    await server.connected();
    await settled();
    await expectAborted(asking, stop, server);
  });

  test('ends a chain of redirects', async () => {
    await using server = await httpServer(({ path }, response) => {
      if (path !== '/') return;
      response.writeHead(302, { location: '/next' });
      response.end();
    });
    await using service = httpService({ resolver });
    const { stop, run, url } = abortable(server);
    const asking = ask(service, run, { url });
    await until(() => server.seen.length === 2);
    await expectAborted(asking, stop, server);
  });
});

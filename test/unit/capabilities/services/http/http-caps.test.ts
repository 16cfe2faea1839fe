import { describe, expect, test } from 'vitest';
import type { HttpGrant } from '../../../../../src/model/grant.ts';
import type { HttpService } from '../../../../../src/capabilities/services/http/http-service.ts';
import {
  freePieces,
  interimAnswersMax,
  pieceBytesMin,
  responseHeaderBytesMax,
} from '../../../../../src/capabilities/services/http/exchange.ts';
import { ManualClock, settled } from '../../../base/manual-clock.ts';
import { ask, askingRun, FixedResolver, httpService, target } from './asking.ts';
import { expectDenied, expectFailed } from './expecting.ts';
import { httpServer, type LocalServer, rawServer } from './local-servers.ts';

const resolver = new FixedResolver({ 'good.test': ['127.0.0.1'] });

const urlOf = ({ port }: LocalServer): string => `http://good.test:${port}/`;

function runTo({ port }: LocalServer, http: Partial<HttpGrant> = {}, more: Parameters<typeof askingRun>[1] = {}) {
  return askingRun({ targets: [target('good.test', port)], ...http }, more);
}

/** Resolves when the condition holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await settled();
}

/** A server that answers when told to. */
async function holdingServer() {
  const held: (() => void)[] = [];
  const server = await httpServer((_request, response) => void held.push(() => response.end('ok')));
  return Object.assign(server, { held });
}

describe('Bytes', () => {
  test('of a request are bounded', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver });
    const run = runTo(server, { requestBytesMax: 1_000 });
    const head = { url: urlOf(server), method: 'POST' };
    expect(await ask(service, run, head, 'x'.repeat(1_000))).toMatchObject({ status: 200 });
    expectFailed(await ask(service, run, head, 'x'.repeat(1_001)), /request has more than the 1000 bytes/);
    expect(server.connections()).toBe(1);
  });

  test.each([
    ['with a length', false],
    ['in chunks', true],
  ])('of an answer %s are bounded, and the connection is closed beyond', async (_what, isChunked) => {
    await using server = await httpServer(({ path }, response) => {
      const body = Buffer.alloc(Number(path.slice(1)), 'y');
      if (!isChunked) return void response.end(body);
      response.write(body.subarray(0, 100));
      response.end(body.subarray(100));
    });
    await using service = httpService({ resolver });
    const run = runTo(server, { responseBytesMax: 50_000 });
    const answer = await ask(service, run, { url: `${urlOf(server)}50000` });
    expect(answer.body).toBe('y'.repeat(50_000));
    expectFailed(await ask(service, run, { url: `${urlOf(server)}50001` }), /answer has more than the 50000 bytes/);
    await server.quiet();
  });

  test('of an endless answer end at the bound', async () => {
    await using server = await rawServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const flood = (): void => {
        while (!socket.destroyed && socket.write(Buffer.alloc(65_536)));
      };
      socket.on('drain', flood);
      flood();
    });
    await using service = httpService({ resolver });
    expectFailed(await ask(service, runTo(server), { url: urlOf(server) }), /more than the 1000000 bytes/);
    await server.quiet();
  });

  test('of an answer’s headers are bounded', async () => {
    const head = 'HTTP/1.1 200 OK\r\n';
    await using server = await rawServer((socket) => {
      socket.once('data', (request: Buffer) => {
        const [, bytes] = /^GET \/(\d+)/.exec(request.toString()) ?? [];
        socket.end(`${head}x:${'y'.repeat(Number(bytes))}\r\ncontent-length: 0\r\n\r\n`);
      });
    });
    await using service = httpService({ resolver });
    const run = runTo(server);
    // Node counts names and values, and of the rest no more than 64 bytes.
    const under = await ask(service, run, { url: `${urlOf(server)}${responseHeaderBytesMax - 64}` });
    expect(under.headers['x']).toHaveLength(responseHeaderBytesMax - 64);
    const over = await ask(service, run, { url: `${urlOf(server)}${responseHeaderBytesMax + 1}` });
    expectFailed(over, /^The answer has too many bytes of headers$/);
  });

  test('of many short headers are all handed on', async () => {
    await using server = await rawServer((socket) => {
      const headers = Array.from({ length: 5_000 }, (_, at) => `h${at}: \r\n`).join('');
      socket.end(`HTTP/1.1 200 OK\r\n${headers}content-length: 0\r\n\r\n`);
    });
    await using service = httpService({ resolver });
    const answer = await ask(service, runTo(server), { url: urlOf(server) });
    expect(Object.keys(answer.headers)).toHaveLength(5_001);
  });

  test('may come in small pieces only up to a number', async () => {
    const atLeast = pieceBytesMin;
    await using server = await rawServer((socket) => {
      socket.once('data', (request: Buffer) => {
        const [, pieces] = /^GET \/(\d+)/.exec(request.toString()) ?? [];
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
        socket.end(`${'1\r\nz\r\n'.repeat(Number(pieces))}0\r\n\r\n`);
      });
    });
    await using service = httpService({ resolver });
    const run = runTo(server);
    // Every piece has a byte, and pieceBytesMin bytes allow one piece more.
    const piecesMax = Math.floor(freePieces / (1 - 1 / atLeast));
    expect(await ask(service, run, { url: `${urlOf(server)}${piecesMax}` })).toMatchObject({ status: 200 });
    expectFailed(await ask(service, run, { url: `${urlOf(server)}${piecesMax + 1}` }), /pieces that are too small/);
  });

  test('of interim answers are bounded by their number', async () => {
    await using server = await rawServer((socket) => {
      socket.once('data', (request: Buffer) => {
        const [, interim] = /^GET \/(\d+)/.exec(request.toString()) ?? [];
        socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(Number(interim)));
        socket.end('HTTP/1.1 204 No Content\r\n\r\n');
      });
    });
    await using service = httpService({ resolver });
    const run = runTo(server);
    expect(await ask(service, run, { url: `${urlOf(server)}${interimAnswersMax}` })).toMatchObject({ status: 204 });
    expectFailed(
      await ask(service, run, { url: `${urlOf(server)}${interimAnswersMax + 1}` }),
      /too many interim answers/,
    );
  });
});

describe('Requests', () => {
  test('of one run are bounded, and those of another run are not counted with them', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver });
    const run = runTo(server, { requestsMax: 2 });
    for (let sent = 0; sent < 2; sent++)
      expect(await ask(service, run, { url: urlOf(server) })).toMatchObject({ code: 0 });
    expectFailed(await ask(service, run, { url: urlOf(server) }), /has made the 2 requests/);
    const other = runTo(server, { requestsMax: 2 }, { executionId: 'run-2' });
    expect(await ask(service, other, { url: urlOf(server) })).toMatchObject({ status: 200 });
    expect(server.seen).toHaveLength(3);
  });

  test('are counted for as many runs as the bound says, the least recent forgotten', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver, runsMax: 2 });
    const send = (executionId: string) =>
      ask(service, runTo(server, { requestsMax: 1 }, { executionId }), { url: urlOf(server) });
    for (const id of ['a', 'b']) expect(await send(id)).toMatchObject({ status: 200 });
    expectFailed(await send('a'), /has made the 1 requests/);
    expect(await send('c')).toMatchObject({ status: 200 });
    expectFailed(await send('a'), /has made the 1 requests/);
    expect(await send('b')).toMatchObject({ status: 200 });
  });

  test('of one tenant go out as fast as the rate allows, and wait beyond it', async () => {
    await using server = await httpServer();
    const clock = new ManualClock();
    await using service = httpService({ resolver, clock });
    const run = runTo(server, { requestsPerSecond: 2 });
    for (let sent = 0; sent < 2; sent++) await ask(service, run, { url: urlOf(server) });
    const third = ask(service, run, { url: urlOf(server) });
    await clock.advance(499);
    expect(server.connections()).toBe(2);
    await clock.advance(1);
    expect(await third).toMatchObject({ status: 200 });
    expect(server.connections()).toBe(3);
  });

  test('whose turn would come after the timeout fail at once', async () => {
    await using server = await httpServer();
    const clock = new ManualClock();
    await using service = httpService({ resolver, clock });
    const run = runTo(server, { requestsPerSecond: 1, timeoutMsMax: 1_500 });
    await ask(service, run, { url: urlOf(server) });
    const second = ask(service, run, { url: urlOf(server) });
    await settled();
    expectFailed(await ask(service, run, { url: urlOf(server) }), /too many requests: 1 a second/);
    const other = runTo(server, { requestsPerSecond: 1 }, { tenant: 'other' });
    expect(await ask(service, other, { url: urlOf(server) })).toMatchObject({ status: 200 });
    await clock.advance(1_000);
    expect(await second).toMatchObject({ status: 200 });
  });

  test('count with every hop of a redirect', async () => {
    await using server = await httpServer(({ path }, response) => {
      response.writeHead(path === '/' ? 302 : 200, { location: '/next' });
      response.end();
    });
    const clock = new ManualClock();
    await using service = httpService({ resolver, clock });
    const asking = ask(service, runTo(server, { requestsPerSecond: 1 }), { url: urlOf(server) });
    await until(() => server.seen.length === 1 && clock.timers === 2);
    await clock.advance(1_000);
    expect(await asking).toMatchObject({ status: 200 });
  });

  test('are none at all at a rate of none', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver });
    const run = runTo(server, { requestsPerSecond: 0 });
    expectFailed(await ask(service, run, { url: urlOf(server) }), /too many requests: 0 a second/);
    expect(server.connections()).toBe(0);
  });
});

describe('Connections', () => {
  /** Asks and waits until the server holds `held` requests. */
  const asking = (service: HttpService, server: LocalServer, http: Partial<HttpGrant>, tenant = 'acme') =>
    ask(service, runTo(server, http, { tenant }), { url: urlOf(server) });

  test('of one tenant are bounded; others wait in order, a few of them', async () => {
    await using server = await holdingServer();
    await using service = httpService({ resolver, waitingMax: 2 });
    const http = { connectionsMax: 2 };
    const asked = [1, 2, 3, 4].map(() => asking(service, server, http));
    await until(() => server.held.length === 2);
    expectFailed(
      await asking(service, server, http),
      /too many requests of this tenant at once: 2 are allowed, and 2 may wait/,
    );
    const others = asking(service, server, http, 'other');
    await until(() => server.held.length === 3);
    expect(server.connections()).toBe(3);
    while (server.seen.length < 5 || server.held.length > 0) {
      server.held.shift()?.();
      await settled();
    }
    for (const answer of await Promise.all([...asked, others])) expect(answer).toMatchObject({ status: 200 });
  });

  test('are refused wholly where none is allowed', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver });
    expectFailed(await asking(service, server, { connectionsMax: 0 }), /too many requests/);
    // What is denied is told at once, and takes no place.
    expectDenied(await asking(service, server, { connectionsMax: 0, targets: [] }), /policy/);
  });

  test('that were denied or failed leave their place to others', async () => {
    await using server = await httpServer();
    await using service = httpService({
      resolver: new FixedResolver({ 'good.test': ['127.0.0.1'], 'x.test': [] }),
      waitingMax: 0,
    });
    const run = runTo(server, { connectionsMax: 1 });
    expectDenied(await ask(service, run, { url: 'http://x.test/' }), /policy/);
    const failing = askingRun({ targets: [target('y.test', 80)], connectionsMax: 1 });
    expectFailed(await ask(service, failing, { url: 'http://y.test/' }), /no address/);
    expect(await ask(service, run, { url: urlOf(server) })).toMatchObject({ status: 200 });
  });

  test('are counted for a bounded number of tenants, of which only idle ones are forgotten', async () => {
    await using server = await holdingServer();
    await using service = httpService({ resolver, tenantsMax: 2 });
    const asked = ['a', 'b'].map((tenant) => asking(service, server, {}, tenant));
    await until(() => server.held.length === 2);
    expectFailed(await asking(service, server, {}, 'c'), /requests of 2 tenants at once/);
    server.held.shift()?.();
    await Promise.race(asked);
    const third = asking(service, server, {}, 'c');
    await until(() => server.held.length === 2);
    for (const answer of server.held) answer();
    for (const answer of await Promise.all([...asked, third])) expect(answer).toMatchObject({ status: 200 });
  });
});

describe('The time of a request', () => {
  test('is bounded over all of it', async () => {
    await using server = await httpServer(({ path }, response) => {
      if (path !== '/') return;
      response.writeHead(302, { location: '/slow' });
      response.end();
    });
    const clock = new ManualClock();
    await using service = httpService({ resolver, clock });
    let result: unknown;
    const asking = ask(service, runTo(server, { timeoutMsMax: 1_000 }), { url: urlOf(server) }).then((answer) => {
      result = answer;
      return answer;
    });
    await clock.advance(600);
    await until(() => server.seen.length === 2);
    await clock.advance(399);
    expect(result).toBeUndefined();
    await clock.advance(1);
    expectFailed(await asking, /took longer than the 1000 ms/);
    await server.quiet();
    expect(clock.timers).toBe(0);
  });

  test('includes the resolver’s', async () => {
    const clock = new ManualClock();
    await using service = httpService({ resolver: { resolve: () => new Promise(() => {}) }, clock });
    const asking = ask(service, askingRun({ targets: [target('good.test', 80)] }), { url: 'http://good.test/' });
    await clock.advance(10_000);
    expectFailed(await asking, /took longer than the 10000 ms/);
  });

  test('leaves no timer behind', async () => {
    await using server = await httpServer();
    const clock = new ManualClock();
    await using service = httpService({ resolver, clock });
    expect(await ask(service, runTo(server), { url: urlOf(server) })).toMatchObject({ status: 200 });
    expect(clock.timers).toBe(0);
  });
});

/** Requests of guests over the wire, against real local servers that a policy file lets them reach. */

import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ExecutionEvent, LogLevel, Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import { callGuest, httpGuest, publishGuest, textOf } from '../helpers/capability-guests.ts';
import { type Clients, clientsOf } from '../helpers/plugins.ts';
import { everybody, type PolicyFile, writePolicy } from '../helpers/policies.ts';
import { startServer, type TestServer } from '../helpers/server.ts';

interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

const received: Received[] = [];
let allowed: Server;
let denied: Server;
let policy: PolicyFile;
let server: TestServer;
let clients: Clients;

const responseBytesMax = 10_000;

const answerRequest: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { method = '', url = '', headers } = request;
    const body = Buffer.concat(chunks).toString();
    received.push({ method, url, headers, body });
    const [, word = '', number = ''] = url.split('/');
    if (word === 'bytes') response.end('x'.repeat(Number(number)));
    else if (word === 'status') response.writeHead(Number(number)).end(`status ${number}`);
    else if (word === 'away') response.writeHead(302, { location: `${urlOf(denied)}/caught` }).end();
    else if (word === 'onward') response.writeHead(307, { location: '/echo' }).end();
    else if (word !== 'hang') response.setHeader('X-Two', ['one', 'two']).end(`${method} ${body}`);
  });
};

function listen(): Promise<Server> {
  const listening = createServer(answerRequest);
  return new Promise((resolve) => listening.listen(0, '127.0.0.1', () => resolve(listening)));
}

function portOf(of: Server): number {
  return (of.address() as AddressInfo).port;
}

function urlOf(of: Server): string {
  return `http://127.0.0.1:${portOf(of)}`;
}

beforeAll(async () => {
  [allowed, denied] = [await listen(), await listen()];
  const target = { host: '127.0.0.1', scheme: 'http', port: portOf(allowed), private: true };
  policy = writePolicy(() => [
    everybody,
    {
      name: 'callers',
      tenants: ['*'],
      plugins: ['caller'],
      capabilities: ['http'],
      http: {
        targets: [
          { ...target, methods: ['GET', 'POST'] },
          { host: 'public.example', scheme: 'http' },
        ],
        response_bytes_max: responseBytesMax,
        request_bytes_max: 1_000,
      },
    },
  ]);
  server = await startServer({ examples: false, arguments: ['--policy', policy.path] });
  clients = clientsOf(server.address);
  await publishGuest(clients, 'caller', httpGuest, { more: { allowed_hosts: ['127.0.0.1', 'localhost'] } });
});

afterAll(async () => {
  clients[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  policy[Symbol.dispose]();
  for (const one of [allowed, denied]) {
    one.closeAllConnections();
    await new Promise((resolve) => one.close(resolve));
  }
});

const request = (path: string, more: object = {}): string =>
  JSON.stringify({ url: `${urlOf(allowed)}${path}`, ...more });

async function ask(name: 'body' | 'status' | 'headers', ...lines: readonly string[]): Promise<string> {
  const execution = await callGuest(clients, `caller/${name}`, lines);
  expect([execution.outcome, execution.error?.message]).toEqual([Outcome.OK, undefined]);
  return textOf(execution);
}

/** Lines of log of a run, which must end well. */
async function warningsOf(...lines: readonly string[]): Promise<readonly string[]> {
  const input = Buffer.from(lines.join('\n'));
  const events: ExecutionEvent[] = [];
  for await (const { event } of clients.executions.executeStream({ plugin: 'caller', function: 'status', input })) {
    if (event) events.push(event);
  }
  const outcome = events.at(-1)?.event;
  expect(outcome?.case === 'outcome' && [outcome.value.outcome, textOf(outcome.value)]).toEqual([Outcome.OK, '0']);
  return events.flatMap(({ event }) =>
    event.case === 'log' && event.value.level === LogLevel.WARN ? [event.value.message] : [],
  );
}

async function expectDenied(line: string, ...parts: readonly string[]): Promise<void> {
  const before = received.length;
  const { outcome, error } = await callGuest(clients, 'caller/status', [line]);
  expect([outcome, error?.kind]).toEqual([Outcome.DENIED, 'NOT_GRANTED']);
  for (const part of parts) expect(error?.message).toContain(part);
  expect(received.length).toBe(before);
}

describe('A request that is allowed', () => {
  test('brings status, headers and body', async () => {
    const body = 'some text\nof two lines';
    expect(await ask('body', request('/echo', { method: 'POST' }), body)).toBe(`POST ${body}`);
    expect(received.at(-1)).toMatchObject({ method: 'POST', url: '/echo', body });
    expect(JSON.parse(await ask('headers', request('/echo')))).toMatchObject({ 'x-two': 'one, two' });
    expect(await ask('status', request('/status/404'))).toBe('404');
    expect(await ask('body', request('/status/503'))).toBe('status 503');
  });

  test('sends the headers of the guest and nothing of the environment', async () => {
    await ask('status', request('/echo', { headers: { 'X-Own': 'mine' } }));
    expect(received.at(-1)?.headers).toEqual({
      host: `127.0.0.1:${portOf(allowed)}`,
      'user-agent': 'caisson',
      'accept-encoding': 'identity',
      'x-own': 'mine',
      connection: expect.any(String),
    });
  });

  test('follows a redirect to a place that is allowed', async () => {
    expect(await ask('body', request('/onward', { method: 'POST' }), 'kept')).toBe('POST kept');
    expect(received.slice(-2).map(({ url }) => url)).toEqual(['/onward', '/echo']);
  });

  test('takes an answer just within its bound, and none just beyond', async () => {
    expect((await ask('body', request(`/bytes/${responseBytesMax}`))).length).toBe(responseBytesMax);
    expect(await warningsOf(request(`/bytes/${responseBytesMax + 1}`))).toEqual([
      expect.stringContaining(`more than the ${responseBytesMax} bytes that the policy allows`),
    ]);
  });

  test('takes a body just within its bound, and none just beyond', async () => {
    expect((await ask('body', request('/echo', { method: 'POST' }), 'x'.repeat(1_000))).length).toBe(1_005);
    expect(await warningsOf(request('/echo', { method: 'POST' }), 'x'.repeat(1_001))).toEqual([
      expect.stringContaining('1001 bytes, more than the 1000 that the policy allows'),
    ]);
  });

  test('that fails says why in the log, and the guest goes on', async () => {
    expect(await warningsOf('{"url": "ftp://127.0.0.1/"}')).toEqual([expect.stringContaining('only http and https')]);
    expect(await warningsOf('no JSON')).toEqual([expect.stringContaining('not a JSON object')]);
  });

  test('is counted in the receipt', async () => {
    const { usage } = await callGuest(clients, 'caller/status', [request('/echo')]);
    expect(usage?.hostCallsByCapability).toEqual({ http: 2n });
  });

  test('ends with its run', async () => {
    const line = request('/hang');
    const { outcome } = await callGuest(clients, 'caller/status', [line], {
      limits: { timeout: { nanos: 200_000_000 } },
    });
    expect(outcome).toBe(Outcome.TIMED_OUT);
    expect(await ask('status', request('/echo'))).toBe('200');
  });
});

describe('A request that is not allowed', () => {
  test('to another port ends the run, naming the rule and the line to add', async () => {
    const line = JSON.stringify({ host: '127.0.0.1', scheme: 'http', port: portOf(denied), methods: ['GET'] });
    await expectDenied(JSON.stringify({ url: `${urlOf(denied)}/` }), 'policy', '"callers"', line);
  });

  test('with another method ends the run', async () => {
    await expectDenied(request('/echo', { method: 'DELETE' }), 'DELETE', '"methods":["DELETE"]');
  });

  test('to a host that the manifest does not name ends the run', async () => {
    await expectDenied('{"url": "http://public.example/"}', 'manifest', '"allowed_hosts": ["public.example"]');
  });

  test.each(['http://2130706433', 'http://0x7f.1', 'http://[::ffff:127.0.0.1]', 'http://localhost'])(
    'to %s ends the run, whatever the port',
    async (host) => {
      await expectDenied(JSON.stringify({ url: `${host}:${portOf(denied)}/` }), 'http GET to');
    },
  );

  test('by a redirect ends the run, and the place never hears of it', async () => {
    const { outcome, error } = await callGuest(clients, 'caller/status', [request('/away')]);
    expect([outcome, error?.kind]).toEqual([Outcome.DENIED, 'NOT_GRANTED']);
    expect(error?.message).toContain(`to which "${urlOf(allowed)}" redirects`);
    expect(received.map(({ url }) => url)).not.toContain('/caught');
  });
});

test('A server that ends does not wait for requests that hang', async () => {
  await using ending = await startServer({
    examples: false,
    arguments: ['--policy', policy.path, '--grace-seconds', '0'],
  });
  using guests = clientsOf(ending.address);
  await publishGuest(guests, 'caller', httpGuest, { more: { allowed_hosts: ['127.0.0.1'] } });
  const before = received.length;
  const call = callGuest(guests, 'caller/status', [request('/hang')]);
  const refused = expect(call).rejects.toMatchObject({ codeName: 'UNAVAILABLE', reason: 'SHUTTING_DOWN' });
  await expect.poll(() => received.length, { timeout: 10_000 }).toBeGreaterThan(before);
  expect(await ending.stop()).toBe(0);
  await refused;
});

import { describe, expect, test } from 'vitest';
import type { TraceAttributes, TraceSpan } from '../../../../../src/model/trace.ts';
import { settled } from '../../../base/manual-clock.ts';
import { ask, askingRun, FixedResolver, httpService, target } from './asking.ts';
import { expectDenied, expectFailed } from './expecting.ts';
import { selfSigned } from './certificate.ts';
import { httpServer, rawServer } from './local-servers.ts';

const resolver = new FixedResolver({ 'good.test': ['127.0.0.1'], 'other.test': ['127.0.0.1'] });

describe('A request that is allowed', () => {
  test('is sent as the guest wrote it, with the host’s defaults', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    const url = `http://GOOD.test:${server.port}/a%20b/../c?q=1&r=ä#part`;
    const answer = await ask(service, run, { url, method: 'post', headers: { 'X-Key': 'v', cookie: 'a=b' } }, 'body');
    expect(answer).toMatchObject({ code: 0, status: 200, body: 'ok' });
    expect(server.seen).toEqual([
      {
        method: 'POST',
        path: '/c?q=1&r=%C3%A4',
        headers: {
          host: `good.test:${server.port}`,
          'user-agent': 'caisson',
          'accept-encoding': 'identity',
          'x-key': 'v',
          cookie: 'a=b',
          'content-length': '4',
          connection: 'close',
        },
        body: 'body',
      },
    ]);
  });

  test('sends a body with any method, and none if there is none', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    const url = `http://good.test:${server.port}/`;
    for (const method of ['GET', 'DELETE', 'PURGE']) await ask(service, run, { url, method }, 'x');
    await ask(service, run, { url });
    expect(server.seen.map(({ method, body }) => [method, body])).toEqual([
      ['GET', 'x'],
      ['DELETE', 'x'],
      ['PURGE', 'x'],
      ['GET', ''],
    ]);
    expect(server.seen.at(-1)?.headers).not.toHaveProperty('content-length');
  });

  test('gives status, joined headers and the body as it came', async () => {
    await using server = await httpServer((_request, response) => {
      response.writeHead(404, ['X-One', '1', 'x-one', '2', '__proto__', 'p', 'Content-Encoding', 'gzip']);
      response.end('not really gzip');
    });
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    const answer = await ask(service, run, { url: `http://good.test:${server.port}/` });
    expect(answer).toMatchObject({ status: 404, body: 'not really gzip' });
    expect(Object.entries(answer.headers)).toEqual(
      expect.arrayContaining([
        ['x-one', '1, 2'],
        ['__proto__', 'p'],
        ['content-encoding', 'gzip'],
      ]),
    );
  });

  test('keeps bytes that are not text', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, at) => at);
    await using server = await httpServer((_request, response) => response.end(bytes));
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    const answer = await ask(service, run, { url: `http://good.test:${server.port}/` });
    expect(answer.body).toBe(Buffer.from(bytes).toString());
  });

  test('gives an answer to HEAD without a body, whatever length it announces', async () => {
    await using server = await httpServer((_request, response) => {
      response.setHeader('content-length', 5_000_000);
      response.end();
    });
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    const answer = await ask(service, run, { url: `http://good.test:${server.port}/`, method: 'HEAD' });
    expect(answer).toMatchObject({ status: 200, body: '', headers: { 'content-length': '5000000' } });
  });

  test('has a connection of its own, closed when it is over', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    for (let sent = 0; sent < 3; sent++) await ask(service, run, { url: `http://good.test:${server.port}/` });
    expect(server.connections()).toBe(3);
    await server.quiet();
  });

  test('takes the next address if the first does not answer', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver: new FixedResolver({ 'good.test': ['127.0.0.2', '127.0.0.1'] }) });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    expect(await ask(service, run, { url: `http://good.test:${server.port}/` })).toMatchObject({ status: 200 });
  });

  test('drops what a guest says of the connection', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    const headers = {
      connection: 'keep-alive, x-kept',
      'keep-alive': 'timeout=9',
      'content-length': '99',
      'x-kept': '1',
    };
    await ask(service, run, { url: `http://good.test:${server.port}/`, method: 'POST', headers }, 'four');
    expect(server.seen[0]?.headers).toMatchObject({ connection: 'close', 'content-length': '4', 'x-kept': '1' });
    expect(server.seen[0]?.headers).not.toHaveProperty('keep-alive');
  });

  test('may choose its own user agent and encodings', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    const headers = { 'User-Agent': 'mine', 'Accept-Encoding': 'gzip' };
    await ask(service, run, { url: `http://good.test:${server.port}/`, headers });
    expect(server.seen[0]?.headers).toMatchObject({ 'user-agent': 'mine', 'accept-encoding': 'gzip' });
  });
});

describe('Over TLS', () => {
  const certificate = selfSigned(['good.test'], ['127.0.0.1']);
  const secureTarget = (host: string, port: number) => target(host, port, { scheme: 'https' });

  test('a request reaches a host that proves its name, or its address', async () => {
    await using server = await httpServer(undefined, { secure: certificate });
    await using service = httpService({ resolver, ca: certificate.cert });
    const run = askingRun({
      targets: [secureTarget('good.test', server.port), secureTarget('127.0.0.1', server.port)],
    });
    expect(await ask(service, run, { url: `https://good.test:${server.port}/` })).toMatchObject({ status: 200 });
    expect(await ask(service, run, { url: `https://127.0.0.1:${server.port}/` })).toMatchObject({ status: 200 });
    expect(server.seen.map(({ headers }) => headers.host)).toEqual([
      `good.test:${server.port}`,
      `127.0.0.1:${server.port}`,
    ]);
    expect(server.seen.map(({ servername }) => servername)).toEqual(['good.test', 'false']);
  });

  test('a certificate for another name is refused', async () => {
    await using server = await httpServer(undefined, { secure: certificate });
    await using service = httpService({ resolver, ca: certificate.cert });
    const run = askingRun({ targets: [secureTarget('other.test', server.port)] });
    expectFailed(
      await ask(service, run, { url: `https://other.test:${server.port}/` }),
      /ERR_TLS_CERT_ALTNAME_INVALID/,
    );
    expect(server.seen).toEqual([]);
  });

  test('a certificate that nobody trusted signed is refused, whatever the environment says', async () => {
    await using server = await httpServer(undefined, { secure: certificate });
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [secureTarget('good.test', server.port)] });
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      expectFailed(
        await ask(service, run, { url: `https://good.test:${server.port}/` }),
        /DEPTH_ZERO_SELF_SIGNED_CERT/,
      );
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    }
    expect(server.seen).toEqual([]);
  });

  test('a host that speaks no TLS fails', async () => {
    await using server = await rawServer((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n'));
    await using service = httpService({ resolver, ca: certificate.cert });
    const run = askingRun({ targets: [secureTarget('good.test', server.port)] });
    expectFailed(await ask(service, run, { url: `https://good.test:${server.port}/` }), /could not prove|connection/);
  });
});

describe('A failure', () => {
  test('of a name without addresses says so', async () => {
    await using service = httpService({ resolver: new FixedResolver({ 'empty.test': [[]] }) });
    const run = askingRun({ targets: [target('none.test', 80), target('empty.test', 80)] });
    expectFailed(
      await ask(service, run, { url: 'http://none.test/' }),
      /^The host "none.test" has no address \(ENOTFOUND\)$/,
    );
    expectFailed(await ask(service, run, { url: 'http://empty.test/' }), /^The host "empty.test" has no address$/);
  });

  test('to connect says so, and names no address', async () => {
    const server = await httpServer();
    await server[Symbol.asyncDispose]();
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    expectFailed(await ask(service, run, { url: `http://good.test:${server.port}/` }), /^The connection was refused$/);
  });

  test.each([
    ['that ends at once', '', /ended before the answer/],
    ['that ends in the headers', 'HTTP/1.1 200 OK\r\nx: ', /ended before the answer/],
    ['that ends in the body', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour', /ended before the answer/],
    [
      'that ends in a chunk',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nfour',
      /ended before the answer/,
    ],
    ['in another protocol', 'SSH-2.0-OpenSSH_9.9\r\n', /not HTTP\/1.1 \(HPE_/],
    ['with two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab', /not HTTP\/1.1 \(HPE_/],
    [
      'with a length and chunks',
      'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      /not HTTP\/1.1 \(HPE_/,
    ],
    [
      'that changes the protocol',
      'HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
      /another protocol/,
    ],
  ])('of an answer %s is told, and the guest goes on', async (_what, bytes, text) => {
    await using server = await rawServer((socket) => {
      socket.on('data', () => socket.end(bytes));
    });
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    expectFailed(await ask(service, run, { url: `http://good.test:${server.port}/` }), text);
  });

  test('never holds path, query or user of the URL', async () => {
    await using service = httpService({ resolver });
    const run = askingRun({ askedHosts: ['good.test'], targets: [target('good.test', 1)] });
    const secret = 'zyxw';
    const urls = [
      `http://${secret}:${secret}@good.test/`,
      `http://good.test:1/${secret}?${secret}`,
      `http://good.test/${secret}?${secret}#${secret}`,
      `http://other.test/${secret}?${secret}`,
      `http://[::${secret}/`,
      `http:${secret}`,
    ];
    for (const url of urls) {
      const answer = await ask(service, run, { url });
      expect(answer.code).not.toBe(0);
      expect(answer.text).not.toContain(secret);
    }
  });
});

describe('A request that no policy would see', () => {
  test.each([
    ['no JSON', '{', /not a JSON object/],
    ['no URL', '{}', /no "url"/],
    ['a header with a line break', { url: 'http://good.test/', headers: { a: 'b\r\nc: d' } }, /visible ASCII/],
  ])('is refused here as well as in the guest’s thread: %s', async (_what, head, text) => {
    await using service = httpService({ resolver });
    expectFailed(await ask(service, askingRun({}), head), text);
  });

  test('that is not made of parts is a fault of the host', async () => {
    await using service = httpService({ resolver });
    await expect(service.answer('http.request', new Uint8Array([1, 2, 3]), askingRun({}))).rejects.toThrow(RangeError);
    await expect(service.answer('http.request', new Uint8Array(), askingRun({}))).rejects.toThrow(RangeError);
  });
});

describe('A redirect', () => {
  interface Step {
    readonly status: number;
    readonly location?: string;
  }

  /** A server that answers each path with its step, any other with 200. */
  const redirecting = (steps: Readonly<Record<string, Step>>) =>
    httpServer(({ path }, response) => {
      const step = steps[path];
      if (step === undefined) return void response.end('arrived');
      response.writeHead(step.status, step.location === undefined ? {} : { location: step.location });
      response.end('moved');
    });

  test.each([
    [301, 'POST', 'GET'],
    [302, 'POST', 'GET'],
    [303, 'POST', 'GET'],
    [303, 'PUT', 'GET'],
    [303, 'HEAD', 'HEAD'],
    [301, 'PUT', 'PUT'],
    [302, 'DELETE', 'DELETE'],
    [307, 'POST', 'POST'],
    [308, 'POST', 'POST'],
  ])('with status %i makes of %s a %s', async (status, method, next) => {
    await using server = await redirecting({ '/': { status, location: '/next?x' } });
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    const headers = { 'content-type': 'text/plain', authorization: 'me' };
    const body = method === 'HEAD' ? '' : 'body';
    const answer = await ask(service, run, { url: `http://good.test:${server.port}/`, method, headers }, body);
    expect(answer.status).toBe(200);
    const [, second] = server.seen;
    const keeps = next === method;
    expect(second).toMatchObject({ method: next, path: '/next?x', body: keeps ? body : '' });
    expect(second?.headers['content-type']).toBe(keeps ? 'text/plain' : undefined);
    expect(second?.headers.authorization).toBe('me');
  });

  test.each([300, 304, 305, 306, 399])('is not an answer with status %i', async (status) => {
    await using server = await redirecting({ '/': { status, location: '/next' } });
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    expect(await ask(service, run, { url: `http://good.test:${server.port}/` })).toMatchObject({ status });
  });

  test('without a Location is an answer', async () => {
    await using server = await redirecting({ '/': { status: 302 } });
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    const answer = await ask(service, run, { url: `http://good.test:${server.port}/` });
    expect(answer).toMatchObject({ status: 302, body: 'moved' });
  });

  test('to another origin takes along only harmless headers, and brings none back', async () => {
    await using server = await redirecting({});
    await using elsewhere = await redirecting({
      '/out': { status: 307, location: `http://good.test:${server.port}/back` },
    });
    await using first = await redirecting({
      '/': { status: 307, location: `http://other.test:${elsewhere.port}/out` },
    });
    await using service = httpService({ resolver });
    const run = askingRun({
      targets: [first.port, server.port, elsewhere.port].flatMap((port) => [
        target('good.test', port),
        target('other.test', port),
      ]),
    });
    const headers = { authorization: 'me', cookie: 'c', 'x-api-key': 'k', accept: 'a/b', 'content-type': 'text/plain' };
    await ask(service, run, { url: `http://good.test:${first.port}/`, method: 'POST', headers }, 'body');
    expect(first.seen[0]?.headers).toMatchObject(headers);
    for (const { seen } of [elsewhere, server]) {
      expect(seen[0]?.headers).toMatchObject({ accept: 'a/b', 'content-type': 'text/plain', 'user-agent': 'caisson' });
      for (const name of ['authorization', 'cookie', 'x-api-key']) expect(seen[0]?.headers).not.toHaveProperty(name);
    }
    expect(elsewhere.seen[0]?.headers.host).toBe(`other.test:${elsewhere.port}`);
  });

  test('may be followed as often as the policy allows, and not once more', async () => {
    await using server = await redirecting({
      '/4': { status: 302, location: '/3' },
      '/3': { status: 302, location: '2' },
      '/2': { status: 302, location: './1' },
      '/1': { status: 302, location: '/0' },
    });
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)], redirectsMax: 3 });
    const url = `http://good.test:${server.port}`;
    expect(await ask(service, run, { url: `${url}/3` })).toMatchObject({ status: 200, body: 'arrived' });
    expectFailed(await ask(service, run, { url: `${url}/4` }), /more than the 3 redirects/);
    expect(server.seen.filter(({ path }) => path === '/0')).toHaveLength(1);
  });

  test('is read as UTF-8', async () => {
    await using server = await rawServer((socket) => {
      socket.once('data', (request: Buffer) => {
        if (request.toString().startsWith('GET /%C3%A9 ')) socket.end('HTTP/1.1 204 No\r\n\r\n');
        else socket.end('HTTP/1.1 302 Found\r\nlocation: /é\r\n\r\n');
      });
    });
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    expect(await ask(service, run, { url: `http://good.test:${server.port}/` })).toMatchObject({ status: 204 });
  });
});

describe('A traced request', () => {
  class FakeSpan implements TraceSpan {
    readonly children: FakeSpan[] = [];
    readonly name: string;
    attributes: TraceAttributes;
    failed: string | undefined;
    ends = 0;

    constructor(name: string, attributes: TraceAttributes = {}) {
      this.name = name;
      this.attributes = attributes;
    }

    readonly traceparent = '';

    child(name: string, options: { readonly attributes?: TraceAttributes } = {}): TraceSpan {
      const span = new FakeSpan(name, options.attributes);
      this.children.push(span);
      return span;
    }

    set(attributes: TraceAttributes): void {
      this.attributes = { ...this.attributes, ...attributes };
    }

    fail(kind: string): void {
      this.failed = kind;
    }

    end(): void {
      this.ends++;
    }
  }

  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  test('has a span without path and query, and sends its traceparent', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver, traceparentOf: () => traceparent });
    const span = new FakeSpan('run');
    const run = askingRun({ targets: [target('good.test', server.port)] }, { span });
    const headers = { traceparent: 'forged', tracestate: 'forged' };
    await ask(service, run, { url: `http://good.test:${server.port}/secret?token=1`, headers });
    expect(server.seen[0]?.headers).toMatchObject({ traceparent });
    expect(server.seen[0]?.headers).not.toHaveProperty('tracestate');
    const [child] = span.children;
    expect(child).toMatchObject({ name: 'http GET good.test', failed: undefined, ends: 1 });
    expect(child?.attributes).toEqual({
      'http.request.method': 'GET',
      'url.scheme': 'http',
      'server.address': 'good.test',
      'server.port': server.port,
      'http.response.status_code': 200,
      'http.request.resend_count': 0,
    });
  });

  test('says in its span that it failed or was denied', async () => {
    await using service = httpService({ resolver });
    const span = new FakeSpan('run');
    const run = askingRun({ targets: [target('none.test', 80)] }, { span });
    expectFailed(await ask(service, run, { url: 'http://none.test/' }), /no address/);
    expectDenied(await ask(service, run, { url: 'http://good.test/' }), /policy/);
    expect(span.children.map(({ failed, ends }) => [failed, ends])).toEqual([
      ['HTTP_FAILED', 1],
      ['HTTP_DENIED', 1],
    ]);
  });

  test('sends no traceparent unless it is traced', async () => {
    await using server = await httpServer();
    await using service = httpService({ resolver, traceparentOf: () => traceparent });
    await ask(service, askingRun({ targets: [target('good.test', server.port)] }), {
      url: `http://good.test:${server.port}/`,
    });
    expect(server.seen[0]?.headers).not.toHaveProperty('traceparent');
  });
});

describe('The end of the service', () => {
  test('destroys connections and answers what is under way', async () => {
    await using server = await rawServer(() => {});
    const service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)] });
    const asking = ask(service, run, { url: `http://good.test:${server.port}/` });
    await server.connected();
    await service[Symbol.asyncDispose]();
    expectFailed(await asking, /^The server is shutting down$/);
    await server.quiet();
    expectFailed(await ask(service, run, { url: `http://good.test:${server.port}/` }), /^The server is shutting down$/);
    expect(server.connections()).toBe(1);
  });

  test('comes without unhandled errors when the server breaks off later', async () => {
    await using server = await rawServer((socket) => {
      socket.write('HTTP/1.1 302 Found\r\nlocation: /next\r\ncontent-length: 100\r\n\r\nhalf');
    });
    await using service = httpService({ resolver });
    const run = askingRun({ targets: [target('good.test', server.port)], redirectsMax: 0 });
    const problems: unknown[] = [];
    const note = (error: unknown): void => void problems.push(error);
    process.on('uncaughtException', note);
    expectFailed(await ask(service, run, { url: `http://good.test:${server.port}/` }), /more than the 0 redirects/);
    await server.quiet();
    await settled();
    process.off('uncaughtException', note);
    expect(problems).toEqual([]);
  });
});

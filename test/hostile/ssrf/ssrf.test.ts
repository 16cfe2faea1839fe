import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HttpGrant } from '../../../src/model/grant.ts';
import {
  ask,
  askingRun,
  FixedResolver,
  httpService,
  target,
  type Told,
} from '../../unit/capabilities/services/http/asking.ts';
import { expectDenied, expectFailed } from '../../unit/capabilities/services/http/expecting.ts';
import { selfSigned } from '../../unit/capabilities/services/http/certificate.ts';
import { httpServer, type LocalServer } from '../../unit/capabilities/services/http/local-servers.ts';
import { addressRows, answerRows, headerRows, hostRows, redirectRows, type Row, targetRows } from './rows.ts';

/** A server of good.test, and a victim at one port of both loopback addresses. */
interface World {
  readonly good: LocalServer;
  readonly victims: readonly LocalServer[];
  /** What the good server says in Location; undefined to answer. */
  location: string | undefined;
}

let world: World;

beforeAll(async () => {
  const good = await httpServer((_request, response) => {
    if (world.location === undefined) return void response.end('good');
    response.writeHead(302, { location: world.location });
    response.end();
  });
  const victim = await httpServer();
  const victim6 = await httpServer(undefined, { host: '::1', port: victim.port });
  world = { good, victims: [victim, victim6], location: undefined };
});

afterAll(async () => {
  for (const server of [world.good, ...world.victims]) await server[Symbol.asyncDispose]();
});

const victimPort = (): number => world.victims[0]?.port ?? 0;
const filled = (text: string): string =>
  text.replaceAll('{port}', String(victimPort())).replaceAll('{goodport}', String(world.good.port));

/** Every name leads to the victim, or to the good server beside it. */
const loopback = ['127.0.0.1'];
const resolver = {
  resolve: (host: string) =>
    Promise.resolve(host === 'metadata.safe.test' ? ['169.254.169.254'] : host === 'six.test' ? ['::1'] : loopback),
};

function grants(): Readonly<Record<'narrow' | 'open', Partial<HttpGrant>>> {
  const port = world.good.port;
  return {
    narrow: {
      askedHosts: ['good.test', '*.safe.test'],
      targets: [
        target('good.test', port, { methods: ['GET', 'POST'] }),
        target('*.safe.test', victimPort(), { isPrivateAllowed: false }),
      ],
    },
    // "*" opens no private address, even if the policy is wrong enough to say so.
    open: { askedHosts: ['*'], targets: [target('*', victimPort()), target('*', undefined)] },
  };
}

const connections = (): number => world.victims.reduce((sum, server) => sum + server.connections(), 0);

/** Asks, and holds that nobody but the good server was reached. */
async function attempt(row: Pick<Row, 'url' | 'grant' | 'method' | 'headers'>): Promise<Told> {
  await using service = httpService({ resolver });
  const { grant = 'narrow', url, method, headers } = row;
  const before = connections();
  const answer = await ask(service, askingRun(grants()[grant]), {
    url: filled(url),
    ...(method !== undefined && { method }),
    ...(headers && { headers }),
  });
  expect(connections()).toBe(before);
  return answer;
}

function expectEnd(answer: Told, { ends, text }: Pick<Row, 'ends' | 'text'>): void {
  if (ends === 'denied') expectDenied(answer, text);
  else expectFailed(answer, text);
  expect(answer.status).toBe(0);
}

const named = <One extends { readonly url: string }>(rows: readonly One[]) =>
  rows.map((row) => [JSON.stringify(row), row] as const);

describe('The victim', () => {
  test('is really there, on both addresses, for whoever is allowed', async () => {
    await using service = httpService({ resolver });
    const targets = ['evil.test', 'six.test', '127.0.0.1', '::1'].map((host) => target(host, victimPort()));
    const before = connections();
    for (const host of ['evil.test', 'six.test', '127.1', '[::1]']) {
      const answer = await ask(service, askingRun({ targets }), { url: filled(`http://${host}:{port}/`) });
      expect(answer).toMatchObject({ status: 200 });
    }
    expect(connections()).toBe(before + 4);
  });
});

describe('The good server', () => {
  test.each([
    'http://good.test:{goodport}/',
    'HTTP://GOOD.TEST:{goodport}/',
    'http://good.test.:{goodport}/',
    'http://ｇｏｏｄ.test:{goodport}/',
    'http://good。test:{goodport}/',
    'http://%67ood.test:{goodport}/',
    'http://good.test:{goodport}#@evil.test:{port}/',
    'http://good.test:{goodport}?@evil.test:{port}/',
    'http://good.test:{goodport}/@evil.test:{port}/',
    'http://good.test:{goodport}/%0d%0aHost:%20evil.test',
  ])('is reached by %s, under its own name', async (url) => {
    world.location = undefined;
    expect(await attempt({ url })).toMatchObject({ status: 200, body: 'good' });
    expect(world.good.seen.at(-1)?.headers.host).toBe(filled('good.test:{goodport}'));
  });
});

describe('An address', () => {
  test.each(named(addressRows))('is not reached: %s', async (_name, row) => {
    expectEnd(await attempt(row), row);
  });

  test.each(answerRows.map((addresses) => [addresses] as const))(
    'behind a name is not reached: %j',
    async (addresses) => {
      await using service = httpService({ resolver: new FixedResolver({ 'any.test': addresses }) });
      const before = connections();
      const run = askingRun({ targets: [target('any.test', victimPort(), { isPrivateAllowed: false })] });
      expectDenied(await ask(service, run, { url: filled('http://any.test:{port}/') }), /not public|nobody's own/);
      expect(connections()).toBe(before);
    },
  );
});

describe('Another host, scheme, port, method or header', () => {
  test.each(named([...hostRows, ...targetRows, ...headerRows]))('is refused: %s', async (_name, row) => {
    const before = world.good.connections();
    expectEnd(await attempt(row), row);
    expect(world.good.connections()).toBe(before);
  });

  test('is never resolved', async () => {
    const asked = new FixedResolver({});
    await using service = httpService({ resolver: asked });
    for (const { url, method, headers } of [...hostRows, ...targetRows, ...headerRows]) {
      await ask(service, askingRun(grants().narrow), { url: filled(url), method, headers });
    }
    expect(asked.asked).toEqual([]);
  });
});

describe('A redirect', () => {
  test.each(redirectRows.map((row) => [JSON.stringify(row.location), row] as const))(
    'to %s is judged like a request',
    async (_name, row) => {
      world.location = filled(row.location);
      expectEnd(await attempt({ url: 'http://good.test:{goodport}/start' }), row);
    },
  );

  test('does not bring a method to where it is not allowed', async () => {
    await using server = await httpServer(({ path }, response) => {
      response.writeHead(path === '/' ? 307 : 200, { location: filled('http://good.test:{goodport}/') });
      response.end();
    });
    await using service = httpService({ resolver });
    world.location = undefined;
    const targets = [target('first.test', server.port), target('good.test', world.good.port, { methods: ['GET'] })];
    const before = world.good.connections();
    const head = { url: `http://first.test:${server.port}/`, method: 'POST' };
    expectDenied(await ask(service, askingRun({ targets }), head, 'x'), /http POST to "http:\/\/good.test/);
    expect(world.good.connections()).toBe(before);
    expect(await ask(service, askingRun({ targets }), { ...head, method: 'GET' })).toMatchObject({ body: 'good' });
  });

  test('at the end of a chain is judged like the first', async () => {
    await using server = await httpServer(({ path }, response) => {
      const next = { '/1': '/2', '/2': '/3', '/3': filled('http://evil.test:{port}/') }[path];
      response.writeHead(302, { location: next });
      response.end();
    });
    await using service = httpService({ resolver });
    const before = connections();
    const run = askingRun({ targets: [target('good.test', server.port)] });
    expectDenied(await ask(service, run, { url: `http://good.test:${server.port}/1` }), /evil.test/);
    expect(server.seen.map(({ path }) => path)).toEqual(['/1', '/2', '/3']);
    expect(connections()).toBe(before);
  });

  test('from https to http needs a target that allows http', async () => {
    const certificate = selfSigned(['good.test']);
    await using secure = await httpServer(
      (_request, response) => {
        response.writeHead(302, { location: filled('http://good.test:{goodport}/plain') });
        response.end();
      },
      { secure: certificate },
    );
    await using service = httpService({ resolver, ca: certificate.cert });
    world.location = undefined;
    const before = world.good.connections();
    const url = `https://good.test:${secure.port}/`;
    const headers = { authorization: 'me' };
    const secureTarget = target('good.test', secure.port, { scheme: 'https' });
    const onlyHttps = [secureTarget, target('good.test', world.good.port, { scheme: 'https' })];
    expectDenied(await ask(service, askingRun({ targets: onlyHttps }), { url, headers }), /"http:\/\/good.test/);
    expect(world.good.connections()).toBe(before);
    const both = [secureTarget, target('good.test', world.good.port, { scheme: '*' })];
    expect(await ask(service, askingRun({ targets: both }), { url, headers })).toMatchObject({ body: 'good' });
    expect(world.good.seen.at(-1)?.headers).not.toHaveProperty('authorization');
  });
});

describe('A resolver that changes its answer', () => {
  test('is asked once for a request, and the connection goes where it said', async () => {
    world.location = undefined;
    const changing = new FixedResolver({ 'good.test': [['127.0.0.1'], ['::1']] });
    await using service = httpService({ resolver: changing });
    const before = connections();
    const run = askingRun({ targets: [target('good.test', world.good.port)] });
    expect(await ask(service, run, { url: filled('http://good.test:{goodport}/') })).toMatchObject({ body: 'good' });
    expect(changing.asked).toEqual(['good.test']);
    expect(connections()).toBe(before);
  });

  test.each(['169.254.169.254', '0.0.0.0', '::ffff:127.0.0.1'])(
    'to %s is judged anew by the next request',
    async (next) => {
      world.location = undefined;
      await using service = httpService({ resolver: new FixedResolver({ 'good.test': [['127.0.0.1'], [next]] }) });
      const run = askingRun({ targets: [target('good.test', world.good.port)] });
      const url = filled('http://good.test:{goodport}/');
      expect(await ask(service, run, { url })).toMatchObject({ body: 'good' });
      const before = world.good.connections();
      expectDenied(await ask(service, run, { url }), /not public|nobody's own/);
      expect(world.good.connections()).toBe(before);
    },
  );

  test('between two hops of one request is judged anew', async () => {
    world.location = '/next';
    const changing = new FixedResolver({ 'good.test': [['127.0.0.1'], ['169.254.169.254']] });
    await using service = httpService({ resolver: changing });
    const run = askingRun({ targets: [target('good.test', world.good.port)] });
    const before = world.good.connections();
    expectDenied(await ask(service, run, { url: filled('http://good.test:{goodport}/') }), /not public/);
    expect(world.good.connections()).toBe(before + 1);
  });
});

describe('A proxy in the environment', () => {
  test('is not used', async () => {
    world.location = undefined;
    const script = `
      const { HttpService } = await import(process.env.SERVICE_URL);
      const { systemClock } = await import(process.env.CLOCK_URL);
      const { requestOf, askingRun, target } = await import(process.env.ASKING_URL);
      const service = new HttpService({ clock: systemClock, resolver: { resolve: async () => ['127.0.0.1'] } });
      const port = Number(process.env.GOOD_PORT);
      const run = askingRun({ targets: [target('good.test', port)] });
      const { code } = await service.answer('http.request', requestOf({ url: 'http://good.test:' + port + '/child' }), run);
      console.log('code', code);
    `;
    const proxy = filled('http://127.0.0.1:{port}');
    const source = (path: string): string => new URL(path, import.meta.url).href;
    const before = connections();
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      env: {
        NODE_USE_ENV_PROXY: '1',
        ...Object.fromEntries(
          ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'all_proxy'].map((name) => [
            name,
            proxy,
          ]),
        ),
        SERVICE_URL: source('../../../src/capabilities/services/http/http-service.ts'),
        CLOCK_URL: source('../../../src/base/clock.ts'),
        ASKING_URL: source('../../unit/capabilities/services/http/asking.ts'),
        GOOD_PORT: String(world.good.port),
      },
    });
    const output: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => output.push(chunk));
    await once(child, 'close');
    expect(Buffer.concat(output).toString()).toBe('code 0\n');
    expect(world.good.seen.at(-1)).toMatchObject({ path: '/child' });
    expect(connections()).toBe(before);
  });
});

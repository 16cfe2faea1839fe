/**
 * What a plugin of plugins-examples/pdk must do on the real server, whatever PDK it
 * is built with, and that Extism's own runtime makes the same of it.
 */

import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createPlugin, type Plugin } from '@extism/extism';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Execution, type ExecutionEvent, LogLevel, Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import { type Clients, clientsOf, run, uploadOf } from './plugins.ts';
import { everybody, type PolicyFile, writePolicy } from './policies.ts';
import { startServer, type TestServer } from './server.ts';

export interface PdkPlugin {
  readonly language: string;
  /** Builds the module; undefined if that cannot be done here, after it was said why. */
  build(): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Whether the module imports WASI. */
  readonly usesWasi?: boolean;
  /** Whether the PDK reads status and headers of answers; default true. */
  readonly readsStatus?: boolean;
}

const config = { vowels: 'aeiouyAEIOUY', language: 'de' } as const;
const texts = ['Hello, World!', '', 'rhythm', 'Überfluß äöü', 'queue '.repeat(1_000)];

interface Asked {
  readonly method: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Tests of the plugin; nothing but a skipped one if it cannot be built. */
export async function conformsToExtism(plugin: PdkPlugin): Promise<void> {
  const module = await plugin.build();
  describe.skipIf(module === undefined)(`A plugin in ${plugin.language}`, () => {
    if (module) testsOf(plugin, module);
  });
}

function testsOf({ usesWasi = false, readsStatus = true }: PdkPlugin, module: Uint8Array<ArrayBuffer>): void {
  const asked: Asked[] = [];
  let target: Server;
  let address: string;
  let policy: PolicyFile;
  let server: TestServer;
  let clients: Clients;

  beforeAll(async () => {
    target = await listen(asked);
    const { port } = target.address() as AddressInfo;
    address = `http://127.0.0.1:${port}/path`;
    const http = { targets: [{ host: '127.0.0.1', scheme: 'http', port, private: true }] };
    policy = writePolicy(() => [{ ...everybody, capabilities: [...everybody.capabilities, 'http'], http }]);
    server = await startServer({ examples: false, arguments: ['--policy', policy.path] });
    clients = clientsOf(server.address);
    for (const mode of ['fresh', 'session']) await publish(mode);
  });

  afterAll(async () => {
    clients[Symbol.dispose]();
    await server[Symbol.asyncDispose]();
    policy[Symbol.dispose]();
    target.closeAllConnections();
    await new Promise((resolve) => target.close(resolve));
  });

  async function publish(mode: string): Promise<void> {
    const capabilities = ['config', 'vars', 'log', 'http', ...(usesWasi ? ['wasi'] : [])];
    const fields = { name: mode, version: '1.0.0', capabilities, instance: { mode }, allowed_hosts: ['127.0.0.1'] };
    await clients.plugins.publishPlugin(uploadOf({ manifest: JSON.stringify(fields), module }));
  }

  function call(name: string, input: string | Uint8Array, more: object = {}): Promise<Execution> {
    return run(clients, { plugin: 'fresh', function: name, input: Buffer.from(input), config, ...more });
  }

  async function output(name: string, input: string | Uint8Array, more: object = {}): Promise<string> {
    const execution = await call(name, input, more);
    expect([execution.outcome, execution.error?.message]).toEqual([Outcome.OK, undefined]);
    return Buffer.from(execution.output).toString();
  }

  /** The same module in Extism's own runtime. */
  async function withExtism<Result>(use: (extism: Plugin) => Promise<Result>, more: object = {}): Promise<Result> {
    const extism = await createPlugin(
      { wasm: [{ data: module }] },
      { useWasi: usesWasi, config, allowedHosts: ['127.0.0.1'], allowHttpResponseHeaders: true, ...more },
    );
    try {
      return await use(extism);
    } finally {
      await extism.close();
    }
  }

  test.each([0, 1, 7, 8, 9, 65_537, 1_000_003])('gives back an input of %i bytes', async (length) => {
    const input = Uint8Array.from({ length }, (_, index) => (index * 7) % 251);
    const { outcome, output } = await call('echo', input);
    expect(outcome).toBe(Outcome.OK);
    expect(Buffer.compare(output, input)).toBe(0);
  });

  test('reads configuration, and keeps variables as long as its instance, as Extism has it', async () => {
    const session = { plugin: 'session', sessionId: 'one' };
    const ours: string[] = [];
    for (const text of texts) ours.push(await output('count_vowels', text, session));
    const theirs = await withExtism(async (extism) => {
      const outputs: string[] = [];
      for (const text of texts) outputs.push((await extism.call('count_vowels', text))?.text() ?? '');
      return outputs;
    });
    expect(ours).toEqual(theirs);
    expect(JSON.parse(ours.at(-1) ?? '')).toMatchObject({ count: 4_000, vowels: config.vowels });
    expect(JSON.parse(await output('count_vowels', 'aeiou'))).toMatchObject({ count: 5, total: 5 });
  });

  test('has its own default for what is not configured', async () => {
    const counted = JSON.parse(await output('count_vowels', 'yellow', { config: {} })) as object;
    expect(counted).toEqual({ count: 2, total: 2, vowels: 'aeiouAEIOU' });
  });

  test('finds what it stored, however often it stores, reads and forgets', async () => {
    expect(await output('many', '')).toBe('done');
    const { usage } = await call('many', '');
    expect(usage?.hostCallsByCapability).toMatchObject({ vars: 4_000n, config: 2_000n });
  });

  test('logs at each level', async () => {
    const events: ExecutionEvent[] = [];
    const request = { plugin: 'fresh', function: 'talk', input: Buffer.from('Grüße'), config };
    for await (const { event } of clients.executions.executeStream(request)) if (event) events.push(event);
    const lines = events.flatMap(({ event }) =>
      event.case === 'log' ? [[event.value.level, event.value.message]] : [],
    );
    const { DEBUG, INFO, WARN, ERROR } = LogLevel;
    expect(lines).toEqual([DEBUG, INFO, WARN, ERROR].map((level) => [level, 'Grüße']));
  });

  test('fails with an error of its own, as Extism has it', async () => {
    const { outcome, error } = await call('fail', 'what is wrong');
    expect([outcome, error?.kind, error?.message]).toEqual([Outcome.PLUGIN_ERROR, 'GUEST_ERROR', 'what is wrong']);
    const theirs = withExtism((extism) => extism.call('fail', 'what is wrong'));
    await expect(theirs).rejects.toThrow('what is wrong');
  });

  test('sends requests and reads what is answered, as Extism has it', async () => {
    const expected = readsStatus ? '201 yes heard hello' : 'heard hello';
    expect(await output('fetch', address)).toBe(expected);
    const { method, headers, body } = asked.at(-1) ?? {};
    expect([method, headers?.['x-test'], body]).toEqual(['POST', 'yes', 'hello']);
    expect(await withExtism(async (extism) => (await extism.call('fetch', address))?.text())).toBe(expected);
  });

  test('is denied a request that the policy does not allow', async () => {
    const { outcome, error } = await call('fetch', 'http://127.0.0.1:1/');
    expect([outcome, error?.kind]).toEqual([Outcome.DENIED, 'NOT_GRANTED']);
  });
}

function listen(asked: Asked[]): Promise<Server> {
  const listening = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString();
      asked.push({ method: request.method, headers: request.headers, body });
      response.writeHead(201, { 'x-answer': 'yes' }).end(`heard ${body}`);
    });
  });
  return new Promise((resolve) => listening.listen(0, '127.0.0.1', () => resolve(listening)));
}

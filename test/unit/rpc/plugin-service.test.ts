/** PluginService over a real connection, on a registry that the tests make up. */

import { createHash } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { CallError } from '../../../src/client/call-error.ts';
import type { Client } from '../../../src/client/client.ts';
import {
  PluginEventType,
  PluginHealthState,
  PluginService,
  PluginState,
  type PublishPluginRequestSchema,
} from '../../../src/gen/caisson/v1/plugin_pb.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import { type PluginHealth, type PluginVersion, referenceOf } from '../../../src/model/plugin.ts';
import type { DeleteOptions, DroppedStorage } from '../../../src/plugins/registry.ts';
import type { ValidationReport } from '../../../src/plugins/report.ts';
import type { PluginChange } from '../../../src/plugins/watchers.ts';
import { bindService } from '../../../src/rpc/adapter.ts';
import type { PluginApi, WarmingApi } from '../../../src/rpc/plugin-api.ts';
import { pluginServiceOf } from '../../../src/rpc/plugin-service.ts';
import { version } from '../execution/fakes.ts';
import { collect, rejection, startRpc, streamOf, type TestRpc } from '../../helpers/grpc.ts';

const report: ValidationReport = {
  valid: true,
  problems: [{ reason: 'IMPORT_UNKNOWN', location: 'import env.f', message: 'Nobody provides it', manifestLine: 'x' }],
  digest: `sha256:${'b'.repeat(64)}`,
  imports: [
    { module: 'm', name: 'f', kind: 'function', type: '(func)', capability: undefined, provided: false },
    { module: 'm', name: 'g', kind: 'function', type: '(func)', capability: 'log', provided: true },
  ],
  exports: [{ name: 'e', kind: 'function', type: '(func)', executable: true }],
  features: ['simd'],
  memories: [{ minPages: 1, maxPages: undefined, clampedPages: 16, is64: true, shared: false, imported: true }],
  tables: [{ minElements: 2, maxElements: 3, clampedElements: undefined, elementType: 'funcref', imported: false }],
  sizes: {
    moduleBytes: 1,
    codeBytes: 2,
    dataBytes: 3,
    customBytes: 4,
    functions: 5,
    globals: 6,
    elementSegments: 7,
    dataSegments: 8,
    rewrittenBytes: 9,
  },
  functions: ['e'],
  otherFunctions: [],
};

class FakeRegistry implements PluginApi {
  versions: PluginVersion[] = [];
  readonly asked: string[] = [];
  readonly changes: PluginChange[] = [];
  readonly tenants: (string | undefined)[] = [];
  fares: PluginHealth | undefined;
  received = '';

  async publish(...[header, chunks, , tenant]: Parameters<PluginApi['publish']>) {
    this.tenants.push(tenant);
    this.received = `${header.manifestText} ${header.sha256} ${header.sizeBytes} ${await hashOf(chunks)}`;
    return { version: version({ name: 'new' }), created: true, report };
  }

  async validate(...[header, chunks, , tenant]: Parameters<PluginApi['validate']>) {
    this.tenants.push(tenant);
    this.received = `${header.manifestText} ${await hashOf(chunks)}`;
    return report;
  }

  get(reference: string): PluginVersion {
    this.asked.push(`get ${reference}`);
    const found = this.versions.find((one) => one.manifest.name === reference);
    if (!found) throw new ExecError('PLUGIN_NOT_FOUND', 'No');
    return found;
  }

  list(query: { readonly name?: string; readonly after?: string; readonly limit: number }) {
    const start = this.versions.findIndex((one) => referenceOf(one) === query.after) + 1;
    const versions = this.versions.slice(start, start + query.limit);
    const last = versions.at(-1);
    const more = start + query.limit < this.versions.length;
    return { versions, ...(last && more && { next: referenceOf(last) }) };
  }

  async start(reference: string): Promise<PluginVersion> {
    return this.#change('start', reference);
  }

  async stop(reference: string): Promise<PluginVersion> {
    return this.#change('stop', reference);
  }

  async retire(reference: string): Promise<PluginVersion> {
    return this.#change('retire', reference);
  }

  async delete(reference: string, options: DeleteOptions = {}): Promise<DroppedStorage> {
    this.tenants.push(options.tenant);
    this.#change(options.keepStorage ? 'delete but storage of' : 'delete', reference);
    return { keys: 3, bytes: 40 };
  }

  health(): PluginHealth | undefined {
    return this.fares;
  }

  async *watch(_: object, signal: AbortSignal): AsyncGenerator<PluginChange> {
    yield* this.changes;
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
  }

  #change(what: string, reference: string): PluginVersion {
    this.asked.push(`${what} ${reference}`);
    return version();
  }
}

async function hashOf(chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

interface Setup extends AsyncDisposable {
  readonly rpc: TestRpc;
  readonly client: Client<typeof PluginService>;
  readonly registry: FakeRegistry;
}

async function setUp(): Promise<Setup> {
  const registry = new FakeRegistry();
  const warming: WarmingApi = {
    warm: async (version, threads) => {
      registry.asked.push(`warm ${referenceOf(version)} on ${threads}`);
      return { threads: 2, instances: 4 };
    },
  };
  const rpc = await startRpc([bindService(PluginService, pluginServiceOf(registry, warming))]);
  return { rpc, registry, client: rpc.client(PluginService), [Symbol.asyncDispose]: () => rpc[Symbol.asyncDispose]() };
}

async function failure(promise: Promise<unknown>): Promise<CallError> {
  const error = await rejection(promise);
  expect(error).toBeInstanceOf(CallError);
  return error as CallError;
}

type Part = Pick<Exclude<MessageInitShape<typeof PublishPluginRequestSchema>, { $typeName: string }>, 'part'>;

const header: Part = {
  part: { case: 'header', value: { manifest: '{}', sha256: 'ab', sizeBytes: 1_000_000n } },
};
const chunk = (value: Uint8Array): Part => ({ part: { case: 'chunk', value } });

describe('PublishPlugin and ValidatePlugin', () => {
  test('hand header and chunks to the registry and answer with the whole version and report', async () => {
    await using setup = await setUp();
    const bytes = new Uint8Array(1_000_000).map((_, index) => index * 7);
    const chunks = [0, 1, 2, 3].map((index) => chunk(bytes.subarray(index * 250_000, (index + 1) * 250_000)));
    const published = await setup.client.publishPlugin(streamOf(header, ...chunks));
    const hash = createHash('sha256').update(bytes).digest('hex');
    expect(setup.registry.received).toBe(`{} ab 1000000 ${hash}`);
    expect(published).toMatchObject({ created: true, plugin: { name: 'new', manifest: '{}' } });
    expect(published.report).toMatchObject({
      valid: true,
      problems: [{ reason: 'IMPORT_UNKNOWN', location: 'import env.f', manifestLine: 'x' }],
      imports: [
        { name: 'f', capability: '', provided: false },
        { capability: 'log', provided: true },
      ],
      exports: [{ name: 'e', executable: true }],
      features: ['simd'],
      memories: [{ minPages: 1n, clampedPages: 16n, is64Bit: true, imported: true }],
      tables: [{ minElements: 2n, maxElements: 3n, clampedElements: 0n, type: 'funcref' }],
      sizes: { moduleBytes: 1n, functions: 5, dataSegments: 8, rewrittenBytes: 9n },
      functions: ['e'],
    });
    expect(published.report?.memories[0]?.maxPages).toBeUndefined();
    const validated = await setup.client.validatePlugin(streamOf(header, chunk(bytes)));
    expect(validated.report?.digest).toBe(report.digest);
    expect(setup.registry.received).toBe(`{} ${hash}`);
  });

  test.each([
    ['no message', []],
    ['no header', [chunk(new Uint8Array(1))]],
    ['an empty first message', [{}]],
    ['a second header', [header, chunk(new Uint8Array(1)), header]],
    ['an empty message', [header, {}]],
  ])('refuse an upload with %s as UPLOAD_MALFORMED', async (_, messages) => {
    await using setup = await setUp();
    for (const upload of [setup.client.publishPlugin, setup.client.validatePlugin]) {
      expect((await failure(upload(streamOf(...messages)))).reason).toBe('UPLOAD_MALFORMED');
    }
  });
});

describe('GetPlugin and ListPlugins', () => {
  test('answer with versions, lists without manifests', async () => {
    await using setup = await setUp();
    setup.registry.versions = [version({ name: 'a' }), { ...version({ name: 'b' }), state: 'failed', failure: 'Why' }];
    expect((await setup.client.getPlugin({ plugin: 'a' })).plugin).toMatchObject({
      name: 'a',
      version: '1.0.0',
      manifest: '{}',
      state: PluginState.RUNNING,
      functions: ['echo', 'fail'],
      capabilities: ['log'],
      sizeBytes: 8n,
    });
    const { plugins, nextPageToken } = await setup.client.listPlugins({});
    expect(plugins).toMatchObject([
      { name: 'a', manifest: '' },
      { name: 'b', manifest: '', state: PluginState.FAILED, failure: 'Why' },
    ]);
    expect(nextPageToken).toBe('');
  });

  test('list page by page, in pages that clients can receive', async () => {
    await using setup = await setUp();
    const functions = Array.from({ length: 1_000 }, (_, index) => `f${index}`.padEnd(255, 'x'));
    setup.registry.versions = Array.from({ length: 40 }, (_, index) => version({ name: `p${100 + index}`, functions }));
    const names: string[] = [];
    let pages = 0;
    let pageToken = '';
    do {
      const page = await setup.client.listPlugins({ pageSize: 30, pageToken });
      names.push(...page.plugins.map(({ name }) => name));
      pageToken = page.nextPageToken;
      pages++;
    } while (pageToken !== '');
    expect(names).toEqual(setup.registry.versions.map(({ manifest }) => manifest.name));
    expect(pages).toBeGreaterThan(2);
  });

  test('refuse wrong fields', async () => {
    await using setup = await setUp();
    for (const [request, field] of [
      [{ pageSize: -1 }, 'page_size'],
      [{ pageToken: 'AAAA' }, 'page_token'],
      [{ name: 'No' }, 'name'],
    ] as const) {
      expect((await failure(setup.client.listPlugins(request))).violations).toMatchObject([{ field }]);
    }
    expect((await failure(setup.client.getPlugin({}))).violations).toMatchObject([{ field: 'plugin' }]);
    const missing = await failure(setup.client.getPlugin({ plugin: 'none' }));
    expect(missing).toMatchObject({ codeName: 'NOT_FOUND', reason: 'PLUGIN_NOT_FOUND' });
  });
});

describe('StartPlugin, StopPlugin, RetirePlugin and DeletePlugin', () => {
  test('take one version and nothing that could mean several', async () => {
    await using setup = await setUp();
    const digest = `sha256:${'a'.repeat(64)}`;
    const { client } = setup;
    await client.startPlugin({ plugin: 'echo@1.0.0' });
    await client.stopPlugin({ plugin: digest });
    await client.retirePlugin({ plugin: 'echo@1.0.0' });
    await client.deletePlugin({ plugin: 'echo@1.0.0' });
    const asked = ['start echo@1.0.0', `stop ${digest}`, 'retire echo@1.0.0', 'delete echo@1.0.0'];
    expect(setup.registry.asked).toEqual(asked);
    for (const method of [client.startPlugin, client.stopPlugin, client.retirePlugin, client.deletePlugin]) {
      for (const plugin of ['echo', '', 'echo@x', 'sha256:']) {
        const error = await failure(method({ plugin }));
        expect(error).toMatchObject({ reason: 'REQUEST_INVALID', violations: [{ field: 'plugin' }] });
      }
    }
    expect(setup.registry.asked).toHaveLength(4);
  });
});

describe('DeletePlugin', () => {
  test('answers with how much of the storage is gone, and can keep it', async () => {
    await using setup = await setUp();
    const { client, registry } = setup;
    const options = { metadata: { 'caisson-tenant': 'acme' } };
    expect(await client.deletePlugin({ plugin: 'echo@1.0.0' }, options)).toMatchObject({
      storageKeysDeleted: 3n,
      storageBytesDeleted: 40n,
    });
    await client.deletePlugin({ plugin: 'echo@1.0.0', keepStorage: true });
    expect(registry.asked).toEqual(['delete echo@1.0.0', 'delete but storage of echo@1.0.0']);
    expect(registry.tenants).toEqual(['acme', 'default']);
  });
});

describe('WarmPlugin', () => {
  test('starts the version and has instances of it prepared', async () => {
    await using setup = await setUp();
    const answer = await setup.client.warmPlugin({ plugin: 'echo@1.0.0', threads: 2 });
    expect(answer).toMatchObject({ plugin: { name: 'echo', version: '1.0.0' }, threads: 2, instances: 4 });
    await setup.client.warmPlugin({ plugin: 'echo@1.0.0', threads: 1_024 });
    expect(setup.registry.asked).toEqual([
      'start echo@1.0.0',
      'warm echo@1.0.0 on 2',
      'start echo@1.0.0',
      'warm echo@1.0.0 on 1024',
    ]);
  });

  test('refuses a name alone, and numbers of threads that cannot be', async () => {
    await using setup = await setUp();
    const error = await failure(setup.client.warmPlugin({ plugin: 'echo', threads: -1 }));
    expect(error.violations).toMatchObject([{ field: 'plugin' }, { field: 'threads' }]);
    const tooMany = await failure(setup.client.warmPlugin({ plugin: 'echo@1.0.0', threads: 1_025 }));
    expect(tooMany.violations).toMatchObject([
      { field: 'threads', description: 'must be from 1 to 1024, or 0 for all that there are, but is 1025' },
    ]);
    expect(setup.registry.asked).toEqual([]);
  });
});

describe('The tenant of an upload or a deletion', () => {
  test('is handed to the registry', async () => {
    await using setup = await setUp();
    const options = { metadata: { 'caisson-tenant': 'acme' } };
    await setup.client.publishPlugin(streamOf(header, chunk(new Uint8Array(1))), options);
    await setup.client.validatePlugin(streamOf(header, chunk(new Uint8Array(1))), options);
    await setup.client.publishPlugin(streamOf(header, chunk(new Uint8Array(1))));
    expect(setup.registry.tenants).toEqual(['acme', 'acme', 'default']);
  });

  test('is refused where it cannot be', async () => {
    await using setup = await setUp();
    const options = { metadata: { 'caisson-tenant': 'No' } };
    const calls = [
      setup.client.publishPlugin(streamOf(header), options),
      setup.client.validatePlugin(streamOf(header), options),
      setup.client.deletePlugin({ plugin: 'echo@1.0.0' }, options),
    ];
    for (const error of await Promise.all(calls.map(failure))) {
      expect(error.violations).toMatchObject([{ field: 'caisson-tenant' }]);
    }
    expect([setup.registry.tenants, setup.registry.asked]).toEqual([[], []]);
  });
});

describe('The health of a version', () => {
  test('stands in every answer that shows one, and is absent where it does not run', async () => {
    await using setup = await setUp();
    const { client, registry } = setup;
    registry.versions = [version({ name: 'a' })];
    registry.fares = {
      state: 'DEGRADED',
      reasons: ['5 of the last 20 runs trapped'],
      changedMs: 1_000,
      checkedMs: 2_500,
    };
    const expected = {
      state: PluginHealthState.DEGRADED,
      reasons: ['5 of the last 20 runs trapped'],
      changeTime: { seconds: 1n },
      checkTime: { seconds: 2n, nanos: 500_000_000 },
    };
    const shown = async () => [
      (await client.getPlugin({ plugin: 'a' })).plugin,
      (await client.listPlugins({})).plugins[0],
      (await client.startPlugin({ plugin: 'a@1.0.0' })).plugin,
      (await client.warmPlugin({ plugin: 'a@1.0.0' })).plugin,
    ];
    for (const plugin of await shown()) expect(plugin?.health).toMatchObject(expected);
    registry.fares = { state: 'HEALTHY', reasons: [], changedMs: 1_000 };
    expect((await client.getPlugin({ plugin: 'a' })).plugin?.health?.checkTime).toBeUndefined();
    registry.fares = undefined;
    for (const plugin of await shown()) expect(plugin?.health).toBeUndefined();
  });

  test('is streamed as it was when it changed', async () => {
    await using setup = await setUp();
    const health: PluginHealth = { state: 'FAILED', reasons: ['no'], changedMs: 1_000 };
    setup.registry.changes.push({ type: 'HEALTH_CHANGED', timeMs: 1_000, version: version(), health });
    const watch = setup.client.watchPlugins({});
    expect((await watch.next()).value).toMatchObject({
      type: PluginEventType.HEALTH_CHANGED,
      plugin: { name: 'echo', health: { state: PluginHealthState.FAILED, reasons: ['no'] } },
    });
    await watch.return();
  });
});

describe('WatchPlugins', () => {
  test('streams changes until the client leaves', async () => {
    await using setup = await setUp();
    const change = { timeMs: 1_500, version: version(), health: undefined };
    setup.registry.changes.push({ type: 'EXISTING', ...change }, { type: 'SYNCED', timeMs: 2_000 });
    setup.registry.changes.push({ type: 'STATE_CHANGED', ...change }, { type: 'DELETED', ...change });
    const watch = setup.client.watchPlugins({ name: 'echo' });
    const first = (await watch.next()).value;
    expect(first).toMatchObject({ type: PluginEventType.EXISTING, time: { seconds: 1n, nanos: 500_000_000 } });
    expect(first?.plugin).toMatchObject({ name: 'echo', manifest: '' });
    const synced = (await watch.next()).value;
    expect(synced?.type).toBe(PluginEventType.SYNCED);
    expect(synced?.plugin).toBeUndefined();
    expect((await watch.next()).value?.type).toBe(PluginEventType.STATE_CHANGED);
    expect((await watch.next()).value?.type).toBe(PluginEventType.DELETED);
    await watch.return();
    expect((await failure(collect(setup.client.watchPlugins({ name: 'No' })))).reason).toBe('REQUEST_INVALID');
  });

  test('is ended by the shutdown with UNAVAILABLE and RetryInfo', async () => {
    await using setup = await setUp();
    setup.registry.changes.push({ type: 'SYNCED', timeMs: 0 });
    const watch = setup.client.watchPlugins({});
    await watch.next();
    const stopped = setup.rpc.server.shutdown({ graceMs: 20_000 });
    const error = await failure(watch.next());
    expect(error).toMatchObject({ codeName: 'UNAVAILABLE', reason: 'SHUTTING_DOWN', retryDelayMs: 1_000 });
    await stopped;
  });
});

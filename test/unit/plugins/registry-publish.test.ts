import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { digestOf } from '../../../src/base/digest.ts';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import { wat } from '../../helpers/wat.ts';
import { execErrorOf, FakeCompiler, MemoryLog, reasonOf } from './fakes.ts';
import { chunksOf, dataDirectory, headerOf, manifestOf, moduleOf, openRegistry, publish } from './fixtures.ts';

const live = new AbortController().signal;

async function filesBelow(path: string): Promise<readonly string[]> {
  const entries = await readdir(join(path, 'plugins'), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();
}

describe('PluginRegistry.publish', () => {
  test('stores a version, runs it and reports what it found', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const bytes = moduleOf(7);
    const { version, created, report } = await publish(registry, { capabilities: ['log'] }, bytes);
    expect(created).toBe(true);
    expect(version).toMatchObject({
      state: 'running',
      digest: digestOf(bytes),
      sizeBytes: bytes.length,
      functions: ['run'],
      failure: '',
    });
    expect(version.manifestText).toBe(manifestOf({ capabilities: ['log'] }));
    expect(report).toMatchObject({ valid: true, problems: [], digest: digestOf(bytes), functions: ['run'] });
    expect(registry.get('echo')).toBe(version);
    const hex = createHash('sha256').update(bytes).digest('hex');
    expect(new Uint8Array(await readFile(join(data.path, 'plugins', 'modules', `${hex}.wasm`)))).toEqual(bytes);
    const rewritten = await readdir(join(data.path, 'plugins', 'rewritten'));
    expect(rewritten).toHaveLength(1);
    expect(await filesBelow(data.path)).toEqual(['1.0.0.json', `${hex}.wasm`, 'lock', ...rewritten].sort());
  });

  test('answers the same upload again with the version that is there', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const first = await publish(registry);
    const second = await publish(registry);
    expect(second.created).toBe(false);
    expect(second.version).toBe(first.version);
  });

  test('refuses other bytes or another manifest under a taken version', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    await publish(registry);
    expect(await reasonOf(() => publish(registry, {}, moduleOf(1)))).toBe('PLUGIN_EXISTS');
    const error = await execErrorOf(() => publish(registry, { description: 'other' }));
    expect(error.reason).toBe('PLUGIN_EXISTS');
    expect(error.message).toContain('another manifest');
  });

  test('lets one of two concurrent publishes of a version with other bytes win', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const uploads = [1, 2].map((seed) => publish(registry, {}, moduleOf(seed)));
    const results = await Promise.allSettled(uploads);
    const won = results.filter((result) => result.status === 'fulfilled');
    const lost = results.filter((result) => result.status === 'rejected');
    expect([won.length, lost.length]).toEqual([1, 1]);
    expect(lost[0]?.reason).toMatchObject({ reason: 'PLUGIN_EXISTS' });
    expect(registry.get('echo').digest).toBe(won[0]?.value.version.digest);
    expect((await filesBelow(data.path)).filter((name) => name.endsWith('.wasm'))).toHaveLength(1);
  });

  test('makes one version of concurrent publishes of the same', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const results = await Promise.all([publish(registry), publish(registry), publish(registry)]);
    expect(results.filter(({ created }) => created)).toHaveLength(1);
    expect(registry.list({ limit: 10 }).versions).toHaveLength(1);
  });

  test('names every problem of manifest and module at once and stores nothing', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const bytes = wat('(module (import "env" "abort" (func)) (func (export "run")))');
    const error = await execErrorOf(() => publish(registry, { version: 'one', capabilities: ['nope'] }, bytes));
    expect(error.reason).toBe('MANIFEST_INVALID');
    expect(error.violations.map(({ field }) => field)).toEqual(['version', 'capabilities[0]', 'env.abort']);
    expect(error.message).toContain('and 2 more problems');
    expect(registry.list({ limit: 10 }).versions).toEqual([]);
    expect(await filesBelow(data.path)).toEqual(['lock']);
  });

  test('gives the manifest line that a missing capability needs', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const bytes = wat('(module (import "extism:host/env" "log_info" (func (param i64))) (func (export "run")))');
    const error = await execErrorOf(() => publish(registry, { capabilities: ['config'] }, bytes));
    expect(error.reason).toBe('CAPABILITY_NOT_GRANTED');
    expect(error.metadata).toEqual({ manifest_line: '"capabilities": ["config", "log"]' });
    expect(error.violations[0]?.description).toContain('"capabilities": ["config", "log"]');
  });

  test('leaves nothing behind when the new version cannot be started', async () => {
    await using data = await dataDirectory();
    const compiler = new FakeCompiler();
    await using registry = await openRegistry(data.path, { compiler });
    compiler.compileFailures.push(new ExecError('SANDBOX_UNAVAILABLE', 'no thread'));
    expect(await reasonOf(() => publish(registry))).toBe('SANDBOX_UNAVAILABLE');
    expect(await filesBelow(data.path)).toEqual(['lock']);
    expect(await reasonOf(() => registry.get('echo'))).toBe('PLUGIN_NOT_FOUND');
    expect((await publish(registry)).created).toBe(true);
  });

  test('keeps the module of a version that shares it with one that cannot be started', async () => {
    await using data = await dataDirectory();
    const hook = {
      name: 'refuse',
      phase: 'preStart',
      priority: 0,
      critical: true,
      timeoutMs: 1_000,
      run: (version: { manifest: { version: string } }) => {
        if (version.manifest.version === '2.0.0') throw new Error('not this one');
      },
    } as const;
    await using registry = await openRegistry(data.path, { hooks: [hook] });
    await publish(registry);
    expect(await reasonOf(() => publish(registry, { version: '2.0.0' }))).toBe('LIFECYCLE_HOOK_FAILED');
    expect((await filesBelow(data.path)).filter((name) => name.endsWith('.wasm'))).toHaveLength(1);
    const version = registry.resolve('echo');
    expect((await registry.compiled(version, 131_072)).key).toBe(`${version.digest}/131072`);
  });

  test('refuses more versions than its bound', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path, { bounds: { versionsMax: 2 } });
    await publish(registry);
    await publish(registry, { version: '1.0.1' });
    expect(await reasonOf(() => publish(registry, { version: '1.0.2' }))).toBe('PLUGINS_FULL');
    await registry.stop('echo@1.0.0');
    await registry.delete('echo@1.0.0');
    expect((await publish(registry, { version: '1.0.2' })).created).toBe(true);
  });

  test('bounds the bytes of all manifests together', async () => {
    await using data = await dataDirectory();
    const manifestBytesMax = 2 * Buffer.byteLength(manifestOf());
    await using registry = await openRegistry(data.path, { bounds: { manifestBytesMax } });
    await publish(registry);
    await publish(registry, { version: '1.0.1' });
    expect(await reasonOf(() => publish(registry, { version: '1.0.2' }))).toBe('PLUGINS_FULL');
    await registry.retire('echo@1.0.0');
    await registry.delete('echo@1.0.0');
    expect((await publish(registry, { version: '1.0.2' })).created).toBe(true);
  });

  test('refuses more uploads at once than its bound and takes one again when one has ended', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path, { bounds: { uploadsMax: 1 } });
    const bytes = moduleOf();
    const canceling = new AbortController();
    async function* stuck(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 4);
      await new Promise(() => {});
    }
    const first = registry.publish(headerOf(manifestOf(), bytes), stuck(), canceling.signal);
    expect(await reasonOf(() => publish(registry))).toBe('UPLOADS_FULL');
    expect(await reasonOf(() => registry.validate(headerOf(manifestOf(), bytes), chunksOf(bytes), live))).toBe(
      'UPLOADS_FULL',
    );
    canceling.abort(new AbortReason('CANCELED'));
    expect(await reasonOf(() => first)).toBe('CANCELED');
    expect((await publish(registry)).created).toBe(true);
  });

  test('reports a module that takes too long to check as a problem of the module', async () => {
    await using data = await dataDirectory();
    const compiler = new FakeCompiler();
    await using registry = await openRegistry(data.path, { compiler });
    compiler.analyseFailures.push(
      new ExecError('WASM_TOO_SLOW', 'Took too long'),
      new ExecError('WASM_TOO_SLOW', 'Took too long'),
    );
    const bytes = moduleOf();
    const report = await registry.validate(headerOf(manifestOf(), bytes), chunksOf(bytes), live);
    expect(report).toMatchObject({ valid: false, problems: [{ reason: 'WASM_TOO_SLOW', location: 'module' }] });
    expect(await reasonOf(() => publish(registry))).toBe('WASM_TOO_SLOW');
  });
});

describe('PluginRegistry.validate', () => {
  test('stores nothing and reports a valid module', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const bytes = moduleOf();
    const report = await registry.validate(headerOf(manifestOf(), bytes), chunksOf(bytes), live);
    expect(report).toMatchObject({ valid: true, functions: ['run'], sizes: { moduleBytes: bytes.length } });
    expect(await filesBelow(data.path)).toEqual(['lock']);
  });

  test('refuses only a broken upload', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const bytes = moduleOf();
    const header = { ...headerOf('{}', bytes), sizeBytes: bytes.length + 1 };
    expect(await reasonOf(() => registry.validate(header, chunksOf(bytes), live))).toBe('UPLOAD_INCOMPLETE');
    const report = await registry.validate(headerOf('{', bytes), chunksOf(bytes), live);
    expect(report.problems.map(({ reason }) => reason)).toEqual(['MANIFEST_INVALID']);
  });
});

describe('A registry that is closed', () => {
  test('ends an upload under way and refuses new work', async () => {
    await using data = await dataDirectory();
    const registry = await openRegistry(data.path, { log: new MemoryLog() });
    const bytes = moduleOf();
    async function* stuck(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 4);
      await new Promise(() => {});
    }
    const upload = execErrorOf(() => registry.publish(headerOf(manifestOf(), bytes), stuck(), live));
    await registry[Symbol.asyncDispose]();
    expect((await upload).reason).toBe('SHUTTING_DOWN');
    expect(await reasonOf(() => publish(registry))).toBe('SHUTTING_DOWN');
    expect(await filesBelow(data.path)).toEqual([]);
  });
});

describe('A publish whose caller gives up', () => {
  test('stores nothing before the module has been checked', async () => {
    await using data = await dataDirectory();
    const compiler = new FakeCompiler();
    await using registry = await openRegistry(data.path, { compiler });
    const canceling = new AbortController();
    const analyse = compiler.analyse.bind(compiler);
    compiler.analyse = async (...given) => {
      canceling.abort(new AbortReason('DISCONNECTED'));
      return await analyse(...given);
    };
    expect(await reasonOf(() => publish(registry, {}, moduleOf(), canceling.signal))).toBe('CANCELED');
    expect(await filesBelow(data.path)).toEqual(['lock']);
  });

  test('goes on once the version is stored', async () => {
    await using data = await dataDirectory();
    const compiler = new FakeCompiler();
    await using registry = await openRegistry(data.path, { compiler });
    const canceling = new AbortController();
    const compile = compiler.compile.bind(compiler);
    compiler.compile = async (input) => {
      canceling.abort(new AbortReason('DISCONNECTED'));
      return await compile(input);
    };
    expect((await publish(registry, {}, moduleOf(), canceling.signal)).created).toBe(true);
    expect(registry.get('echo').state).toBe('running');
  });
});

describe('A new version that is being started', () => {
  test('is not what its name means until it runs', async () => {
    await using data = await dataDirectory();
    const compiler = new FakeCompiler();
    await using registry = await openRegistry(data.path, { compiler });
    await publish(registry);
    const opening = Promise.withResolvers<void>();
    compiler.compileGate = opening.promise;
    const second = publish(registry, { version: '2.0.0' }, moduleOf(2));
    await vi.waitFor(() => expect(registry.get('echo@2.0.0').state).toBe('loading'));
    expect(registry.resolve('echo').manifest.version).toBe('1.0.0');
    const error = await execErrorOf(() => registry.resolve('echo@2.0.0'));
    expect(error.reason).toBe('PLUGIN_NOT_RUNNING');
    expect(error.message).toContain('is not running yet, but loading');
    opening.resolve();
    await second;
    expect(registry.resolve('echo').manifest.version).toBe('2.0.0');
  });
});

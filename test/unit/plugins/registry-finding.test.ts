import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/base/digest.ts';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import type { PluginChange } from '../../../src/plugins/watchers.ts';
import { execErrorOf, FakeCompiler, reasonOf } from './fakes.ts';
import { dataDirectory, moduleOf, openRegistry, publish } from './fixtures.ts';

describe('PluginRegistry.get and resolve', () => {
  test('take a name for the newest release that runs, whatever came last', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    for (const version of ['1.10.0', '1.9.0', '2.0.0-rc.1', '2.0.0']) await publish(registry, { version }, moduleOf(1));
    expect(registry.resolve('echo').manifest.version).toBe('2.0.0');
    await registry.stop('echo@2.0.0');
    expect(registry.resolve('echo').manifest.version).toBe('1.10.0');
    expect(registry.get('echo').manifest.version).toBe('1.10.0');
    await registry.stop('echo@1.10.0');
    await registry.retire('echo@1.9.0');
    expect(registry.resolve('echo').manifest.version).toBe('2.0.0-rc.1');
    await registry.stop('echo@2.0.0-rc.1');
    expect(registry.get('echo').manifest.version).toBe('2.0.0');
    expect(await reasonOf(() => registry.resolve('echo'))).toBe('PLUGIN_NOT_RUNNING');
  });

  test('take a digest for the one version that has it and list several', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    await publish(registry);
    const digest = digestOf(moduleOf());
    expect(registry.get(digest).manifest.name).toBe('echo');
    await publish(registry, { name: 'other' });
    const error = await execErrorOf(() => registry.get(digest));
    expect(error.reason).toBe('PLUGIN_AMBIGUOUS');
    expect(error.message).toBe(`2 versions have the digest "${digest}": name one of "echo@1.0.0", "other@1.0.0"`);
  });

  test('say what is near when there is no such plugin or version', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    await publish(registry);
    expect((await execErrorOf(() => registry.get('ecko'))).message).toBe(
      'No plugin has the name "ecko" (did you mean "echo"?)',
    );
    const error = await execErrorOf(() => registry.get('echo@3.0.0'));
    expect(error.reason).toBe('PLUGIN_VERSION_NOT_FOUND');
    expect(error.message).toBe('The plugin "echo" has no version "3.0.0"; it has "1.0.0"');
    expect(await reasonOf(() => registry.get(`sha256:${'0'.repeat(64)}`))).toBe('PLUGIN_NOT_FOUND');
  });
});

describe('PluginRegistry.list', () => {
  test('goes through all versions page by page, by name and then newest first', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    for (const name of ['b', 'a'])
      for (const version of ['1.2.0', '1.10.0', '1.0.0']) await publish(registry, { name, version });
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = registry.list({ limit: 4, ...(after !== undefined && { after }) });
      seen.push(...page.versions.map(({ manifest }) => `${manifest.name}@${manifest.version}`));
      after = page.next;
    } while (after !== undefined);
    expect(seen).toEqual(['a@1.10.0', 'a@1.2.0', 'a@1.0.0', 'b@1.10.0', 'b@1.2.0', 'b@1.0.0']);
    expect(registry.list({ name: 'b', limit: 3 })).not.toHaveProperty('next');
  });

  test('goes on after a version that has been deleted meanwhile', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    for (const version of ['1.0.0', '2.0.0', '3.0.0']) await publish(registry, { version });
    const { next } = registry.list({ limit: 2 });
    expect(next).toBe('echo@2.0.0');
    await registry.stop('echo@2.0.0');
    await registry.delete('echo@2.0.0');
    expect(registry.list({ limit: 2, after: 'echo@2.0.0' }).versions.map(({ manifest }) => manifest.version)).toEqual([
      '1.0.0',
    ]);
  });

  test.each(['echo', 'x y', '', 'sha256:00'])('refuses the token %j', async (after) => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const error = await execErrorOf(() => registry.list({ limit: 1, after }));
    expect(error).toMatchObject({ reason: 'REQUEST_INVALID', violations: [{ field: 'page_token' }] });
  });
});

describe('PluginRegistry.compiled', () => {
  test('compiles each variant once and keeps the ones used last', async () => {
    await using data = await dataDirectory();
    const compiler = new FakeCompiler();
    await using registry = await openRegistry(data.path, { compiler, bounds: { variantsMax: 2 } });
    const { version } = await publish(registry);
    const pages = [1, 2, 1, 3, 2];
    for (const page of pages) await registry.compiled(version, page * 65_536);
    const compiled = compiler.compiled.slice(1).map((key) => Number(key.split('/')[1]) / 65_536);
    expect(compiled).toEqual([1, 2, 3, 2]);
  });

  test('stops waiting when the caller gives up; the others get the variant', async () => {
    await using data = await dataDirectory();
    const compiler = new FakeCompiler();
    await using registry = await openRegistry(data.path, { compiler });
    const { version } = await publish(registry);
    const opening = Promise.withResolvers<void>();
    compiler.compileGate = opening.promise;
    const canceling = new AbortController();
    const canceled = reasonOf(() => registry.compiled(version, 65_536, canceling.signal));
    const other = registry.compiled(version, 65_536);
    canceling.abort(new AbortReason('DEADLINE'));
    expect(await canceled).toBe('DEADLINE_EXCEEDED');
    opening.resolve();
    expect((await other).key).toBe(`${version.digest}/65536`);
    expect(compiler.compiled).toHaveLength(2);
  });

  test('does not keep a variant whose version was stopped while it was compiled', async () => {
    await using data = await dataDirectory();
    const compiler = new FakeCompiler();
    await using registry = await openRegistry(data.path, { compiler });
    const { version } = await publish(registry);
    const opening = Promise.withResolvers<void>();
    compiler.compileGate = opening.promise;
    const late = registry.compiled(version, 65_536);
    await registry.stop('echo@1.0.0');
    opening.resolve();
    await late;
    await registry.start('echo@1.0.0');
    await registry.compiled(version, 65_536);
    expect(compiler.compiled.filter((key) => key.endsWith('/65536'))).toHaveLength(2);
  });
});

describe('PluginRegistry.watch', () => {
  async function take(changes: AsyncIterator<PluginChange>, count: number): Promise<readonly string[]> {
    const taken: string[] = [];
    while (taken.length < count) {
      const { value } = (await changes.next()) as IteratorYieldResult<PluginChange>;
      taken.push(
        value.type === 'SYNCED' ? 'SYNCED' : `${value.type} ${value.version.manifest.name} ${value.version.state}`,
      );
    }
    return taken;
  }

  test('gives what is there, SYNCED, and then every change', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    await publish(registry);
    const ending = new AbortController();
    const changes = registry.watch({}, ending.signal)[Symbol.asyncIterator]();
    await publish(registry, { name: 'other' });
    await registry.stop('other@1.0.0');
    await registry.delete('other@1.0.0');
    expect(await take(changes, 10)).toEqual([
      'EXISTING echo running',
      'SYNCED',
      'PUBLISHED other unloaded',
      'STATE_CHANGED other loading',
      'STATE_CHANGED other loaded',
      'STATE_CHANGED other starting',
      'STATE_CHANGED other running',
      'STATE_CHANGED other stopping',
      'STATE_CHANGED other stopped',
      'DELETED other stopped',
    ]);
    ending.abort();
    expect(await changes.next()).toEqual({ done: true, value: undefined });
  });

  test('gives only the changes of the plugin asked for', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    await publish(registry);
    const changes = registry.watch({ name: 'other' }, new AbortController().signal)[Symbol.asyncIterator]();
    await registry.stop('echo@1.0.0');
    await publish(registry, { name: 'other' });
    expect(await take(changes, 2)).toEqual(['SYNCED', 'PUBLISHED other unloaded']);
  });

  test('ends with SHUTTING_DOWN when the registry closes', async () => {
    await using data = await dataDirectory();
    const registry = await openRegistry(data.path);
    const changes = registry.watch({}, new AbortController().signal)[Symbol.asyncIterator]();
    await changes.next();
    const next = reasonOf(() => changes.next());
    await registry[Symbol.asyncDispose]();
    expect(await next).toBe('SHUTTING_DOWN');
  });
});

import { readdir, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FollowedRegistry } from '../../../src/plugins/followed-registry.ts';
import type { VersionChange } from '../../../src/plugins/followed-version.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import { FakeCompiler, MemoryLog, reasonOf } from './fakes.ts';
import { dataDirectory, moduleOf, openRegistry, publish } from './fixtures.ts';

/** A registry and one that follows it, which is given changes by hand. */
async function followed(path: string) {
  await using owned = new AsyncDisposableStack();
  const changes: VersionChange[] = [];
  const registry = owned.use(await openRegistry(path, { changed: (change) => void changes.push(change) }));
  const compiler = new FakeCompiler();
  const log = new MemoryLog();
  const loads: string[] = [];
  const follower = owned.use(
    new FollowedRegistry({
      dataDirectory: path,
      compiler,
      log,
      load: async (reference) => void loads.push(reference),
      leftovers: () => {},
      noteRun: () => {},
    }),
  );
  /** Takes over all that has changed since. */
  const catchUp = async (): Promise<void> => {
    for (const change of changes.splice(0)) await follower.apply(change);
  };
  const all = owned.move();
  return {
    registry,
    follower,
    compiler,
    log,
    loads,
    changes,
    catchUp,
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

describe('FollowedRegistry', () => {
  test('is told of a version when it is there, as it moves, and when it is gone', async () => {
    await using data = await dataDirectory();
    await using both = await followed(data.path);
    await publish(both.registry);
    await both.registry.stop('echo@1.0.0');
    await both.registry.delete('echo@1.0.0');
    expect(
      both.changes.map((one) => (one.type === 'STANDS' ? `${one.version.state} ${one.accepting}` : one.type)),
    ).toEqual([
      'unloaded false',
      'loading false',
      'loaded false',
      'starting false',
      'running true',
      'stopping false',
      'stopped false',
      'GONE',
    ]);
  });

  test('answers with a version only once it runs there', async () => {
    await using data = await dataDirectory();
    await using both = await followed(data.path);
    await publish(both.registry);
    for (const change of both.changes.splice(0)) {
      const applied = both.follower.apply(change);
      const expected = change.type === 'STANDS' && change.version.state === 'running' ? 'none' : 'PLUGIN_NOT_RUNNING';
      const found = await reasonOf(() => both.follower.resolve('echo')).catch(() => 'none');
      expect(found).toBe(expected);
      await applied;
    }
    expect(both.compiler.compiled).toHaveLength(1);
  });

  test('makes again what is damaged of the files that it shares, and leaves them as they are', async () => {
    await using data = await dataDirectory();
    await using both = await followed(data.path);
    await publish(both.registry);
    const rewritten = join(data.path, 'plugins', 'rewritten');
    const files = await readdir(rewritten);
    for (const file of files) await truncate(join(rewritten, file), 100);
    await both.catchUp();
    expect(both.compiler.analysed).toBe(1);
    expect(both.compiler.compiled).toHaveLength(1);
    expect(await readdir(rewritten)).toEqual(files);
  });

  test('takes a number that was published again with another module for another version', async () => {
    await using data = await dataDirectory();
    await using both = await followed(data.path);
    await publish(both.registry);
    await both.catchUp();
    const first = both.follower.resolve('echo@1.0.0');
    await both.registry.stop('echo@1.0.0');
    await both.registry.delete('echo@1.0.0');
    await publish(both.registry, {}, moduleOf(1));
    both.follower.replaceAll(both.registry.standing());
    const second = both.follower.resolve('echo@1.0.0');
    expect(second.digest).not.toBe(first.digest);
    expect(await reasonOf(() => both.follower.compiled(first, 65_536))).toMatch(/^PLUGIN_/);
    expect((await both.follower.compiled(second, 65_536)).key).toBe(`${second.digest}/65536`);
    expect(both.follower.referencesOf(first.digest)).toEqual([]);
  });

  test('says that a version cannot be compiled to who runs it, and takes the change over all the same', async () => {
    await using data = await dataDirectory();
    await using both = await followed(data.path);
    await publish(both.registry);
    both.compiler.compileFailures.push(new ExecError('WASM_TOO_SLOW', 'slow'), new ExecError('WASM_TOO_SLOW', 'slow'));
    await both.catchUp();
    expect(both.log.texts('warn')).toEqual(['Cannot compile a version that another process runs']);
    const version = both.follower.resolve('echo');
    expect(await reasonOf(() => both.follower.compiled(version, 65_536))).toBe('WASM_TOO_SLOW');
    expect((await both.follower.compiled(version, 65_536)).key).toBe(`${version.digest}/65536`);
  });

  test('compiles a version once for all that wait, and gives up only whose signal aborts', async () => {
    await using data = await dataDirectory();
    await using both = await followed(data.path);
    await publish(both.registry);
    await both.catchUp();
    const gate = Promise.withResolvers<void>();
    both.compiler.compileGate = gate.promise;
    const version = both.follower.resolve('echo');
    const giving = new AbortController();
    const impatient = both.follower.compiled(version, 65_536, giving.signal);
    const patient = both.follower.compiled(version, 65_536);
    giving.abort();
    await expect(impatient).rejects.toMatchObject({ reason: 'CANCELED' });
    gate.resolve();
    expect((await patient).key).toBe(`${version.digest}/65536`);
    expect(both.compiler.compiled).toHaveLength(2);
  });

  test('has none of what belongs to who keeps the versions', async () => {
    await using data = await dataDirectory();
    await using both = await followed(data.path);
    await publish(both.registry);
    await both.catchUp();
    expect(both.follower.running()).toEqual([]);
    expect(both.follower.health()).toBeUndefined();
  });
});

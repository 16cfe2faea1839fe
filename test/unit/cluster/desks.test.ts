/** The leader's and the followers' ends of the links, with a real registry on one side and followed ones on the other. */

import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { MemoryKvStore } from '../../../src/capabilities/services/memory-kv-store.ts';
import { ChangeFeed } from '../../../src/cluster/change-feed.ts';
import { FollowerDesk } from '../../../src/cluster/follower-desk.ts';
import { LeaderDesk } from '../../../src/cluster/leader-desk.ts';
import { remoteKvStore } from '../../../src/cluster/remote-kv-store.ts';
import { settledPlugins, warmingOfAll } from '../../../src/cluster/settled-plugins.ts';
import { silentLog } from '../../../src/model/log.ts';
import { FollowedRegistry } from '../../../src/plugins/followed-registry.ts';
import type { PluginStorage } from '../../../src/plugins/registry.ts';
import { FakeCompiler, ManualClock, reasonOf } from '../plugins/fakes.ts';
import { chunksOf, dataDirectory, headerOf, manifestOf, moduleOf, openRegistry } from '../plugins/fixtures.ts';

const clock = systemClock;
const log = silentLog;
const { signal } = new AbortController();

async function leaderAt(data: string, options: { storage?: PluginStorage; kv?: MemoryKvStore } = {}) {
  await using owned = new AsyncDisposableStack();
  const feed = new ChangeFeed({ clock, log });
  const { storage, kv = new MemoryKvStore({ clock: new ManualClock() }) } = options;
  const registry = owned.use(
    await openRegistry(data, { changed: (change) => feed.changed(change), ...(storage && { storage }) }),
  );
  const desk = owned.use(await LeaderDesk.open({ path: join(data, 'leader.sock'), clock, log, feed, registry, kv }));
  const plugins = settledPlugins(registry, feed);
  const publish = (fields: object = {}, seed = 0) => {
    const bytes = moduleOf(seed);
    return plugins.publish(headerOf(manifestOf(fields), bytes), chunksOf(bytes), signal);
  };
  const all = owned.move();
  return { registry, desk, plugins, publish, kv, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

async function followerAt(data: string, number = 1) {
  await using owned = new AsyncDisposableStack();
  const compiler = new FakeCompiler();
  const synced = Promise.withResolvers<void>();
  let syncs = 0;
  const desk = owned.use(
    new FollowerDesk({
      path: join(data, 'leader.sock'),
      number,
      clock,
      log,
      onSynced: () => {
        syncs++;
        synced.resolve();
      },
    }),
  );
  const registry = owned.use(
    new FollowedRegistry({
      dataDirectory: data,
      compiler,
      log,
      load: async (reference) => void (await desk.request('load', { reference })),
      leftovers: (plugin) => desk.tell('leftovers', { plugin }),
      noteRun: (version, facts) => desk.tell('ran', [{ reference: 'echo@1.0.0', digest: version.digest, facts }]),
    }),
  );
  const warmed: string[] = [];
  desk.follow({
    registry,
    warm: async (reference, threads) => {
      warmed.push(`${reference} ${threads}`);
      return { threads: 1, instances: 2 };
    },
  });
  await synced.promise;
  const all = owned.move();
  return { registry, desk, compiler, warmed, syncs: () => syncs, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Waits until the condition holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await clock.sleep(5);
}

describe('A follower', () => {
  test('knows what was published before it came, and everything after', async () => {
    await using data = await dataDirectory();
    await using leader = await leaderAt(data.path);
    await leader.publish();
    await using follower = await followerAt(data.path);
    expect(follower.registry.resolve('echo')).toEqual(leader.registry.get('echo'));
    expect(follower.compiler.compiled).toEqual([]);
    await leader.publish({ version: '2.0.0' }, 2);
    expect(follower.registry.resolve('echo').manifest.version).toBe('2.0.0');
    expect(follower.compiler.compiled).toHaveLength(1);
    await leader.plugins.stop('echo@2.0.0');
    expect(follower.registry.resolve('echo').manifest.version).toBe('1.0.0');
    expect(await reasonOf(() => follower.registry.resolve('echo@2.0.0'))).toBe('PLUGIN_NOT_RUNNING');
    await leader.plugins.delete('echo@2.0.0');
    expect(await reasonOf(() => follower.registry.resolve('echo@2.0.0'))).toBe('PLUGIN_VERSION_NOT_FOUND');
  });

  test('compiles what the leader has rewritten, and does not analyse it again', async () => {
    await using data = await dataDirectory();
    await using leader = await leaderAt(data.path);
    await using follower = await followerAt(data.path);
    await leader.publish();
    const version = follower.registry.resolve('echo');
    expect((await follower.registry.compiled(version, 1 << 20)).key).toBe(`${version.digest}/${1 << 20}`);
    expect([follower.compiler.analysed, follower.compiler.compiled.length]).toEqual([1, 2]);
  });

  test('has the leader load what its first use loads', async () => {
    await using data = await dataDirectory();
    {
      await using leader = await leaderAt(data.path);
      await leader.publish();
    }
    await using leader = await leaderAt(data.path);
    await using follower = await followerAt(data.path);
    const version = follower.registry.resolve('echo');
    expect(version.state).toBe('unloaded');
    await follower.registry.compiled(version, 65_536);
    expect(leader.registry.get('echo').state).toBe('running');
    expect(follower.registry.resolve('echo').state).toBe('running');
  });

  test('refuses what it does not know', async () => {
    await using data = await dataDirectory();
    await using _leader = await leaderAt(data.path);
    await using follower = await followerAt(data.path);
    expect(await reasonOf(() => follower.registry.resolve('echo'))).toBe('PLUGIN_NOT_FOUND');
  });

  test('follows the next leader, and forgets what that one does not know', async () => {
    await using data = await dataDirectory();
    const first = await leaderAt(data.path);
    await first.publish();
    await first.publish({ name: 'other' }, 1);
    await using follower = await followerAt(data.path);
    await first.registry.stop('other@1.0.0');
    await first.registry.delete('other@1.0.0');
    await first[Symbol.asyncDispose]();
    await using _second = await leaderAt(data.path);
    await until(() => follower.syncs() === 2);
    expect(follower.registry.resolve('echo').state).toBe('unloaded');
    expect(await reasonOf(() => follower.registry.resolve('other'))).toBe('PLUGIN_NOT_FOUND');
  });

  test('reads and writes values where the leader keeps them', async () => {
    await using data = await dataDirectory();
    await using leader = await leaderAt(data.path);
    await using follower = await followerAt(data.path);
    const store = remoteKvStore((call) => follower.desk.request('kv', call));
    const place = { tenant: 'acme', plugin: 'echo' };
    const quota = { keysMax: 1, bytesMax: 1_000 };
    const write = { key: 'k', value: Uint8Array.of(1, 2), ttlMs: 0, quota };
    expect(await store.set(place, write)).toBe('stored');
    expect(await store.set(place, { ...write, key: 'l' })).toBe('quota');
    expect(await leader.kv.get(place, 'k')).toEqual(write.value);
    expect(Buffer.from((await store.get(place, 'k')) ?? [])).toEqual(Buffer.from(write.value));
    expect(await store.get(place, 'none')).toBeUndefined();
    expect(await store.usage(place)).toEqual(await leader.kv.usage(place));
    expect(await store.delete(place, 'k')).toBe(true);
    expect(await leader.kv.get(place, 'k')).toBeUndefined();
  });

  test('waits with its requests for the next leader', async () => {
    await using data = await dataDirectory();
    const first = await leaderAt(data.path);
    await using follower = await followerAt(data.path);
    await first[Symbol.asyncDispose]();
    const store = remoteKvStore((call) => follower.desk.request('kv', call));
    const asking = store.get({ tenant: 'acme', plugin: 'echo' }, 'k');
    await clock.sleep(60);
    await using _second = await leaderAt(data.path);
    expect(await asking).toBeUndefined();
  });

  test('refuses requests that wait when it ends', async () => {
    await using data = await dataDirectory();
    const first = await leaderAt(data.path);
    const follower = await followerAt(data.path);
    await first[Symbol.asyncDispose]();
    const asking = follower.desk.request('load', { reference: 'echo@1.0.0' });
    const refused = expect(asking).rejects.toMatchObject({ reason: 'PROCESS_UNAVAILABLE' });
    await follower[Symbol.asyncDispose]();
    await refused;
  });

  test('tells how its runs end, and the leader counts them to the health of the version', async () => {
    await using data = await dataDirectory();
    await using leader = await leaderAt(data.path);
    await using follower = await followerAt(data.path);
    await leader.publish();
    const version = follower.registry.resolve('echo');
    for (let run = 0; run < 5; run++) follower.registry.noteRun(version, { trapped: true, nearMemoryLimit: false });
    await until(() => leader.registry.health(leader.registry.get('echo'))?.state === 'DEGRADED');
  });

  test('prepares its part of the instances', async () => {
    await using data = await dataDirectory();
    await using leader = await leaderAt(data.path);
    await using one = await followerAt(data.path, 1);
    await using other = await followerAt(data.path, 2);
    const { version } = await leader.publish();
    const own = { warm: async () => ({ threads: 3, instances: 4 }) };
    const warming = warmingOfAll(own, leader.desk, 3);
    expect(await warming.warm(version, 7, signal)).toEqual({ threads: 5, instances: 8 });
    expect([one.warmed, other.warmed]).toEqual([['echo@1.0.0 3'], ['echo@1.0.0 3']]);
  });
});

describe('What runs have stored', () => {
  test('goes once more when a follower’s run has ended that outlived its plugin', async () => {
    await using data = await dataDirectory();
    const dropped: string[] = [];
    const storage: PluginStorage = {
      drop: async (plugin) => {
        dropped.push(plugin);
        return { keys: 0, bytes: 0 };
      },
    };
    await using leader = await leaderAt(data.path, { storage });
    await using follower = await followerAt(data.path);
    await leader.publish();
    const run = follower.registry.beginRun(follower.registry.resolve('echo'));
    await leader.plugins.stop('echo@1.0.0');
    await leader.plugins.delete('echo@1.0.0');
    expect(dropped).toEqual(['echo']);
    run[Symbol.dispose]();
    await until(() => dropped.length === 2);
  });

  test('stays if it was to be kept', async () => {
    await using data = await dataDirectory();
    const dropped: string[] = [];
    const storage: PluginStorage = {
      drop: async (plugin) => {
        dropped.push(plugin);
        return { keys: 0, bytes: 0 };
      },
    };
    await using leader = await leaderAt(data.path, { storage });
    await using follower = await followerAt(data.path);
    await leader.publish();
    const run = follower.registry.beginRun(follower.registry.resolve('echo'));
    await leader.plugins.stop('echo@1.0.0');
    await leader.plugins.delete('echo@1.0.0', { keepStorage: true });
    run[Symbol.dispose]();
    await follower.desk.request('kv', { method: 'usage', args: [{ tenant: 'acme', plugin: 'echo' }] });
    expect(dropped).toEqual([]);
  });
});

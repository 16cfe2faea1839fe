import { describe, expect, test } from 'vitest';
import type { PluginStorage } from '../../../src/plugins/registry.ts';
import { settled } from '../base/manual-clock.ts';
import { MemoryLog, reasonOf } from './fakes.ts';
import { dataDirectory, moduleOf, openRegistry, publish } from './fixtures.ts';

/** A storage that remembers what it was told to drop. */
class FakeStorage implements PluginStorage {
  readonly dropped: string[] = [];
  /** What dropping waits for. */
  gate: Promise<void> = Promise.resolve();

  async drop(plugin: string) {
    this.dropped.push(plugin);
    await this.gate;
    return { keys: 3, bytes: 40 };
  }
}

describe('PluginRegistry.delete drops what runs have stored', () => {
  test('with the last version of a name, and says how much', async () => {
    await using data = await dataDirectory();
    const [storage, log] = [new FakeStorage(), new MemoryLog()];
    await using registry = await openRegistry(data.path, { storage, log });
    await publish(registry);
    await publish(registry, { version: '2.0.0' });
    await publish(registry, { name: 'echo-other' }, moduleOf(1));
    for (const reference of ['echo@1.0.0', 'echo@2.0.0']) await registry.stop(reference);
    expect(await registry.delete('echo@1.0.0', { tenant: 'acme' })).toEqual({ keys: 0, bytes: 0 });
    expect(storage.dropped).toEqual([]);
    expect(await registry.delete('echo@2.0.0', { tenant: 'acme' })).toEqual({ keys: 3, bytes: 40 });
    expect(storage.dropped).toEqual(['echo']);
    expect(log.lines.find(({ text }) => text.startsWith('Dropped'))?.fields).toEqual({
      plugin: 'echo',
      tenant: 'acme',
      keys: 3,
      bytes: 40,
    });
  });

  test('unless it is to be kept, or nothing can be stored', async () => {
    await using data = await dataDirectory();
    const storage = new FakeStorage();
    {
      await using registry = await openRegistry(data.path, { storage });
      await publish(registry);
      await registry.stop('echo@1.0.0');
      expect(await registry.delete('echo@1.0.0', { keepStorage: true })).toEqual({ keys: 0, bytes: 0 });
      expect(storage.dropped).toEqual([]);
    }
    await using registry = await openRegistry(data.path);
    await publish(registry);
    await registry.stop('echo@1.0.0');
    expect(await registry.delete('echo@1.0.0')).toEqual({ keys: 0, bytes: 0 });
  });

  test('not where the deletion is refused', async () => {
    await using data = await dataDirectory();
    const storage = new FakeStorage();
    await using registry = await openRegistry(data.path, { storage });
    await publish(registry);
    expect(await reasonOf(() => registry.delete('echo@1.0.0'))).toBe('PLUGIN_STATE');
    expect(storage.dropped).toEqual([]);
  });

  test('never under a new version of the name: that comes when all is dropped', async () => {
    await using data = await dataDirectory();
    const storage = new FakeStorage();
    const { promise, resolve } = Promise.withResolvers<void>();
    storage.gate = promise;
    await using registry = await openRegistry(data.path, { storage });
    await publish(registry);
    await registry.stop('echo@1.0.0');
    const deleting = registry.delete('echo@1.0.0');
    const publishing = publish(registry, { version: '2.0.0' });
    const first = await Promise.race([publishing.then(() => 'published'), waited(storage)]);
    expect(first).toBe('dropping');
    expect(await reasonOf(() => registry.get('echo'))).toBe('PLUGIN_NOT_FOUND');
    resolve();
    expect(await deleting).toEqual({ keys: 3, bytes: 40 });
    expect((await publishing).version.state).toBe('running');
  });
});

describe('What runs store after their plugin was deleted', () => {
  test('is dropped when the last of them has ended', async () => {
    await using data = await dataDirectory();
    const storage = new FakeStorage();
    await using registry = await openRegistry(data.path, { storage });
    const { version } = await publish(registry);
    const runs = [registry.beginRun(version), registry.beginRun(version)];
    await registry.stop('echo@1.0.0');
    await registry.delete('echo@1.0.0');
    expect(storage.dropped).toEqual(['echo']);
    runs[0]?.[Symbol.dispose]();
    expect(storage.dropped).toEqual(['echo']);
    runs[1]?.[Symbol.dispose]();
    await settled();
    expect(storage.dropped).toEqual(['echo', 'echo']);
  });

  test('stays where the name has a version again', async () => {
    await using data = await dataDirectory();
    const storage = new FakeStorage();
    await using registry = await openRegistry(data.path, { storage });
    const { version } = await publish(registry);
    const run = registry.beginRun(version);
    await registry.stop('echo@1.0.0');
    await registry.delete('echo@1.0.0');
    await publish(registry, { version: '2.0.0' });
    run[Symbol.dispose]();
    await settled();
    expect(storage.dropped).toEqual(['echo']);
  });
});

/** Resolves a while after the storage has been told to drop something. */
async function waited(storage: FakeStorage): Promise<string> {
  while (storage.dropped.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await new Promise((resolve) => setTimeout(resolve, 50));
  return 'dropping';
}

import { describe, expect, test } from 'vitest';
import {
  MemoryKvStore,
  type MemoryKvStoreOptions,
  namespacesMax,
  storeBytesMax,
  sweptValuesMax,
} from '../../../../src/capabilities/services/memory-kv-store.ts';
import { heldBytes } from '../../../../src/capabilities/services/memory-kv-space.ts';
import type { KvNamespace, KvWrite } from '../../../../src/capabilities/services/kv-store.ts';
import { ManualClock } from '../../base/manual-clock.ts';
import { kvStoreContract } from './kv-store-contract.ts';

const quota = { bytesMax: Number.MAX_SAFE_INTEGER, keysMax: 1_000_000 };

function setUp(bounds: Partial<MemoryKvStoreOptions> = {}) {
  const clock = new ManualClock();
  const store = new MemoryKvStore({ clock, ...bounds });
  const set = (plugin: string, key: string, bytes: number, ttlMs = 0): Promise<string> =>
    store.set(of(plugin), written(key, bytes, ttlMs));
  return { clock, store, set };
}

function of(plugin: string): KvNamespace {
  return { tenant: 'default', plugin };
}

function written(key: string, bytes: number, ttlMs = 0): KvWrite {
  return { key, value: new Uint8Array(bytes), ttlMs, quota };
}

/** What one key of one byte costs. */
const oneKey = (bytes: number): number => heldBytes({ keys: 1, bytes: 1 + bytes });

describe('A store in memory', () => {
  kvStoreContract((clock) => new MemoryKvStore({ clock }));
});

describe('The bounds of the whole store', () => {
  test('are on the bytes of all namespaces, to the byte', async () => {
    const { store, set } = setUp({ bytesMax: oneKey(100) + oneKey(50) });
    expect(await set('one', 'k', 100)).toBe('stored');
    expect(await set('two', 'k', 51)).toBe('quota');
    expect(await set('two', 'k', 50)).toBe('stored');
    expect(store.heldBytes).toBe(oneKey(100) + oneKey(50));
    expect(await set('two', 'k', 51)).toBe('quota');
    expect(await set('three', 'k', 0)).toBe('quota');
    expect(await set('one', 'k', 99)).toBe('stored');
    expect(await set('two', 'k', 51)).toBe('stored');
  });

  test('are 256 MiB, and count the smallest key as what it costs', async () => {
    const { set } = setUp();
    expect(storeBytesMax).toBe(256 * 1_024 * 1_024);
    expect(await set('one', 'k', storeBytesMax - oneKey(0) + 1)).toBe('quota');
    expect(await set('one', 'k', 1_000)).toBe('stored');
    expect(oneKey(0)).toBeGreaterThan(300);
  });

  test('are on the number of namespaces that hold something', async () => {
    const { store, set } = setUp();
    for (let number = 0; number < namespacesMax; number++) {
      if ((await set(`p${number}`, 'k', 0)) !== 'stored') throw new Error(`Namespace ${number} was refused`);
    }
    expect(await set('one-more', 'k', 0)).toBe('quota');
    expect(await set('p0', 'another', 0)).toBe('stored');
    await store.usage(of('never-written'));
    await store.delete(of('p1'), 'k');
    expect(await set('one-more', 'k', 0)).toBe('stored');
    expect(await set('another-one', 'k', 0)).toBe('quota');
    await store.drop(of('p2'));
    expect(await set('another-one', 'k', 0)).toBe('stored');
  });

  test('make room at once of what has expired in other namespaces', async () => {
    const { clock, set } = setUp({ bytesMax: oneKey(100), namespacesMax: 1 });
    await set('one', 'k', 100, 50);
    expect(await set('two', 'k', 100)).toBe('quota');
    await clock.advance(100);
    expect(await set('two', 'k', 100)).toBe('stored');
  });

  test('let a namespace whose only value has expired begin again', async () => {
    const { clock, set } = setUp({ namespacesMax: 1 });
    await set('one', 'k', 0, 50);
    await clock.advance(50);
    expect(await set('one', 'another', 0)).toBe('stored');
    expect(await set('two', 'k', 0)).toBe('quota');
  });

  test('do not have every write that is refused search through everything', async () => {
    const { clock, store, set } = setUp({ bytesMax: oneKey(100) + oneKey(0) });
    await set('one', 'k', 100, 50);
    expect(await set('two', 'k', 1)).toBe('quota');
    await clock.advance(50);
    // Expired since, but the last search is less than 100 ms ago.
    expect(await set('two', 'k', 1)).toBe('quota');
    expect(store.heldBytes).toBe(oneKey(100));
    await clock.advance(50);
    expect(await set('two', 'k', 1)).toBe('stored');
  });
});

describe('What has expired', () => {
  test('is cleared away after a while, though nobody asks for it', async () => {
    const { clock, store, set } = setUp();
    await set('one', 'a', 100, 50);
    await set('one', 'b', 100, 30_000);
    await set('two', 'a', 100, 50);
    await clock.advance(9_999);
    expect(store.heldBytes).toBe(3 * oneKey(100));
    await clock.advance(1);
    expect(store.heldBytes).toBe(oneKey(100));
    await clock.advance(30_000);
    expect(store.heldBytes).toBe(0);
  });

  test('is cleared away in pieces of the bound', async () => {
    const { clock, store } = setUp();
    for (let number = 0; number <= sweptValuesMax; number++) {
      await store.set(of(number % 2 === 0 ? 'even' : 'odd'), written(`k${10_000 + number}`, 0, 1));
    }
    await clock.advance(10_000);
    expect(store.heldBytes).toBe(heldBytes({ keys: 1, bytes: 6 }));
    await clock.advance(10);
    expect(store.heldBytes).toBe(0);
  });

  test('needs no timer where there is nothing that expires, or none is left', async () => {
    const { clock, store, set } = setUp();
    await set('one', 'k', 0);
    expect(clock.timers).toBe(0);
    await set('one', 'short', 0, 5);
    await set('two', 'short', 0, 5);
    expect(clock.timers).toBe(1);
    await clock.advance(10_000);
    expect(clock.timers).toBe(0);
    await set('one', 'short', 0, 5);
    store[Symbol.dispose]();
    expect(clock.timers).toBe(0);
  });

  test('is in no listing, however much of it there is at once', async () => {
    const { clock, store } = setUp();
    for (let number = 0; number < 100; number++) {
      await store.set(of('one'), written(`k${number}`, 1, number % 3 === 0 ? 0 : 5));
    }
    await clock.advance(5);
    const keys = await store.list(of('one'), { prefix: '', after: '', limit: 1_000 });
    expect(keys).toEqual(Array.from({ length: 34 }, (_, index) => `k${index * 3}`).toSorted());
    expect(await store.usage(of('one'))).toEqual({ keys: 34, bytes: keys.join('').length + 34 });
  });
});

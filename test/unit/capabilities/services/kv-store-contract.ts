/** What every store of capability "kv" must do, whatever it keeps the values in. */

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { KvNamespace, KvStore, KvWrite } from '../../../../src/capabilities/services/kv-store.ts';
import type { KvGrant } from '../../../../src/model/grant.ts';
import { ManualClock } from '../../base/manual-clock.ts';

export type MakeStore = (clock: ManualClock) => KvStore & Partial<Disposable>;

const here: KvNamespace = { tenant: 'default', plugin: 'fake' };
const namespaces: readonly KvNamespace[] = [
  here,
  { tenant: 'default', plugin: 'other' },
  { tenant: 'other', plugin: 'fake' },
];
const plenty: KvGrant = { bytesMax: 1_000_000, keysMax: 1_000 };

function written(key: string, value: string, changed: Partial<KvWrite> = {}): KvWrite {
  return { key, value: new Uint8Array(Buffer.from(value)), ttlMs: 0, quota: plenty, ...changed };
}

const all = { prefix: '', after: '', limit: 1_000 };

export function kvStoreContract(makeStore: MakeStore): void {
  const setUp = () => {
    const clock = new ManualClock();
    const store = makeStore(clock);
    const get = async (key: string, namespace = here): Promise<string | undefined> => {
      const value = await store.get(namespace, key);
      return value && Buffer.from(value).toString();
    };
    return { clock, store, get };
  };

  test('keeps a value, replaces it and deletes it', async () => {
    const { store, get } = setUp();
    expect(await get('key')).toBeUndefined();
    expect(await store.set(here, written('key', 'one'))).toBe('stored');
    expect(await get('key')).toBe('one');
    await store.set(here, written('key', ''));
    expect(await get('key')).toBe('');
    expect(await store.delete(here, 'key')).toBe(true);
    expect(await store.delete(here, 'key')).toBe(false);
    expect(await get('key')).toBeUndefined();
  });

  test('shows no namespace what is in another', async () => {
    const { store, get } = setUp();
    for (const namespace of namespaces) await store.set(namespace, written('key', JSON.stringify(namespace)));
    for (const namespace of namespaces) expect(await get('key', namespace)).toBe(JSON.stringify(namespace));
    await store.delete(here, 'key');
    expect(await store.list(here, all)).toEqual([]);
    expect(await get('key', namespaces[1])).toBeDefined();
  });

  test('keeps copies, also of what a slice would only be a view of', async () => {
    const { store, get } = setUp();
    const value = Buffer.from('value');
    await store.set(here, { ...written('key', ''), value });
    value.fill(0);
    (await store.get(here, 'key'))?.fill(0);
    expect(await get('key')).toBe('value');
  });

  test('lets a value go when its time is over, to the millisecond', async () => {
    const { clock, store, get } = setUp();
    await store.set(here, written('key', 'value', { ttlMs: 100 }));
    await clock.advance(99);
    expect(await get('key')).toBe('value');
    await clock.advance(1);
    expect(await get('key')).toBeUndefined();
    expect(await store.list(here, all)).toEqual([]);
    expect(await store.delete(here, 'key')).toBe(false);
    expect(await store.usage(here)).toEqual({ keys: 0, bytes: 0 });
    expect(await store.compareAndSet(here, undefined, written('key', 'new'))).toBe('stored');
  });

  test('takes the time of the last write', async () => {
    const { clock, store, get } = setUp();
    await store.set(here, written('longer', 'value', { ttlMs: 10 }));
    await store.set(here, written('longer', 'value', { ttlMs: 100 }));
    await store.set(here, written('for good', 'value', { ttlMs: 10 }));
    await store.set(here, written('for good', 'value'));
    await store.set(here, written('shorter', 'value'));
    await store.set(here, written('shorter', 'value', { ttlMs: 10 }));
    await clock.advance(50);
    expect([await get('longer'), await get('for good'), await get('shorter')]).toEqual(['value', 'value', undefined]);
    await clock.advance(50);
    expect(await store.list(here, all)).toEqual(['for good']);
  });

  test('keeps to the quota of bytes, keys included, to the byte', async () => {
    const { store, get } = setUp();
    const quota = { bytesMax: 10, keysMax: 1_000 };
    expect(await store.set(here, written('ключ', '12', { quota }))).toBe('stored');
    expect(await store.set(here, written('ключ', '123', { quota }))).toBe('quota');
    expect(await store.set(here, written('k', '', { quota }))).toBe('quota');
    expect(await get('ключ')).toBe('12');
    expect(await store.usage(here)).toEqual({ keys: 1, bytes: 10 });
    expect(await store.set(namespaces[1] ?? here, written('ключ', '12', { quota }))).toBe('stored');
  });

  test('keeps to the quota of keys, and replaces values within it', async () => {
    const { store } = setUp();
    const quota = { bytesMax: 1_000, keysMax: 2 };
    expect(await store.set(here, written('a', '1', { quota }))).toBe('stored');
    expect(await store.set(here, written('b', '1', { quota }))).toBe('stored');
    expect(await store.set(here, written('c', '1', { quota }))).toBe('quota');
    expect(await store.compareAndSet(here, undefined, written('c', '1', { quota }))).toBe('quota');
    expect(await store.set(here, written('a', '2', { quota }))).toBe('stored');
    await store.delete(here, 'a');
    expect(await store.set(here, written('c', '1', { quota }))).toBe('stored');
  });

  test('does not count what has expired against the quota', async () => {
    const { clock, store } = setUp();
    const quota = { bytesMax: 4, keysMax: 1 };
    for (let round = 0; round < 5; round++) {
      expect(await store.set(here, written(`k${round}`, '12', { ttlMs: 10, quota }))).toBe('stored');
      expect(await store.set(here, written('x', '', { quota }))).toBe('quota');
      await clock.advance(10);
    }
  });

  test('compares the whole value, and nothing at all with nothing', async () => {
    const { store, get } = setUp();
    const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
    expect(await store.compareAndSet(here, bytes(''), written('key', 'one'))).toBe('different');
    expect(await store.compareAndSet(here, undefined, written('key', 'one'))).toBe('stored');
    expect(await store.compareAndSet(here, undefined, written('key', 'two'))).toBe('different');
    for (const other of ['on', 'one!', 'two', '']) {
      expect(await store.compareAndSet(here, bytes(other), written('key', 'two'))).toBe('different');
    }
    expect(await get('key')).toBe('one');
    expect(await store.compareAndSet(here, bytes('one'), written('key', 'two'))).toBe('stored');
    expect(await get('key')).toBe('two');
  });

  test('lets one of many win that compare and set at once', async () => {
    const { store } = setUp();
    const tries = Array.from({ length: 20 }, (_, index) =>
      store.compareAndSet(here, undefined, written('key', `${index}`)),
    );
    expect((await Promise.all(tries)).filter((result) => result === 'stored')).toHaveLength(1);
  });

  test('lists keys by their bytes, from a beginning on, with a prefix, up to the limit', async () => {
    const { store } = setUp();
    // By UTF-16 units the last two are the other way around.
    const keys = ['a', 'a\u0000', 'a/1', 'a/2', 'b', 'ключ', '\uffee', '\u{1f600}'];
    for (const key of keys.toReversed()) await store.set(here, written(key, ''));
    const list = (query: Partial<typeof all>) => store.list(here, { ...all, ...query });
    expect(await list({})).toEqual(keys);
    expect(await list({ limit: 2 })).toEqual(['a', 'a\u0000']);
    expect(await list({ after: 'a' })).toEqual(keys.slice(1));
    expect(await list({ after: 'a/1', limit: 1 })).toEqual(['a/2']);
    expect(await list({ after: 'a/15' })).toEqual(keys.slice(3));
    expect(await list({ prefix: 'a/' })).toEqual(['a/1', 'a/2']);
    expect(await list({ prefix: 'a/', after: 'a/1' })).toEqual(['a/2']);
    expect(await list({ prefix: 'a/', after: 'a/2' })).toEqual([]);
    expect(await list({ prefix: 'b', after: 'a' })).toEqual(['b']);
    expect(await list({ prefix: 'a', after: 'b' })).toEqual([]);
    expect(await list({ after: '\u{1f600}' })).toEqual([]);
  });

  test('drops what a plugin stored for all tenants, and nothing of another plugin', async () => {
    const { store } = setUp();
    const spaces = ['a', 'b'].flatMap((tenant) => ['p', 'q'].map((plugin) => ({ tenant, plugin })));
    for (const space of spaces) await store.set(space, written('key', 'value'));
    expect(await store.dropPlugin('p')).toEqual({ keys: 2, bytes: 16 });
    expect(await Promise.all(spaces.map(async (space) => (await store.usage(space)).keys))).toEqual([0, 1, 0, 1]);
    expect(await store.dropPlugin('p')).toEqual({ keys: 0, bytes: 0 });
  });

  test('drops a namespace whole and says what that was', async () => {
    const { store, get } = setUp();
    for (const namespace of namespaces) await store.set(namespace, written('key', 'value'));
    await store.set(here, written('other', '', { ttlMs: 5 }));
    expect(await store.drop(here)).toEqual({ keys: 2, bytes: 3 + 5 + 5 });
    expect(await store.drop(here)).toEqual({ keys: 0, bytes: 0 });
    expect(await get('key')).toBeUndefined();
    expect(await get('key', namespaces[2])).toBe('value');
  });

  test('is what a simple model of it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = new ManualClock();
        const store = makeStore(clock);
        const model = new Model();
        for (const { where, act } of steps) {
          const namespace = namespaces[where] ?? here;
          if (act.type === 'wait') {
            await clock.advance(act.ms);
            model.nowMs += act.ms;
          } else {
            expect(await run(store, namespace, act)).toEqual(model.run(where, act));
          }
          expect(await store.usage(namespace)).toEqual(model.usage(where));
        }
        store[Symbol.dispose]?.();
      }),
      { numRuns: 300 },
    );
  });
}

type Act =
  | { readonly type: 'get' | 'delete'; readonly key: string }
  | { readonly type: 'set'; readonly write: KvWrite }
  | { readonly type: 'compareAndSet'; readonly expected: Uint8Array | undefined; readonly write: KvWrite }
  | { readonly type: 'list'; readonly query: typeof all }
  | { readonly type: 'drop' };

const key = fc.constantFrom('a', 'b', 'aa', 'ab', 'a\u0000', 'é', '\uffee', '\u{1f600}');
const value = fc.uint8Array({ maxLength: 6 });
const write = fc.record({
  key,
  value,
  ttlMs: fc.constantFrom(0, 1, 5, 20),
  quota: fc.constantFrom(plenty, { bytesMax: 20, keysMax: 4 }),
});
const query = fc.record({
  prefix: fc.constantFrom('', 'a', 'é'),
  after: fc.oneof(fc.constant(''), key),
  limit: fc.constantFrom(1, 2, 100),
});
const act = fc.oneof(
  fc.record({ type: fc.constantFrom('get' as const, 'delete' as const), key }),
  { weight: 3, arbitrary: fc.record({ type: fc.constant('set' as const), write }) },
  fc.record({ type: fc.constant('compareAndSet' as const), expected: fc.option(value, { nil: undefined }), write }),
  fc.record({ type: fc.constant('list' as const), query }),
  fc.record({ type: fc.constant('drop' as const) }),
  fc.record({ type: fc.constant('wait' as const), ms: fc.constantFrom(1, 4, 15, 20_000) }),
);
const step = fc.record({ where: fc.constantFrom(0, 0, 0, 1, 2), act });

function run(store: KvStore, namespace: KvNamespace, act: Act): Promise<unknown> {
  switch (act.type) {
    case 'get':
      return store.get(namespace, act.key);
    case 'delete':
      return store.delete(namespace, act.key);
    case 'set':
      return store.set(namespace, act.write);
    case 'compareAndSet':
      return store.compareAndSet(namespace, act.expected, act.write);
    case 'list':
      return store.list(namespace, act.query);
    case 'drop':
      return store.drop(namespace);
  }
}

interface Kept {
  readonly value: Uint8Array;
  readonly expiresMs: number;
}

/** Everything in lists, searched from end to end. */
class Model {
  nowMs = 0;
  readonly #kept: Map<string, Kept>[] = namespaces.map(() => new Map());

  run(where: number, act: Act): unknown {
    switch (act.type) {
      case 'get':
        return this.#live(where).get(act.key)?.value;
      case 'delete':
        return this.#live(where).delete(act.key);
      case 'set':
        return this.#set(where, act.write);
      case 'compareAndSet': {
        const [there, expected] = [this.#live(where).get(act.write.key)?.value, act.expected];
        return there?.join() === expected?.join() ? this.#set(where, act.write) : 'different';
      }
      case 'list':
        return this.#list(where, act.query);
      case 'drop': {
        const usage = this.usage(where);
        this.#kept[where] = new Map();
        return usage;
      }
    }
  }

  usage(where: number): unknown {
    const live = [...this.#live(where)];
    const bytes = live.map(([key, { value }]) => Buffer.byteLength(key) + value.length);
    return { keys: live.length, bytes: bytes.reduce((sum, size) => sum + size, 0) };
  }

  #live(where: number): Map<string, Kept> {
    const live = [...(this.#kept[where] ?? [])].filter(([, { expiresMs }]) => expiresMs > this.nowMs);
    return (this.#kept[where] = new Map(live));
  }

  #set(where: number, { key, value, ttlMs, quota }: KvWrite): 'stored' | 'quota' {
    const live = this.#live(where);
    const before = live.get(key);
    live.set(key, { value, expiresMs: ttlMs === 0 ? Number.POSITIVE_INFINITY : this.nowMs + ttlMs });
    const { keys, bytes } = this.usage(where) as { keys: number; bytes: number };
    if (keys <= quota.keysMax && bytes <= quota.bytesMax) return 'stored';
    const kept = this.#live(where);
    if (before) kept.set(key, before);
    else kept.delete(key);
    return 'quota';
  }

  #list(where: number, { prefix, after, limit }: typeof all): string[] {
    const keys = [...this.#live(where).keys()].toSorted((one, other) =>
      Buffer.compare(Buffer.from(one), Buffer.from(other)),
    );
    const isAfter = (key: string): boolean => Buffer.compare(Buffer.from(key), Buffer.from(after)) > 0;
    return keys.filter((key) => key.startsWith(prefix) && isAfter(key)).slice(0, limit);
  }
}

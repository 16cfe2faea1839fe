import { describe, expect, test } from 'vitest';
import {
  writeKvCompareAndSet,
  writeKvList,
  writeKvSet,
  type KvSetRequest,
} from '../../../../src/capabilities/kv-requests.ts';
import { kvListBytesMax, KvService } from '../../../../src/capabilities/services/kv.ts';
import type { KvStore } from '../../../../src/capabilities/services/kv-store.ts';
import { MemoryKvStore } from '../../../../src/capabilities/services/memory-kv-store.ts';
import type { AskingRun } from '../../../../src/capabilities/services/service.ts';
import { AbortReason } from '../../../../src/model/abort-reason.ts';
import { fixedLimits } from '../../../../src/model/limits.ts';
import type { OperationName } from '../../../../src/model/operation.ts';
import { ManualClock } from '../../base/manual-clock.ts';
import { askingRun } from './asking-run.ts';

function setUp() {
  const clock = new ManualClock();
  const store = new MemoryKvStore({ clock });
  const service = new KvService(store);
  const ask = async (operation: OperationName, request: Uint8Array | string, run: AskingRun = askingRun()) => {
    const { code, payload } = await service.answer(operation, Buffer.from(request), run);
    return [code, Buffer.from(payload).toString()];
  };
  return { clock, store, service, ask };
}

function set(key: string, value: string, changed: Partial<KvSetRequest> = {}): Uint8Array {
  return writeKvSet({ key, value: Buffer.from(value), ttlMs: 0, ...changed });
}

const list = (changed: { prefix?: string; after?: string; limit?: number } = {}): Uint8Array =>
  writeKvList({ prefix: '', after: '', limit: fixedLimits.kvListedKeys, ...changed });

describe('The service of kv', () => {
  test('sets, gets, lists and deletes', async () => {
    const { ask } = setUp();
    expect(await ask('kv.get', 'key')).toEqual([1, '']);
    expect(await ask('kv.set', set('key', 'value'))).toEqual([0, '']);
    expect(await ask('kv.get', 'key')).toEqual([0, 'value']);
    expect(await ask('kv.list', list())).toEqual([0, '["key"]']);
    expect(await ask('kv.delete', 'key')).toEqual([0, '']);
    expect(await ask('kv.delete', 'key')).toEqual([1, '']);
    expect(await ask('kv.list', list())).toEqual([0, '[]']);
  });

  test('compares and sets', async () => {
    const { ask } = setUp();
    const compareAndSet = (expected: string | undefined, value: string) =>
      writeKvCompareAndSet({
        key: 'key',
        value: Buffer.from(value),
        ttlMs: 0,
        expected: expected === undefined ? undefined : Buffer.from(expected),
      });
    expect(await ask('kv.compare_and_set', compareAndSet('one', 'two'))).toEqual([1, '']);
    expect(await ask('kv.compare_and_set', compareAndSet(undefined, 'one'))).toEqual([0, '']);
    expect(await ask('kv.compare_and_set', compareAndSet(undefined, 'two'))).toEqual([1, '']);
    expect(await ask('kv.compare_and_set', compareAndSet('one', 'two'))).toEqual([0, '']);
    expect(await ask('kv.compare_and_set', compareAndSet('two', 'v'.repeat(1_000)))).toEqual([2, '']);
    expect(await ask('kv.get', 'key')).toEqual([0, 'two']);
  });

  test('lets values go when their time is over', async () => {
    const { clock, ask } = setUp();
    await ask('kv.set', set('key', 'value', { ttlMs: 10 }));
    await clock.advance(10);
    expect(await ask('kv.get', 'key')).toEqual([1, '']);
  });

  test('keeps tenants and plugins apart', async () => {
    const { ask } = setUp();
    await ask('kv.set', set('key', 'value'));
    for (const granted of [{ tenant: 'other' }, { plugin: 'other' }]) {
      expect(await ask('kv.get', 'key', askingRun({ granted }))).toEqual([1, '']);
      expect(await ask('kv.list', list(), askingRun({ granted }))).toEqual([0, '[]']);
    }
  });

  test('holds each run to the quota of its own grant', async () => {
    const { ask } = setUp();
    const narrow = askingRun({ granted: { kv: { bytesMax: 8, keysMax: 1 } } });
    expect(await ask('kv.set', set('key', 'value'), narrow)).toEqual([0, '']);
    expect(await ask('kv.set', set('key', 'value!'), narrow)).toEqual([2, '']);
    expect(await ask('kv.set', set('k', ''), narrow)).toEqual([2, '']);
    expect(await ask('kv.set', set('key', 'value!'))).toEqual([0, '']);
  });

  test('answers 3 or finds nothing for what the guest half should not have let through', async () => {
    const { ask } = setUp();
    const long = 'k'.repeat(fixedLimits.kvKeyBytes + 1);
    expect(await ask('kv.set', set(long, 'value'))).toEqual([3, '']);
    expect(await ask('kv.set', set('key', 'value', { ttlMs: -1 }))).toEqual([3, '']);
    const expected = new Uint8Array();
    const wrong = writeKvCompareAndSet({ key: '', value: expected, ttlMs: 0, expected });
    expect(await ask('kv.compare_and_set', wrong)).toEqual([3, '']);
    expect(await ask('kv.get', long)).toEqual([1, '']);
    expect(await ask('kv.delete', Uint8Array.of(0xff))).toEqual([1, '']);
    expect(await ask('kv.list', list({ limit: fixedLimits.kvListedKeys + 1 }))).toEqual([0, '[]']);
  });

  test('lists as many keys as the bound, which a listing from the last one on continues', async () => {
    const { ask } = setUp();
    const run = askingRun({ granted: { kv: { bytesMax: 100_000, keysMax: 10_000 } } });
    const keys = Array.from({ length: fixedLimits.kvListedKeys + 1 }, (_, index) => `k${10_000 + index}`);
    for (const key of keys) await ask('kv.set', set(key, ''), run);
    const [, first] = await ask('kv.list', list(), run);
    expect(JSON.parse(String(first))).toEqual(keys.slice(0, -1));
    const [, rest] = await ask('kv.list', list({ after: keys.at(-2) ?? '' }), run);
    expect(JSON.parse(String(rest))).toEqual(keys.slice(-1));
  });

  test('lists as many keys as fit into its bytes, to the byte', async () => {
    // Each key has 6 bytes of JSON for each of its own, quotes and a comma.
    const key = (number: number): string => '\u0001'.repeat(505) + String(number).padStart(5, '0');
    const entryBytes = JSON.stringify(key(0)).length + 1;
    const fitting = Math.floor((kvListBytesMax - 1) / entryBytes);
    const spare = kvListBytesMax - 1 - fitting * entryBytes;
    const keys = Array.from({ length: fitting }, (_, index) => key(index));
    const listed = async (last: string): Promise<readonly [number, number]> => {
      const service = new KvService(listing([...keys, last]));
      const { payload } = await service.answer('kv.list', list(), askingRun());
      return [(JSON.parse(Buffer.from(payload).toString()) as unknown[]).length, payload.length];
    };
    const fills = 'x'.repeat(spare - 3);
    expect(fitting).toBeLessThan(fixedLimits.kvListedKeys);
    expect(await listed(fills)).toEqual([fitting + 1, kvListBytesMax]);
    expect(await listed(`${fills}x`)).toEqual([fitting, kvListBytesMax - spare]);
  });

  test('answers no operation of another capability', async () => {
    const { service } = setUp();
    await expect(service.answer('http.request', new Uint8Array(), askingRun())).rejects.toThrow('no operation of kv');
  });

  test('rejects with the reason of a run that is stopped, also while the store is slow', async () => {
    const reason = new AbortReason('TIMEOUT');
    const { service } = setUp();
    const stopped = askingRun({ signal: AbortSignal.abort(reason) });
    await expect(service.answer('kv.get', Buffer.from('key'), stopped)).rejects.toBe(reason);
    const controller = new AbortController();
    const slow = new KvService({ ...listing([]), get: () => new Promise(() => {}) });
    const waiting = slow.answer('kv.get', Buffer.from('key'), askingRun({ signal: controller.signal }));
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});

/** A store that only lists. */
function listing(keys: readonly string[]): KvStore {
  const unasked = (): Promise<never> => Promise.reject(new Error('Nobody should ask for this'));
  return {
    list: () => Promise.resolve(keys),
    get: unasked,
    set: unasked,
    delete: unasked,
    compareAndSet: unasked,
    usage: unasked,
    dropPlugin: unasked,
    drop: unasked,
  };
}

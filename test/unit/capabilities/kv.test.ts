import { describe, expect, test } from 'vitest';
import { kvFamily } from '../../../src/capabilities/kv.ts';
import { kvTtlMsMax, readKvCompareAndSet, readKvList, readKvSet } from '../../../src/capabilities/kv-requests.ts';
import { fixedLimits } from '../../../src/model/limits.ts';
import type { HostAnswer } from '../../../src/model/operation.ts';
import { callHost, fakeCall, textAt } from './fakes.ts';

const none = 99_999n;
const notText = Uint8Array.of(0xc0);

function setUp(answer: HostAnswer = { code: 0, payload: new Uint8Array() }) {
  const call = fakeCall({ answer: () => answer });
  const { functions } = kvFamily(call);
  const host = (name: string, ...parameters: readonly (bigint | number | string | Uint8Array)[]): unknown =>
    callHost(
      functions,
      name,
      ...parameters.map((value) =>
        typeof value === 'object' || typeof value === 'string' ? call.block(value) : value,
      ),
    );
  const requests = (): Uint8Array[] => call.asked.map(({ request }) => request);
  return { call, host, requests };
}

/** What is no key, by what is wrong with it. */
const badKeys = [
  ['no block', none],
  ['an empty one', 0n],
  ['not UTF-8', notText],
  ['too long', 'k'.repeat(fixedLimits.kvKeyBytes + 1)],
] as const;

describe('kv_get', () => {
  test('gives the value of the key in a new block, and frees the key', () => {
    const { call, host } = setUp({ code: 0, payload: Buffer.from('value') });
    expect(textAt(call, host('kv_get', 'key'))).toBe('value');
    expect(call.asked).toEqual([{ operation: 'kv.get', request: new Uint8Array(Buffer.from('key')) }]);
    expect([call.held.size, call.chargedBytes]).toEqual([1, 3 + 5]);
  });

  test('gives 0 where there is nothing, or nothing in it', () => {
    expect(setUp({ code: 1, payload: new Uint8Array() }).host('kv_get', 'key')).toBe(0n);
    expect(setUp().host('kv_get', 'key')).toBe(0n);
  });

  test.each(badKeys)('gives 0 for a key that is %s, and asks nobody', (_what, key) => {
    const { call, host } = setUp();
    expect(host('kv_get', key)).toBe(0n);
    expect([call.asked, call.held.size]).toEqual([[], 0]);
  });

  test('asks for a key as long as the bound', () => {
    const { call, host } = setUp();
    host('kv_get', 'k'.repeat(fixedLimits.kvKeyBytes));
    expect(call.asked).toHaveLength(1);
  });

  test('stops the guest when the kernel has no room for the value', () => {
    const { call, host } = setUp({ code: 0, payload: Buffer.from('value') });
    const key = call.block('key');
    call.hasRoom = false;
    expect(host('kv_get', key)).toBe(-1n);
    expect(call.stops).toMatchObject([{ kind: 'KERNEL_MEMORY' }]);
  });
});

describe('kv_set', () => {
  test.each([0, 2, 3])('sends key, value and time, and gives the code %d of the answer', (code) => {
    const { call, host, requests } = setUp({ code, payload: new Uint8Array() });
    expect(host('kv_set', 'key', 'value', 60_000n)).toBe(code);
    expect(call.asked[0]?.operation).toBe('kv.set');
    expect(readKvSet(requests()[0] ?? notText)).toEqual({
      key: 'key',
      value: new Uint8Array(Buffer.from('value')),
      ttlMs: 60_000,
    });
    expect([call.held.size, call.chargedBytes]).toEqual([0, 3 + 5]);
  });

  test('takes an empty value, and one block for both', () => {
    const { call, host, requests } = setUp();
    expect(host('kv_set', 'key', 0n, 0n)).toBe(0);
    const block = call.block('both');
    expect(host('kv_set', block, block, 0n)).toBe(0);
    expect(requests().map((request) => readKvSet(request))).toMatchObject([{ value: { length: 0 } }, { key: 'both' }]);
    expect(call.held.size).toBe(0);
  });

  test.each(badKeys)('gives 3 for a key that is %s, and asks nobody', (_what, key) => {
    const { call, host } = setUp();
    expect(host('kv_set', key, 'value', 0n)).toBe(3);
    expect([call.asked, call.held.size]).toEqual([[], 0]);
  });

  test('takes a value as long as the bound, but none longer, and none that is no block', () => {
    const { call, host } = setUp();
    expect(host('kv_set', 'key', new Uint8Array(fixedLimits.kvValueBytes), 0n)).toBe(0);
    expect(host('kv_set', 'key', new Uint8Array(fixedLimits.kvValueBytes + 1), 0n)).toBe(3);
    expect(host('kv_set', 'key', none, 0n)).toBe(3);
    expect([call.asked.length, call.held.size]).toEqual([1, 0]);
  });

  test.each([
    [-1n, 3],
    [-(2n ** 63n), 3],
    [2n ** 63n - 1n, 3],
    [BigInt(kvTtlMsMax) + 1n, 3],
    [BigInt(kvTtlMsMax), 0],
    [1n, 0],
  ])('gives for the time %d the code %d', (ttlMs, code) => {
    const { call, host } = setUp();
    expect(host('kv_set', 'key', 'value', ttlMs)).toBe(code);
    expect([call.asked.length, call.held.size]).toEqual([code === 0 ? 1 : 0, 0]);
  });
});

describe('kv_delete', () => {
  test.each([0, 1])('gives the code %d of the answer', (code) => {
    const { call, host } = setUp({ code, payload: new Uint8Array() });
    expect(host('kv_delete', 'key')).toBe(code);
    expect(call.asked).toEqual([{ operation: 'kv.delete', request: new Uint8Array(Buffer.from('key')) }]);
    expect([call.held.size, call.chargedBytes]).toEqual([0, 3]);
  });

  test.each(badKeys)('gives 1 for a key that is %s, and asks nobody', (_what, key) => {
    const { call, host } = setUp();
    expect(host('kv_delete', key)).toBe(1);
    expect([call.asked, call.held.size]).toEqual([[], 0]);
  });
});

describe('kv_compare_and_set', () => {
  test.each([0, 1, 2, 3])('sends all of it, and gives the code %d of the answer', (code) => {
    const { call, host, requests } = setUp({ code, payload: new Uint8Array() });
    expect(host('kv_compare_and_set', 'key', 'old', 'new', 5n)).toBe(code);
    expect(readKvCompareAndSet(requests()[0] ?? notText)).toEqual({
      key: 'key',
      expected: new Uint8Array(Buffer.from('old')),
      value: new Uint8Array(Buffer.from('new')),
      ttlMs: 5,
    });
    expect([call.held.size, call.chargedBytes]).toEqual([0, 9]);
  });

  test('expects nothing at all if it expects 0', () => {
    const { host, requests } = setUp();
    host('kv_compare_and_set', 'key', 0n, 'new', 0n);
    expect(readKvCompareAndSet(requests()[0] ?? notText)?.expected).toBeUndefined();
  });

  test('gives 3 for an expectation that is no block or longer than a value, and does not take it for none', () => {
    const { call, host } = setUp();
    expect(host('kv_compare_and_set', 'key', none, 'new', 0n)).toBe(3);
    expect(host('kv_compare_and_set', 'key', new Uint8Array(fixedLimits.kvValueBytes + 1), 'new', 0n)).toBe(3);
    expect([call.asked, call.held.size]).toEqual([[], 0]);
    expect(host('kv_compare_and_set', 'key', new Uint8Array(fixedLimits.kvValueBytes), 'new', 0n)).toBe(0);
  });

  test.each(badKeys)('gives 3 for a key that is %s', (_what, key) => {
    const { call, host } = setUp();
    expect(host('kv_compare_and_set', key, 'old', 'new', 0n)).toBe(3);
    expect([call.asked, call.held.size]).toEqual([[], 0]);
  });

  test('gives 3 for a value that is no block and for a negative time', () => {
    const { host } = setUp();
    expect(host('kv_compare_and_set', 'key', 'old', none, 0n)).toBe(3);
    expect(host('kv_compare_and_set', 'key', 'old', 'new', -1n)).toBe(3);
  });
});

describe('kv_list', () => {
  const listed = { code: 0, payload: Buffer.from('["a","b"]') };

  test('sends prefix, beginning and limit, and gives the JSON of the answer', () => {
    const { call, host, requests } = setUp(listed);
    expect(textAt(call, host('kv_list', 'user:', 'user:a', 10))).toBe('["a","b"]');
    expect(requests().map((request) => readKvList(request))).toEqual([{ prefix: 'user:', after: 'user:a', limit: 10 }]);
    expect([call.held.size, call.chargedBytes]).toEqual([1, 5 + 6 + 9]);
  });

  test.each([
    [1, 1],
    [fixedLimits.kvListedKeys, fixedLimits.kvListedKeys],
    [fixedLimits.kvListedKeys + 1, fixedLimits.kvListedKeys],
    [0, fixedLimits.kvListedKeys],
    [-1, fixedLimits.kvListedKeys],
    [-(2 ** 31), fixedLimits.kvListedKeys],
  ])('asked for %d keys wants %d', (limit, wanted) => {
    const { host, requests } = setUp(listed);
    host('kv_list', 0n, 0n, limit);
    expect(readKvList(requests()[0] ?? notText)).toEqual({ prefix: '', after: '', limit: wanted });
  });

  test.each([
    ['no block', none],
    ['not UTF-8', notText],
    ['too long', 'p'.repeat(fixedLimits.kvKeyBytes + 1)],
  ])('gives 0 for a prefix or a beginning that is %s, and asks nobody', (_what, bad) => {
    const { call, host } = setUp(listed);
    expect(host('kv_list', bad, 'a', 1)).toBe(0n);
    expect(host('kv_list', 'a', bad, 1)).toBe(0n);
    expect([call.asked, call.held.size]).toEqual([[], 0]);
  });

  test('stops the guest when the kernel has no room for the list', () => {
    const { call, host } = setUp(listed);
    call.hasRoom = false;
    expect(host('kv_list', 0n, 0n, 1)).toBe(-1n);
    expect(call.stops).toMatchObject([{ kind: 'KERNEL_MEMORY' }]);
  });
});

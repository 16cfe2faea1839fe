import { describe, expect, test } from 'vitest';
import {
  kvKeyOf,
  kvTtlMsMax,
  readKvCompareAndSet,
  readKvList,
  readKvSet,
  writeKvCompareAndSet,
  writeKvList,
  writeKvSet,
} from '../../../src/capabilities/kv-requests.ts';
import { fixedLimits } from '../../../src/model/limits.ts';

const value = Uint8Array.of(1, 2, 3);

describe('A request of kv', () => {
  test('is read as it was written', () => {
    const set = { key: 'ключ', value, ttlMs: 86_400_000 };
    expect(readKvSet(writeKvSet(set))).toEqual(set);
    for (const expected of [undefined, new Uint8Array(), Uint8Array.of(9)]) {
      expect(readKvCompareAndSet(writeKvCompareAndSet({ ...set, expected }))).toEqual({ ...set, expected });
    }
    const list = { prefix: 'a', after: '', limit: 10 };
    expect(readKvList(writeKvList(list))).toEqual(list);
  });

  test.each([
    [{ key: 'k'.repeat(fixedLimits.kvKeyBytes) }, true],
    [{ key: 'k'.repeat(fixedLimits.kvKeyBytes + 1) }, false],
    [{ key: '' }, false],
    [{ value: new Uint8Array(fixedLimits.kvValueBytes) }, true],
    [{ value: new Uint8Array(fixedLimits.kvValueBytes + 1) }, false],
    [{ ttlMs: 0 }, true],
    [{ ttlMs: -1 }, false],
    [{ ttlMs: kvTtlMsMax }, true],
    [{ ttlMs: kvTtlMsMax + 1 }, false],
  ])('that sets is held to its bounds, case %#', (changed, isGood) => {
    const set = { key: 'key', value, ttlMs: 5, ...changed };
    expect(readKvSet(writeKvSet(set)) !== undefined).toBe(isGood);
    expect(readKvCompareAndSet(writeKvCompareAndSet({ ...set, expected: value })) !== undefined).toBe(isGood);
  });

  test.each([
    [{ prefix: 'p'.repeat(fixedLimits.kvKeyBytes), after: 'a'.repeat(fixedLimits.kvKeyBytes) }, true],
    [{ prefix: 'p'.repeat(fixedLimits.kvKeyBytes + 1) }, false],
    [{ after: 'a'.repeat(fixedLimits.kvKeyBytes + 1) }, false],
    [{ limit: 0 }, false],
    [{ limit: 1 }, true],
    [{ limit: fixedLimits.kvListedKeys }, true],
    [{ limit: fixedLimits.kvListedKeys + 1 }, false],
  ])('that lists is held to its bounds, case %#', (changed, isGood) => {
    expect(readKvList(writeKvList({ prefix: '', after: '', limit: 10, ...changed })) !== undefined).toBe(isGood);
  });
});

test('A key is UTF-8', () => {
  expect(kvKeyOf(Buffer.from('ключ'))).toBe('ключ');
  expect(kvKeyOf(Uint8Array.of(0xed, 0xa0, 0x80))).toBeUndefined();
});

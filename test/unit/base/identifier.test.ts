import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { idMarkMax, markOf, timeOrderedId } from '../../../src/base/identifier.ts';

describe('timeOrderedId', () => {
  test('is a UUID of version 7 that holds the time', () => {
    const id = timeOrderedId(0x0190_1234_5678 + 0.9);
    expect(id).toMatch(/^01901234-5678-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test('sorts by time', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 47), fc.integer({ min: 1, max: 1e9 }), (ms, laterMs) => {
        expect(timeOrderedId(ms) < timeOrderedId(ms + laterMs)).toBe(true);
      }),
    );
  });

  test('is another one each time, within a millisecond too', () => {
    const ids = new Set(Array.from({ length: 10_000 }, () => timeOrderedId(1)));
    expect(ids.size).toBe(10_000);
  });
});

describe('A mark', () => {
  test('is found again in an identifier, which stays a UUID of version 7', () => {
    for (let mark = 0; mark <= idMarkMax; mark++) {
      const id = timeOrderedId(1_750_000_000_000, mark);
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(markOf(id)).toBe(mark);
    }
  });

  test('leaves the rest random', () => {
    expect(new Set(Array.from({ length: 10_000 }, () => timeOrderedId(1, 5))).size).toBe(10_000);
  });

  test('is random where none was given', () => {
    expect(new Set(Array.from({ length: 2_000 }, () => markOf(timeOrderedId(1)))).size).toBeGreaterThan(32);
  });

  test.each([
    '',
    'abc',
    '01901234-5678-4000-8000-000000000000',
    '01901234-5678-7000-c000-000000000000',
    '01901234-5678-7000-8000-00000000000',
    '01901234-5678-7000-8000-000000000000 ',
    '01901234-5678-7000-8F00-000000000000',
  ])('is not found in %j', (text) => {
    expect(markOf(text)).toBeUndefined();
  });
});

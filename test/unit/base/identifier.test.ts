import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { timeOrderedId } from '../../../src/base/identifier.ts';

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

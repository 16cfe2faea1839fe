import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cursorOf, fittingItems, pageBytesMax, pageSizeOf, pageToken } from '../../../src/rpc/pages.ts';
import { Violations } from '../../../src/rpc/violations.ts';

function read(query: string, token: string): string | undefined {
  const violations = new Violations();
  const cursor = cursorOf(violations, query, token);
  return violations.any ? 'refused' : cursor;
}

describe('Page tokens', () => {
  test('give back their cursor', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }), (cursor) => {
        expect(read('q', pageToken('q', cursor))).toBe(cursor);
      }),
    );
    expect(read('q', '')).toBeUndefined();
  });

  test('are refused when damaged, forged, or of another query', () => {
    const token = pageToken('q', 'cursor@1.0.0');
    expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(read('other', token)).toBe('refused');
    for (let index = 0; index < token.length; index++) {
      const letter = token[index] === 'A' ? 'B' : 'A';
      expect(read('q', token.slice(0, index) + letter + token.slice(index + 1))).toBe('refused');
    }
    for (const damaged of [
      token.slice(1),
      token.slice(0, -1),
      `${token}=`,
      ` ${token}`,
      'A',
      '%',
      'A'.repeat(100_000),
    ]) {
      expect(read('q', damaged)).toBe('refused');
    }
  });
});

describe('pageSizeOf', () => {
  test.each([
    [0, 100, false],
    [1, 1, false],
    [1_000, 1_000, false],
    [1_001, 100, true],
    [-1, 100, true],
  ])('of %i is %i', (asked, expected, refused) => {
    const violations = new Violations();
    expect(pageSizeOf(violations, asked)).toBe(expected);
    expect(violations.any).toBe(refused);
  });
});

describe('fittingItems', () => {
  const bytesOf = (bytes: number): number => bytes;

  test('cuts a page before it grows too large', () => {
    const third = pageBytesMax / 3;
    expect(fittingItems([third, third, third, third], bytesOf)).toEqual([third, third, third]);
    expect(fittingItems([1, 2, 3], bytesOf)).toEqual([1, 2, 3]);
    expect(fittingItems([], bytesOf)).toEqual([]);
  });

  test('always lets one item through', () => {
    expect(fittingItems([pageBytesMax + 1, 1], bytesOf)).toEqual([pageBytesMax + 1]);
  });
});

import { create } from '@bufbuild/protobuf';
import { DurationSchema } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { durationOf, millisecondsOf, timestampOf } from '../../../src/rpc/wire-time.ts';

describe('timestampOf', () => {
  test.each([
    [0, 0n, 0],
    [1, 0n, 1_000_000],
    [1_750_000_000_123.5, 1_750_000_000n, 123_500_000],
    [-1, -1n, 999_000_000],
    [999.9999999, 1n, 0],
  ])('of %d ms', (ms, seconds, nanos) => {
    expect(timestampOf(ms)).toEqual({ seconds, nanos });
  });

  test('always has nanos from 0 to 999,999,999', () => {
    fc.assert(
      fc.property(fc.double({ min: -1e14, max: 1e14, noNaN: true }), (ms) => {
        const { nanos = -1 } = timestampOf(ms);
        return Number.isInteger(nanos) && nanos >= 0 && nanos < 1e9;
      }),
    );
  });
});

describe('durationOf', () => {
  test.each([
    [0, 0n, 0],
    [1_500, 1n, 500_000_000],
    [0.000_001, 0n, 1],
    [-1_500, -1n, -500_000_000],
    [1_999.999_999_9, 2n, 0],
  ])('of %d ms', (ms, seconds, nanos) => {
    expect(durationOf(ms)).toMatchObject({ seconds, nanos: nanos === 0 ? expect.closeTo(0) : nanos });
  });

  test('is undone by millisecondsOf', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), (ms) => {
        expect(millisecondsOf(create(DurationSchema, durationOf(ms)))).toBe(ms);
      }),
    );
  });
});

describe('millisecondsOf', () => {
  test.each([
    [1n, 1, 1_000.000_001],
    [0n, -1, -0.000_001],
    [-2n, -500_000_000, -2_500],
    [315_576_000_000n, 0, 315_576_000_000_000],
  ])('of %d s %d ns', (seconds, nanos, expected) => {
    expect(millisecondsOf(create(DurationSchema, { seconds, nanos }))).toBe(expected);
  });

  test.each([
    [0n, 1_000_000_000],
    [0n, -1_000_000_000],
    [1n, -1],
    [-1n, 1],
    [315_576_000_001n, 0],
    [-315_576_000_001n, 0],
    [2n ** 63n - 1n, 0],
  ])('is undefined for %d s %d ns', (seconds, nanos) => {
    expect(millisecondsOf(create(DurationSchema, { seconds, nanos }))).toBeUndefined();
  });
});

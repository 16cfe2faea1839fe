import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { shareOf } from '../../../src/cluster/shares.ts';

function shares(total: number, processes: number): readonly number[] {
  return Array.from({ length: processes }, (_, number) => shareOf(total, { number, processes }));
}

test('Shares add up to what is given, and differ by one at most', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 64 }), fc.nat(256), (processes, more) => {
      const all = shares(processes + more, processes);
      expect(all.reduce((sum, share) => sum + share)).toBe(processes + more);
      expect(Math.max(...all) - Math.min(...all)).toBeLessThanOrEqual(1);
    }),
  );
});

test('A share is at least one, also where there is not enough', () => {
  expect(shares(2, 3)).toEqual([1, 1, 1]);
  expect(shares(4, 3)).toEqual([2, 1, 1]);
});

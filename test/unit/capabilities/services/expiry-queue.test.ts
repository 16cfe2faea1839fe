import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ExpiryQueue, type Expiry } from '../../../../src/capabilities/services/expiry-queue.ts';

const expiries = fc.array(fc.record({ key: fc.string(), expiresMs: fc.nat(50) }));

function drained(queue: ExpiryQueue): number[] {
  const times: number[] = [];
  for (let next = queue.next; next !== undefined; next = queue.next) {
    times.push(next.expiresMs);
    queue.removeNext();
  }
  return times;
}

function sortedTimes(list: readonly Expiry[]): number[] {
  return list.map(({ expiresMs }) => expiresMs).toSorted((one, other) => one - other);
}

describe('The queue of expiries', () => {
  test('gives them back the soonest first, also those that come while it gives', () => {
    fc.assert(
      fc.property(expiries, fc.nat(20), expiries, (first, taken, later) => {
        const queue = new ExpiryQueue();
        for (const expiry of first) queue.add(expiry);
        expect(queue.size).toBe(first.length);
        for (let count = 0; count < taken; count++) queue.removeNext();
        for (const expiry of later) queue.add(expiry);
        const left = sortedTimes(first).slice(taken);
        expect(drained(queue)).toEqual([...left, ...later.map(({ expiresMs }) => expiresMs)].toSorted((a, b) => a - b));
        expect(queue.size).toBe(0);
      }),
    );
  });

  test('holds others instead once they replace them', () => {
    fc.assert(
      fc.property(expiries, expiries, expiries, (before, others, later) => {
        const queue = new ExpiryQueue();
        for (const expiry of before) queue.add(expiry);
        queue.replace(others);
        for (const expiry of later) queue.add(expiry);
        expect(drained(queue)).toEqual(sortedTimes([...others, ...later]));
      }),
    );
  });
});

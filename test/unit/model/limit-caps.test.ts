import { expect, test } from 'vitest';
import { cappedLimits } from '../../../src/model/limit-caps.ts';
import { resolveLimits } from '../../../src/model/limits.ts';

test('cappedLimits brings down what is over its cap and leaves the rest', () => {
  const limits = resolveLimits({ fuel: 100, timeoutMs: 50 }, {});
  const rule = 'r';
  expect(cappedLimits(limits, { fuel: { max: 99, rule }, timeoutMs: { max: 51, rule } })).toEqual({
    ...limits,
    fuel: 99,
  });
  expect(cappedLimits(limits, { fuel: { max: 100, rule } })).toEqual(limits);
  expect(cappedLimits(limits, {})).toEqual(limits);
});

test('cappedLimits keeps memory to whole pages', () => {
  const capped = cappedLimits(resolveLimits({}, {}), { memoryBytes: { max: 65_536 * 3 - 1, rule: 'r' } });
  expect(capped.memoryBytes).toBe(65_536 * 2);
});

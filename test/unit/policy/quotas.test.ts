import { expect, test } from 'vitest';
import { runLimitRanges } from '../../../src/model/limits.ts';
import { limitQuotas, quotas, wordOf } from '../../../src/policy/quotas.ts';

test('Every default lies within its range', () => {
  const all = [...Object.values(quotas).flatMap((family) => Object.values(family)), ...Object.values(limitQuotas)];
  expect(all.length).toBeGreaterThan(20);
  for (const { default: preset, min, max } of all) {
    expect(preset).toBeGreaterThanOrEqual(min);
    expect(preset).toBeLessThanOrEqual(max);
  }
});

test('Every limit of runs can be capped, up to its own maximum', () => {
  expect(Object.keys(limitQuotas)).toEqual(Object.keys(runLimitRanges));
  expect(limitQuotas.fuel.max).toBe(runLimitRanges.fuel.max);
});

test('wordOf spells names as policies do', () => {
  expect(['requestBytesMax', 'fuel', 'requestsPerSecond'].map(wordOf)).toEqual([
    'request_bytes_max',
    'fuel',
    'requests_per_second',
  ]);
});

import { describe, expect, test } from 'vitest';
import { geometricMean, interleave, median, quantile, ratioOf } from '../../../bench/measure.ts';

describe('Statistics of a benchmark', () => {
  test('median and quantiles come from the sorted values, whatever their order', () => {
    const values = [5, 1, 4, 2, 3];
    expect(median(values)).toBe(3);
    expect(quantile(values, 0)).toBe(1);
    expect(quantile(values, 0.99)).toBe(5);
    expect(quantile(values, 1)).toBe(5);
    expect(values).toEqual([5, 1, 4, 2, 3]);
  });

  test('of no values there is no median', () => {
    expect(median([])).toBeNaN();
  });

  test('a ratio is the median of the ratios of each round, so that a drift does not touch it', () => {
    const baseline = [100, 200, 400];
    expect(ratioOf([50, 100, 200], baseline, 'more')).toBe(0.5);
    expect(ratioOf([50, 100, 200], baseline, 'less')).toBe(2);
  });

  test('a ratio without a baseline is not a number', () => {
    expect(ratioOf([1, 2, 3], [], 'more')).toBeNaN();
  });

  test('the geometric mean of a half and a double is one', () => {
    expect(geometricMean([0.5, 2])).toBeCloseTo(1);
  });
});

describe('Interleaving', () => {
  test('runs everyone once for warming up, then round after round, each round beginning with another one', async () => {
    const order: string[] = [];
    const contender = (name: string) => async (): Promise<number> => order.push(name);
    const results = await interleave([contender('a'), contender('b'), contender('c')], 3);
    expect(order.join('')).toBe('abcabcbcacab');
    expect(results).toEqual([
      [4, 9, 11],
      [5, 7, 12],
      [6, 8, 10],
    ]);
  });

  test('hands on what a contender throws', async () => {
    await expect(interleave([() => Promise.reject(new Error('broken'))], 1)).rejects.toThrow('broken');
  });
});

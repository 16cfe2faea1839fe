import { describe, expect, test } from 'vitest';
import { findingsAll, type Findings, targets, type Verdict, verdictsOf } from '../../../bench/acceptance.ts';

function verdict(name: keyof typeof targets, findings: Findings): Verdict {
  const found = verdictsOf(findings).find(({ target }) => target === name);
  if (found === undefined) throw new Error(`There is no verdict on ${name}`);
  return found;
}

describe('The verdict on a figure', () => {
  test('is met exactly at its bound and missed just under it', () => {
    expect(verdict('reuseThroughput', { reuseThroughput: 0.6 })).toMatchObject({ isMet: true, verdict: 'met' });
    expect(verdict('reuseThroughput', { reuseThroughput: 0.599 })).toMatchObject({
      isMet: false,
      found: '0.60 ×',
      verdict: 'missed by 0.00 × (0 %)',
    });
  });

  test('of a latency is met up to its bound and missed just over it', () => {
    expect(verdict('reuseLatency', { reuseLatency: 60 }).isMet).toBe(true);
    expect(verdict('reuseLatency', { reuseLatency: 61 })).toMatchObject({
      isMet: false,
      verdict: 'missed by 1 µs (2 %)',
    });
  });

  test('says by how much a figure is missed, and why if that is known', () => {
    const { found, wanted, verdict: text } = verdict('progressLive', { progressLive: 1_000 });
    expect({ found, wanted }).toEqual({ found: '1,000/s', wanted: 'at least 50,000/s' });
    expect(text).toMatch(/^missed by 49,000\/s \(98 %\): an execution may report 1,000/);
  });

  test('on what was not measured is neither met nor missed, and gives the reason', () => {
    expect(verdict('many', { many: 'the server is gone' })).toMatchObject({
      isMet: undefined,
      verdict: 'not measured: the server is gone',
    });
    expect(verdict('many', { many: Number.NaN }).isMet).toBeUndefined();
    expect(verdict('many', {}).verdict).toBe('not measured: case "many" was not run');
  });

  test('on a figure without a bound only tells the figure', () => {
    expect(verdict('processes', { processes: 1.5 })).toMatchObject({ found: '1.50 ×', isMet: undefined });
  });

  test('comes once for each target, in their order', () => {
    expect(verdictsOf({}).map(({ target }) => target)).toEqual(Object.keys(targets));
  });
});

test('A case that failed is the finding of all its targets and of no other', () => {
  expect(findingsAll('peers', 'broken')).toEqual({ worker: 'broken', create: 'broken', mebibyte: 'broken' });
});

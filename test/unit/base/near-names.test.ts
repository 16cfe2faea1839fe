import { describe, expect, test } from 'vitest';
import { nearNames, suggestion } from '../../../src/base/near-names.ts';

describe('nearNames', () => {
  test.each([
    ['confg', ['config', 'vars', 'log'], ['config']],
    ['lgo', ['log', 'vars'], ['log']],
    ['xyz', ['config', 'vars'], []],
    ['ab', ['xy'], []],
    ['aaaa', ['aaab', 'aabb', 'aaac', 'aaad', 'abbb'], ['aaab', 'aaac', 'aaad']],
  ])('finds what %j may have meant among %j', (name, names, expected) => {
    expect(nearNames(name, names)).toEqual(expected);
  });

  test('looks at a bounded number of names', () => {
    let read = 0;
    function* endless(): Generator<string> {
      for (;;) yield `name-${read++}`;
    }
    expect(nearNames('other', endless())).toEqual([]);
    expect(read).toBeLessThanOrEqual(1_001);
  });
});

describe('suggestion', () => {
  test('is a question, or nothing', () => {
    expect(suggestion('aaaa', ['aaab', 'aaac'])).toBe(' (did you mean "aaab" or "aaac"?)');
    expect(suggestion('aaaa', [])).toBe('');
  });
});

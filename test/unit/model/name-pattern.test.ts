import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commonNames, givenNameRefusal, nameMatches, namePatternRefusal } from '../../../src/model/name-pattern.ts';

describe('namePatternRefusal', () => {
  test.each(['*', 'a', 'a*', 'csv-transform', 'tools.*', 'a_b', 'x'.repeat(63), `${'x'.repeat(63)}*`])(
    'takes %j',
    (pattern) => {
      expect(namePatternRefusal(pattern)).toBeUndefined();
    },
  );

  test.each(['', '**', '*a', 'a*b', 'A', 'a b', '.a', 'a@1.0.0', 'x'.repeat(64), `${'x'.repeat(64)}*`, 'a\n'])(
    'refuses %j',
    (pattern) => {
      expect(namePatternRefusal(pattern)).toMatch(/^must be a name, the beginning of a name and "\*", or "\*"/);
    },
  );
});

describe('nameMatches', () => {
  test.each([
    ['*', 'anything', true],
    ['a', 'a', true],
    ['a', 'ab', false],
    ['a*', 'a', true],
    ['a*', 'ab', true],
    ['a*', 'ba', false],
    ['a.*', 'ab', false],
  ])('%j and %j: %j', (pattern, name, expected) => {
    expect(nameMatches(pattern, name)).toBe(expected);
  });
});

describe('commonNames', () => {
  test.each([
    ['*', '*', '*'],
    ['*', 'a*', 'a*'],
    ['*', 'a', 'a'],
    ['a*', 'ab*', 'ab*'],
    ['a', 'a*', 'a'],
    ['a', 'a', 'a'],
    ['a', 'b', undefined],
    ['a', 'ab*', undefined],
    ['a*', 'b*', undefined],
  ])('%j and %j: %j, either way', (one, other, expected) => {
    expect(commonNames(one, other)).toBe(expected);
    expect(commonNames(other, one)).toBe(expected);
  });

  test('covers what both patterns cover', () => {
    const name = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 4 });
    const pattern = fc.tuple(name, fc.constantFrom('', '*')).map((parts) => parts.join(''));
    fc.assert(
      fc.property(pattern, pattern, name, (one, other, tried) => {
        const common = commonNames(one, other);
        const isCovered = common !== undefined && nameMatches(common, tried);
        expect(isCovered).toBe(nameMatches(one, tried) && nameMatches(other, tried));
      }),
    );
  });
});

describe('givenNameRefusal', () => {
  test.each(['A', '_', 'API_KEY', 'db.password', 'a-b', 'x'.repeat(128)])('takes %j', (name) => {
    expect(givenNameRefusal(name)).toBeUndefined();
  });

  test.each(['', '1A', '.a', '-a', 'a b', 'a/b', 'é', 'x'.repeat(129), 'A\n'])('refuses %j', (name) => {
    expect(givenNameRefusal(name)).toBeDefined();
  });
});

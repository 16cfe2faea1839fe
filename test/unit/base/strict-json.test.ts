import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pathText, readJson } from '../../../src/base/strict-json.ts';

describe('readJson', () => {
  test('agrees with JSON.parse on every value', () => {
    const wellFormed = fc
      .jsonValue({ maxDepth: 6, stringUnit: 'binary' })
      .filter((value) => !JSON.stringify(value).includes('__proto__'));
    fc.assert(
      fc.property(wellFormed, fc.constantFrom(undefined, 2, '\t'), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        expect(readJson(text)).toEqual({ value: JSON.parse(text), syntax: undefined, problems: [] });
      }),
    );
  });

  test('accepts and refuses the texts that JSON.parse does', () => {
    const pieces = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b"',
      '1',
      '-0.5e3',
      '01',
      'true',
      'nul',
      ' ',
      '\n',
      '"\\u00e9"',
      '"\\x"',
      '"\t"',
      '\u00a0',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
        const text = parts.join('');
        expect(readJson(text).syntax === undefined, text).toBe(parses(text));
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ['', 1, 1, 'expected a value, but the text ends'],
    ['{"a": 1,\n  "b" 2}', 2, 7, 'expected ":", but found "2"'],
    ['{"a": 1,}', 1, 9, 'expected a key in double quotes, but found "}"'],
    ['[1 2]', 1, 4, 'expected "," or "]", but found "2"'],
    ['{"a": 1} x', 1, 10, 'expected the end of the text, but found "x"'],
    ['{\n"a": "b\n"}', 2, 6, 'this string does not end, or holds a control character or a wrong escape, but found """'],
    ['\ufeff{}', 1, 1, 'expected a value, but found "\ufeff"'],
  ])('says where %j is wrong', (text, line, column, message) => {
    expect(readJson(text).syntax).toMatchObject({ line, column, message });
  });

  test('reports keys that stand twice, with path, line and column, and keeps the first', () => {
    const { value, problems } = readJson('{"a": {"b": 1,\n "b": 2}, "a": 3}');
    expect(value).toEqual({ a: { b: 1 } });
    expect(problems.map(({ path, line, column }) => [pathText(path), line, column])).toEqual([
      ['a.b', 2, 2],
      ['a', 2, 11],
    ]);
  });

  test('does not let a key reach the prototype', () => {
    const { value, problems } = readJson('{"__proto__": {"polluted": true}, "constructor": 1}');
    expect((value as { polluted?: boolean }).polluted).toBeUndefined();
    expect(Object.keys(value as object)).toEqual(['constructor']);
    expect(problems).toHaveLength(1);
  });

  test('refuses half of a surrogate pair', () => {
    expect(readJson('"\\ud83d\\ude00"').value).toBe('😀');
    expect(readJson('["\\ud83d"]').syntax).toMatchObject({ line: 1, column: 2 });
    expect(readJson('{"\\ude00": 1}').syntax?.message).toContain('half of a surrogate pair');
  });

  test('refuses deep nesting instead of overflowing the stack', () => {
    expect(readJson('['.repeat(60_000)).syntax?.message).toContain('nested deeper than 16 levels');
    expect(readJson(`${'['.repeat(16)}${']'.repeat(16)}`).syntax).toBeUndefined();
  });
});

describe('pathText', () => {
  test.each([
    [['limits', 'output_bytes'], 'limits.output_bytes'],
    [['capabilities', 2], 'capabilities[2]'],
    [['config', 'a b"\n'], 'config["a b"\\u000a"]'],
    [[], ''],
  ])('writes %j as %j', (path, text) => {
    expect(pathText(path)).toBe(text);
  });
});

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

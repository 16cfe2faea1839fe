import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { boundedText, hasControlCharacter, singleLine } from '../../../src/base/text.ts';

const anyText = fc.string({
  unit: fc.oneof(fc.constantFrom('a', 'é', '€', '😀', '\ud800', '\udc00', '\0'), fc.string()),
});

describe('boundedText', () => {
  test('leaves a text that fits as it is', () => {
    expect(boundedText('abc', 3)).toBe('abc');
    expect(boundedText('€', 3)).toBe('€');
    expect(boundedText('', 0)).toBe('');
  });

  test('cuts a text of one byte too many and marks the cut', () => {
    expect(boundedText('abcdef', 5)).toBe('ab…');
    expect(boundedText('€€', 5)).toBe('…');
  });

  test('cuts between characters, also those of several bytes or two units', () => {
    expect(boundedText('a😀😀', 8)).toBe('a😀…');
    expect(boundedText('a😀😀', 7)).toBe('a…');
    expect(boundedText('12345678😀', 9)).toBe('123456…');
  });

  test('replaces lone surrogates, each by one character of three bytes', () => {
    expect(boundedText('a\ud800b', 10)).toBe('a\ufffdb');
    expect(boundedText('\ud800\ud800', 5)).toBe('…');
  });

  test('leaves nothing where not even the mark fits', () => {
    expect(boundedText('abc', 2)).toBe('');
  });

  test('keeps within its bytes, well-formed, and a beginning of the text, for any text', () => {
    fc.assert(
      fc.property(anyText, fc.nat(40), (text, bytesMax) => {
        const bounded = boundedText(text, bytesMax);
        expect(Buffer.byteLength(bounded)).toBeLessThanOrEqual(bytesMax);
        expect(bounded.isWellFormed()).toBe(true);
        const whole = text.toWellFormed();
        if (Buffer.byteLength(whole) <= bytesMax) expect(bounded).toBe(whole);
        else expect(whole.startsWith(bounded.replace(/…$/, ''))).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('gives up no more than one character and the mark', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 3, max: 40 }), (text, bytesMax) => {
        if (Buffer.byteLength(text.toWellFormed()) <= bytesMax) return;
        expect(Buffer.byteLength(boundedText(text, bytesMax))).toBeGreaterThan(bytesMax - 4);
      }),
      { numRuns: 2_000 },
    );
  });

  test('does not look at the whole of a very long text', () => {
    expect(boundedText('x'.repeat(100_000_000), 10)).toBe('xxxxxxx…');
  });
});

describe('singleLine', () => {
  test('writes control characters and line separators as escapes', () => {
    expect(singleLine('a\nb\r\tc\u0000\u007f\u0085\u2028\u2029')).toBe(
      'a\\u000ab\\u000d\\u0009c\\u0000\\u007f\\u0085\\u2028\\u2029',
    );
  });

  test('leaves every other character alone', () => {
    expect(singleLine('Grüße, 世界 😀 \\n')).toBe('Grüße, 世界 😀 \\n');
  });
});

describe('hasControlCharacter', () => {
  test.each(['\u0000', '\n', '\u001f', '\u007f', '\u0080', '\u009f'])('finds %j', (character) => {
    expect(hasControlCharacter(`a${character}b`)).toBe(true);
  });

  test.each(['', ' ', '~', '\u00a0', 'é', '😀'])('finds none in %j', (text) => {
    expect(hasControlCharacter(text)).toBe(false);
  });
});

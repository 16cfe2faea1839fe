import { expect, test } from 'vitest';
import { exactText, shownText } from '../../../src/capabilities/guest-text.ts';

test('shownText makes any bytes well-formed text of at most so many bytes', () => {
  expect(shownText(Buffer.from('grüß'), 6)).toBe('grüß');
  expect(shownText(Buffer.from('grüße'), 6)).toBe('gr…');
  expect(shownText(Uint8Array.of(0xf0, 0x9f, 0x98), 100)).toBe('\ufffd');
  const cut = shownText(Buffer.from('😀'.repeat(10)), 9);
  expect(cut).toBe('😀…');
  expect(Buffer.byteLength(shownText(new Uint8Array(1_000).fill(0xff), 100))).toBeLessThanOrEqual(100);
  expect(shownText(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61), 100)).toBe('\ufeffa');
});

test('exactText is the text, or nothing if the bytes are none', () => {
  expect(exactText(Buffer.from('grüß'))).toBe('grüß');
  expect(exactText(new Uint8Array())).toBe('');
  expect(exactText(Uint8Array.of(0xc3))).toBeUndefined();
  expect(exactText(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe('\ufeffa');
});

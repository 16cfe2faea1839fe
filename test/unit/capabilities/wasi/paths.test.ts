import { describe, expect, test } from 'vitest';
import { nameBytesMax, pathBytesMax, pathDepthMax, plainPath } from '../../../../src/capabilities/wasi/paths.ts';

const plain = (path: string | Uint8Array): string => plainPath(typeof path === 'string' ? Buffer.from(path) : path);

describe('A path', () => {
  test.each([
    ['a', 'a'],
    ['a/b', 'a/b'],
    ['a//b', 'a/b'],
    ['./a/./b', 'a/b'],
    ['a/../b', 'b'],
    ['a/b/../../c', 'c'],
    ['.', './'],
    ['a/', 'a/'],
    ['a/.', 'a/'],
    ['a/b/..', 'a/'],
    ['a/..', './'],
    ['...', '...'],
    ['a..', 'a..'],
    ['.a', '.a'],
    ['ä/\u{1f600}', 'ä/\u{1f600}'],
  ])('%j is made plain as %j', (path, made) => {
    expect(plain(path)).toBe(made);
  });

  test.each([
    ['', 44],
    ['/', 76],
    ['/a', 76],
    ['..', 76],
    ['../a', 76],
    ['a/../../b', 76],
    ['a/../..', 76],
    ['a\0b', 28],
  ])('%j is refused with errno %i', (path, errno) => {
    expect(() => plain(path)).toThrow(expect.objectContaining({ errno }));
  });

  test('that is no UTF-8 is refused', () => {
    expect(() => plain(Uint8Array.of(0x61, 0xff))).toThrow(expect.objectContaining({ errno: 25 }));
  });

  test('may be as long as the bound, and not longer', () => {
    const longest = './'.repeat(pathBytesMax / 2 - 1);
    expect(plain(`${longest}ab`)).toBe('ab');
    expect(() => plain(`${longest}abc`)).toThrow(expect.objectContaining({ errno: 37 }));
  });

  test('may be as deep as the bound, and not deeper', () => {
    const deepest = Array.from({ length: pathDepthMax }, () => 'd').join('/');
    expect(plain(deepest)).toBe(deepest);
    expect(() => plain(`${deepest}/d`)).toThrow(expect.objectContaining({ errno: 37 }));
    expect(plain(`${deepest}/d/..`)).toBe(`${deepest}/`);
  });

  test('may have names as long as the bound, counted as bytes, and not longer', () => {
    const longest = `x${'ä'.repeat((nameBytesMax - 1) / 2)}`;
    expect(plain(longest)).toBe(longest);
    expect(() => plain(`${longest}y`)).toThrow(expect.objectContaining({ errno: 37 }));
  });
});

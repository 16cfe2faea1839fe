import { describe, expect, test } from 'vitest';
import { digestOf, isDigest } from '../../../src/base/digest.ts';

const empty = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const abc = 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';

describe('digestOf', () => {
  test('is the SHA-256 of the bytes', () => {
    expect(digestOf(new Uint8Array())).toBe(empty);
    expect(digestOf(new TextEncoder().encode('abc'))).toBe(abc);
  });

  test('takes the bytes of a view only', () => {
    expect(digestOf(new TextEncoder().encode('xabcx').subarray(1, 4))).toBe(abc);
  });
});

describe('isDigest', () => {
  test('knows a digest', () => {
    expect(isDigest(empty)).toBe(true);
  });

  test.each([
    '',
    empty.slice(0, -1),
    `${empty}0`,
    `${empty}\n`,
    empty.toUpperCase(),
    empty.replace('sha256:', 'sha512:'),
    empty.slice(7),
    empty.replace('e', 'g'),
    ` ${empty}`,
  ])('refuses %j', (text) => {
    expect(isDigest(text)).toBe(false);
  });
});

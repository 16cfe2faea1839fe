import { describe, expect, it } from 'vitest';
import { ByteReader, nameBytesMax } from '../../../src/wasm/reader.ts';
import { ByteWriter } from '../../../src/wasm/writer.ts';
import { bytesOf, problemOf } from './bytes.ts';

function readerOf(...bytes: readonly number[]): ByteReader {
  return new ByteReader(Uint8Array.from(bytes), { start: 0, end: bytes.length }, 'test section');
}

describe('ByteReader', () => {
  it.each([
    [[0x00], 0],
    [[0x7f], 127],
    [[0x80, 0x01], 128],
    [[0xff, 0xff, 0xff, 0xff, 0x0f], 0xffff_ffff],
    [[0x80, 0x80, 0x80, 0x80, 0x08], 0x8000_0000],
    [[0x83, 0x80, 0x80, 0x80, 0x00], 3],
    [[0x83, 0x00], 3],
  ])('reads the unsigned 32-bit integer %j, padded or not', (bytes, value) => {
    const reader = readerOf(...bytes);
    expect(reader.u32()).toBe(value);
    expect(reader.left).toBe(0);
  });

  it.each([[[0xff, 0xff, 0xff, 0xff, 0x1f]], [[0x80, 0x80, 0x80, 0x80, 0x10]], [[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]]])(
    'refuses %j as an unsigned 32-bit integer, at its first byte',
    (bytes) => {
      const reader = readerOf(0x01, ...bytes);
      reader.skip(1);
      expect(problemOf(() => reader.u32())).toEqual({
        reason: 'WASM_INVALID',
        location: 'module+0x1',
        message: 'An integer is longer or greater than 32 bits allow',
      });
    },
  );

  it.each([
    [[0x05], 5],
    [[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], 2 ** 53],
    [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], 2 ** 64],
    [[0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 1],
  ])('reads the unsigned 64-bit integer %j', (bytes, value) => {
    const reader = readerOf(...bytes);
    expect(reader.u64()).toBe(value);
    expect(reader.left).toBe(0);
  });

  it('refuses an unsigned integer of more than 64 bits', () => {
    const reader = readerOf(...Array.from({ length: 9 }, () => 0xff), 0x02);
    expect(problemOf(() => reader.u64()).message).toBe('An integer is longer or greater than 64 bits allow');
  });

  it.each([
    [[0x00], 0],
    [[0x40], -64],
    [[0x3f], 63],
    [[0x7f], -1],
    [[0xc0, 0x7f], -64],
    [[0x80, 0x01], 128],
    [[0xff, 0xff, 0xff, 0xff, 0x0f], 2 ** 32 - 1],
    [[0x80, 0x80, 0x80, 0x80, 0x70], -(2 ** 32)],
  ])('reads the signed 33-bit integer %j', (bytes, value) => {
    const reader = readerOf(...bytes);
    expect(reader.s33()).toBe(value);
    expect(reader.left).toBe(0);
  });

  it.each([[[0xff, 0xff, 0xff, 0xff, 0x1f]], [[0x80, 0x80, 0x80, 0x80, 0x60]], [[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]]])(
    'refuses %j as a signed 33-bit integer',
    (bytes) => {
      expect(problemOf(() => readerOf(...bytes).s33()).message).toMatch(/33 bits/);
    },
  );

  it.each([
    [32, [0x7f]],
    [32, [0x80, 0x80, 0x80, 0x80, 0x78]],
    [32, [0xff, 0xff, 0xff, 0xff, 0x07]],
    [64, [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f]],
    [64, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00]],
  ] as const)('passes over the signed %i-bit integer %j', (bits, bytes) => {
    const reader = readerOf(...bytes, 0x55);
    reader.skipSigned(bits);
    expect(reader.u8()).toBe(0x55);
  });

  it.each([
    [32, [0x80, 0x80, 0x80, 0x80, 0x08]],
    [32, [0x80, 0x80, 0x80, 0x80, 0xf8, 0x00]],
    [64, [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]],
    [64, [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]],
  ] as const)('refuses as a signed %i-bit integer %j', (bits, bytes) => {
    expect(problemOf(() => readerOf(...bytes).skipSigned(bits)).message).toContain(`${bits} bits`);
  });

  it('never reads past its end, though the bytes go on', () => {
    const reader = new ByteReader(Uint8Array.of(1, 0x80, 3, 4), { start: 1, end: 2 }, 'type section');
    expect(problemOf(() => reader.u32())).toEqual({
      reason: 'WASM_INVALID',
      location: 'module+0x2',
      message: 'The type section ends in the middle of an item',
    });
    expect(problemOf(() => readerOf(1, 2).skip(3)).location).toBe('module+0x2');
    expect(problemOf(() => readerOf().peek()).location).toBe('module+0x0');
  });

  it('refuses a count greater than the bytes left before anything is allocated for it', () => {
    const problem = problemOf(() => readerOf(0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0).count('globals'));
    expect(problem.message).toBe('The test section announces 4294967295 globals, but only 2 bytes follow');
    expect(problem.location).toBe('module+0x0');
  });

  it('reads names as UTF-8 and keeps a byte order mark', () => {
    const bytes = bytesOf('größe', '\ufeffx', '');
    const reader = readerOf(...bytes);
    expect([reader.name(), reader.name(), reader.name()]).toEqual(['größe', '\ufeffx', '']);
  });

  it('refuses a name that is not UTF-8, is cut off, or is too long', () => {
    expect(problemOf(() => readerOf(2, 0xc3, 0x28).name()).message).toBe('A name is not valid UTF-8');
    expect(problemOf(() => readerOf(4, 0x61).name()).message).toBe('The test section ends in the middle of an item');
    const long = [...new ByteWriter().unsigned(nameBytesMax + 1).finish(), 0x61];
    expect(problemOf(() => readerOf(...long).name()).message).toContain('at most 100000');
  });

  it('finds bytes that nobody read', () => {
    const reader = readerOf(1, 2, 3);
    reader.skip(1);
    expect(problemOf(() => reader.expectEnd()).message).toBe('The test section has 2 bytes too many');
  });
});

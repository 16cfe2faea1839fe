import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../src/wasm/reader.ts';
import { ByteWriter } from '../../../src/wasm/writer.ts';

function readBack(writer: ByteWriter): ByteReader {
  const bytes = writer.finish();
  return new ByteReader(bytes, { start: 0, end: bytes.length }, 'bytes');
}

describe('ByteWriter', () => {
  it('writes unsigned integers that the reader reads back', () => {
    fc.assert(
      fc.property(fc.nat(0xffff_ffff), fc.maxSafeNat(), (small, great) => {
        const reader = readBack(new ByteWriter().unsigned(small).unsigned(great));
        expect([reader.u32(), reader.u64(), reader.left]).toEqual([small, great, 0]);
      }),
    );
  });

  it('writes signed integers as short as can be', () => {
    const bytesOf = (value: number): readonly number[] => [...new ByteWriter().signed(value).finish()];
    expect(bytesOf(63)).toEqual([0x3f]);
    expect(bytesOf(64)).toEqual([0xc0, 0x00]);
    expect(bytesOf(-64)).toEqual([0x40]);
    expect(bytesOf(-(2 ** 53))).toEqual([...Array.from({ length: 7 }, () => 0x80), 0x70]);
  });

  it('writes signed integers that the reader reads back', () => {
    fc.assert(
      fc.property(fc.integer({ min: -(2 ** 32), max: 2 ** 32 - 1 }), (value) => {
        const reader = readBack(new ByteWriter().signed(value));
        expect([reader.s33(), reader.left]).toEqual([value, 0]);
      }),
    );
  });

  it('writes names, vectors and sections with their lengths', () => {
    const writer = new ByteWriter().name('é').vector([1, 2], (item, to) => to.u8(item, item));
    writer.section(11, (content) => content.u8(9, 9, 9));
    expect([...writer.finish()]).toEqual([2, 0xc3, 0xa9, 2, 1, 1, 2, 2, 11, 3, 9, 9, 9]);
  });

  it('grows beyond its first buffer', () => {
    const writer = new ByteWriter();
    for (let count = 0; count < 1_000; count++) writer.u8(count % 256);
    writer.bytes(new Uint8Array(100_000).fill(7));
    expect(writer.length).toBe(101_000);
    expect(writer.finish()[999]).toBe(999 % 256);
    expect(writer.finish()[100_999]).toBe(7);
  });
});

import { describe, expect, it } from 'vitest';
import { functionNameBytesMax, functionNameOf, functionNamesMax, readFunctionNames } from '../../../src/wasm/names.ts';
import { ByteReader } from '../../../src/wasm/reader.ts';
import { ByteWriter } from '../../../src/wasm/writer.ts';
import { bytesOf, type Part } from './bytes.ts';

function namesOf(...content: readonly Part[]): ReturnType<typeof readFunctionNames> {
  const bytes = bytesOf(...content);
  return readFunctionNames(new ByteReader(bytes, { start: 0, end: bytes.length }, 'custom section'));
}

function functionNames(...content: readonly Part[]): Part {
  return [1, new ByteWriter().sized(bytesOf(...content)).finish()];
}

describe('readFunctionNames', () => {
  it('finds the names of functions behind other names', () => {
    const names = namesOf([0, 2, 'm'], functionNames(3, [0, 'zero'], [2, 'twö'], [0x80, 0x01, 'far']), [2, 1, 0]);
    expect([0, 1, 2, 128].map((index) => functionNameOf(names, index))).toEqual(['zero', undefined, 'twö', 'far']);
  });

  it('keeps what stands before damage', () => {
    const damaged = [
      functionNames(3, [0, 'zero'], [1, 9, 0x61]),
      functionNames(3, [0, 'zero'], [0, 'again'], [1, 'one']),
      functionNames(2, [0, 'zero'], 5),
      [1, 0x7f, 1, [0, 'zero']],
    ];
    for (const content of damaged) {
      const names = namesOf(content);
      expect(functionNameOf(names, 0)).toBe('zero');
      expect(functionNameOf(names, 1)).toBeUndefined();
    }
  });

  it.each<[string, Part]>([
    ['nothing', []],
    ['other names only', [2, 1, 0]],
    ['a subsection that is cut off', [0, 9, 1]],
    ['a number of names that is not there', functionNames(9)],
    ['an endless size', [1, 0xff, 0xff, 0xff, 0xff, 0xff]],
  ])('finds no names in %s', (_, content) => {
    expect(namesOf(content).indices).toHaveLength(0);
  });

  it('cuts long names and makes them well-formed', () => {
    const names = namesOf(functionNames(2, [0, 'n'.repeat(5_000)], [1, 2, 0xff, 0x41]));
    expect(functionNameOf(names, 0)).toBe('n'.repeat(functionNameBytesMax));
    expect(functionNameOf(names, 1)).toBe('\ufffdA');
  });

  it('keeps no more names than it may', () => {
    const writer = new ByteWriter().unsigned(functionNamesMax + 1);
    for (let index = 0; index <= functionNamesMax; index++) writer.unsigned(index).u8(1, 0x61);
    const names = namesOf(functionNames(writer.finish()));
    expect(names.indices).toHaveLength(functionNamesMax);
    expect(functionNameOf(names, functionNamesMax - 1)).toBe('a');
  });
});

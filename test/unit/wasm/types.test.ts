import { describe, expect, it } from 'vitest';
import { ByteReader } from '../../../src/wasm/reader.ts';
import {
  type CompositeType,
  createContext,
  type DecodeContext,
  type ExternType,
  isNullable,
  limitsFlags,
  readBlockType,
  readHeapType,
  readLimits,
  readTypeEntry,
  readValueType,
  typeText,
  valueTypesMax,
} from '../../../src/wasm/types.ts';
import { bytesOf, type Part, problemOf } from './bytes.ts';

function decode<T>(
  read: (reader: ByteReader, context: DecodeContext) => T,
  ...parts: readonly Part[]
): { value: T; features: readonly string[]; left: number } {
  const bytes = bytesOf(...parts);
  const reader = new ByteReader(bytes, { start: 0, end: bytes.length }, 'type section');
  const context = createContext();
  const value = read(reader, context);
  return { value, features: [...context.features].toSorted(), left: reader.left };
}

function decodeEntry(...parts: readonly Part[]): { members: readonly CompositeType[]; features: readonly string[] } {
  const members: CompositeType[] = [];
  const { features } = decode((reader, context) => readTypeEntry(reader, context, members), ...parts);
  return { members, features };
}

describe('readValueType', () => {
  it.each([
    [[0x7f], 'i32', []],
    [[0x7e], 'i64', []],
    [[0x7d], 'f32', []],
    [[0x7c], 'f64', []],
    [[0x7b], 'v128', ['simd']],
    [[0x70], 'funcref', []],
    [[0x6f], 'externref', ['reference-types']],
    [[0x6e], 'anyref', ['gc']],
    [[0x69], 'exnref', ['exception-handling']],
    [[0x73], 'nullfuncref', ['gc']],
    [[0x63, 0x70], 'funcref', ['typed-references']],
    [[0x64, 0x70], '(ref func)', ['typed-references']],
    [[0x63, 0x05], '(ref null 5)', ['typed-references']],
    [[0x64, 0x80, 0x01], '(ref 128)', ['typed-references']],
    [[0x64, 0x6b], '(ref struct)', ['gc', 'typed-references']],
  ])('reads %j as %s', (bytes, text, features) => {
    expect(decode(readValueType, bytes)).toEqual({ value: text, features, left: 0 });
  });

  it.each([0x00, 0x40, 0x60, 0x67, 0x68, 0x75, 0x78, 0xff])('refuses the byte %i', (byte) => {
    expect(problemOf(() => decode(readValueType, byte, 0))).toMatchObject({
      reason: 'WASM_INVALID',
      location: 'module+0x0',
    });
  });

  it('refuses heap types that do not exist', () => {
    expect(problemOf(() => decode(readHeapType, 0x40)).message).toBe('Unknown heap type');
    expect(problemOf(() => decode(readHeapType, [0x80, 0x7e])).message).toBe('Unknown heap type');
  });
});

describe('readBlockType', () => {
  it.each([
    ['empty', [0x40], -1, []],
    ['empty, in two bytes', [0xc0, 0x7f], -1, []],
    ['a value type', [0x7f], -1, []],
    ['a long reference', [0x63, 3], -1, ['typed-references']],
    ['an index', [0xc0, 0x00], 64, ['multi-value']],
  ])('reads %s', (_, bytes, index, features) => {
    expect(decode(readBlockType, bytes)).toEqual({ value: index, features, left: 0 });
  });

  it('refuses a negative number that is no type', () => {
    expect(problemOf(() => decode(readBlockType, [0xbf, 0x7f])).message).toBe('Unknown block type');
  });
});

describe('readTypeEntry', () => {
  it('reads a function type', () => {
    expect(decodeEntry(0x60, [2, 0x7f, 0x6f], [2, 0x7e, 0x7c])).toEqual({
      members: [{ kind: 'function', parameters: ['i32', 'externref'], results: ['i64', 'f64'] }],
      features: ['multi-value', 'reference-types'],
    });
  });

  it('reads structs and arrays with packed fields', () => {
    expect(decodeEntry(0x5f, 2, [0x78, 0], [0x64, 1, 1]).members).toEqual([{ kind: 'struct', fields: 2 }]);
    expect(decodeEntry(0x5e, 0x77, 1)).toEqual({ members: [{ kind: 'array', elementBytes: 2 }], features: ['gc'] });
  });

  it('resolves a group into its members and marks its functions', () => {
    const group = decodeEntry(0x4e, 2, [0x60, 0, 0], [0x50, 1, 0, 0x5f, 0]);
    expect(group.members).toEqual([
      { kind: 'function', parameters: [], results: [], grouped: true },
      { kind: 'struct', fields: 0 },
    ]);
  });

  it('marks functions that take part in a hierarchy, but not a group or a final type that stand alone', () => {
    const marks = [
      decodeEntry(0x50, 0, 0x60, 0, 0),
      decodeEntry(0x4f, 1, 0, 0x60, 0, 0),
      decodeEntry(0x4f, 0, 0x60, 0, 0),
      decodeEntry(0x4e, 1, 0x60, 0, 0),
    ].map(({ members: [member] }) => member?.kind === 'function' && member.grouped === true);
    expect(marks).toEqual([true, true, false, false]);
  });

  it.each([
    ['a continuation', [0x5d, 0]],
    ['a shared type', [0x65, 0x5f, 0]],
    ['a group within a group', [0x4e, 1, 0x4e, 1, 0x60, 0, 0]],
    ['a function with a packed parameter', [0x60, 1, 0x78, 0]],
    ['a field of unknown mutability', [0x5e, 0x7f, 2]],
  ])('refuses %s', (_, bytes) => {
    expect(problemOf(() => decodeEntry(bytes)).reason).toBe('WASM_INVALID');
  });

  it('bounds the values that all types together list', () => {
    const context = { ...createContext(), valueTypes: valueTypesMax - 1 };
    const read = (...bytes: readonly number[]): number => {
      const reader = new ByteReader(Uint8Array.from(bytes), { start: 0, end: bytes.length }, 'type section');
      const members: CompositeType[] = [];
      readTypeEntry(reader, context, members);
      return members.length;
    };
    expect(read(0x60, 1, 0x7f, 0)).toBe(1);
    expect(problemOf(() => read(0x60, 1, 0x7f, 0)).reason).toBe('WASM_OVER_LIMIT');
  });
});

describe('readLimits', () => {
  const all = limitsFlags.max | limitsFlags.shared | limitsFlags.is64 | limitsFlags.pageSize;
  const read = (reader: ByteReader, context: DecodeContext): ReturnType<typeof readLimits> =>
    readLimits(reader, context, all);

  it('reads minimum and maximum, of 64 bits, and page sizes', () => {
    expect(decode(read, 0, 5).value).toMatchObject({ min: 5, max: undefined, pageBytes: 65_536 });
    expect(decode(read, 3, 5, 6).value).toMatchObject({ flags: 3, min: 5, max: 6 });
    const wide = decode(read, 5, [0x80, 0x80, 0x80, 0x80, 0x80, 0x01], [0x80, 0x80, 0x80, 0x80, 0x80, 0x02]);
    expect(wide).toMatchObject({ value: { min: 2 ** 35, max: 2 ** 36 }, features: ['memory64'] });
    expect(decode(read, 8, 5, 0).value).toMatchObject({ min: 5, pageBytes: 1 });
  });

  it('refuses flags that the kind does not have, and limits that contradict themselves', () => {
    const tableLimits = (reader: ByteReader, context: DecodeContext): unknown =>
      readLimits(reader, context, limitsFlags.max | limitsFlags.is64);
    expect(problemOf(() => decode(tableLimits, 3, 1, 1)).message).toBe('Unknown limits flags 0x3');
    expect(problemOf(() => decode(read, 0x10, 1)).message).toBe('Unknown limits flags 0x10');
    expect(problemOf(() => decode(read, 1, 2, 1)).message).toBe('The maximum 1 is less than the minimum 2');
    expect(problemOf(() => decode(read, 8, 1, 17)).message).toContain('at most 2^16');
  });
});

describe('typeText', () => {
  const memory = { kind: 'memory', minPages: 1, is64: false, shared: false, pageBytes: 65_536 } as const;
  const table = { kind: 'table', min: 1, is64: false, elementType: 'funcref' } as const;

  it.each<[string, ExternType]>([
    ['(func)', { kind: 'function', parameters: [], results: [] }],
    ['(func (param i32 i64) (result f32))', { kind: 'function', parameters: ['i32', 'i64'], results: ['f32'] }],
    ['(memory 1)', memory],
    ['(memory i64 1 2 shared)', { ...memory, maxPages: 2, is64: true, shared: true }],
    ['(memory 1 (pagesize 1))', { ...memory, pageBytes: 1 }],
    ['(table 1 funcref)', table],
    ['(table i64 1 9 (ref null 3))', { ...table, max: 9, is64: true, elementType: '(ref null 3)' }],
    ['(global i32)', { kind: 'global', valueType: 'i32', mutable: false }],
    ['(global (mut externref))', { kind: 'global', valueType: 'externref', mutable: true }],
    ['(tag (param i64))', { kind: 'tag', parameters: ['i64'] }],
  ])('writes %s', (text, type) => {
    expect(typeText(type)).toBe(text);
  });
});

describe('isNullable', () => {
  it('tells references that can be null', () => {
    expect(['funcref', '(ref null 3)', 'nullref', '(ref 3)', '(ref func)'].map(isNullable)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
  });
});

import { describe, expect, it } from 'vitest';
import { inspectModule } from '../../../src/wasm/inspect.ts';
import { InstructionReader, skipConstantExpression, walkBody } from '../../../src/wasm/instructions.ts';
import { WasmError } from '../../../src/wasm/problem.ts';
import { ByteReader } from '../../../src/wasm/reader.ts';
import { createContext } from '../../../src/wasm/types.ts';
import { ByteWriter } from '../../../src/wasm/writer.ts';
import { bytesOf, moduleOf, type Part, problemOf, section } from './bytes.ts';

function readerOf(...parts: readonly Part[]): InstructionReader {
  const bytes = bytesOf(...parts);
  const range = new ByteReader(bytes, { start: 0, end: bytes.length }, 'function body');
  return new InstructionReader(range, createContext());
}

interface Seen {
  readonly opcode: number;
  readonly start: number;
  readonly immediates: readonly [start: number, end: number];
  readonly index: number;
}

function readAll(reader: InstructionReader): readonly Seen[] {
  const seen: Seen[] = [];
  while (reader.next()) {
    const { opcode, start, immediatesStart, index } = reader;
    seen.push({ opcode, start, immediates: [immediatesStart, reader.bytes.offset], index });
  }
  return seen;
}

function one(...parts: readonly Part[]): Seen & { readonly second: number } {
  const reader = readerOf(...parts);
  const [first, ...others] = readAll(reader);
  if (first === undefined || others.length > 0) throw new Error('Expected one instruction');
  return { ...first, second: reader.secondIndex };
}

describe('InstructionReader', () => {
  it('gives opcode, place and immediates of each instruction', () => {
    expect(readAll(readerOf(0x20, [0x85, 0x00], [0x41, 0x7f], 0x6a, [0xfc, 0x0a, 1, 2], [0xfd, 0x80, 0x02]))).toEqual([
      { opcode: 0x20, start: 0, immediates: [1, 3], index: 5 },
      { opcode: 0x41, start: 3, immediates: [4, 5], index: 5 },
      { opcode: 0x6a, start: 5, immediates: [6, 6], index: 5 },
      { opcode: 0xfc00a, start: 6, immediates: [8, 10], index: 1 },
      { opcode: 0xfd100, start: 10, immediates: [13, 13], index: 1 },
    ]);
  });

  it.each<[string, readonly Part[], Partial<ReturnType<typeof one>>]>([
    ['a call', [0x10, 0x81, 0x01], { opcode: 0x10, index: 129 }],
    ['call_indirect', [0x11, 3, 1], { index: 3, second: 1 }],
    ['a block of a type index', [0x02, 5], { index: 5 }],
    ['a block of a value type', [0x02, 0x7f], { index: -1 }],
    ['a load', [0x28, 2, 0x10], { index: 0 }],
    ['a load of another memory', [0x28, 0x42, 3, 0x10], { index: 3 }],
    ['a load at a 64-bit offset', [0x28, 2, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01], { immediates: [1, 8] }],
    ['br_table', [0x0e, 2, 0, 1, 0x80, 0x01], { index: 2, immediates: [1, 6] }],
    ['f64.const', [0x44, 1, 2, 3, 4, 5, 6, 7, 8], { immediates: [1, 9] }],
    ['i64.const', [0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f], { immediates: [1, 11] }],
    ['v128.const', [0xfd, 0x0c, new Uint8Array(16)], { opcode: 0xfd00c, immediates: [2, 18] }],
    ['v128.load8_lane', [0xfd, 0x54, 0x40, 1, 0, 15], { index: 1, immediates: [2, 6] }],
    ['select with a type', [0x1c, 1, 0x63, 4], { immediates: [1, 4] }],
    ['ref.null', [0xd0, 0x6f], { immediates: [1, 2] }],
    ['ref.cast', [0xfb, 23, 0x80, 0x01], { opcode: 0xfb017, immediates: [2, 4] }],
    ['br_on_cast', [0xfb, 24, 3, 1, 0x6e, 4], { index: 1, immediates: [2, 6] }],
    ['try_table', [0x1f, 0x40, 4, [0, 7, 1], [1, 7, 1], [2, 1], [3, 1]], { index: 4, immediates: [1, 13] }],
    ['struct.get', [0xfb, 2, 6, 1], { index: 6, second: 1 }],
    ['atomic.fence', [0xfe, 3, 0], { opcode: 0xfe003, immediates: [2, 3] }],
    ['an atomic load', [0xfe, 0x10, 2, 8], { opcode: 0xfe010, immediates: [2, 4] }],
    ['a padded sub-opcode', [0xfc, 0x8b, 0x80, 0x00, 0], { opcode: 0xfc00b, immediates: [4, 5] }],
  ])('reads %s', (_, parts, expected) => {
    expect(one(...parts)).toMatchObject({ start: 0, ...expected });
  });

  it('notes the features of what it read', () => {
    const reader = readerOf(0xc0, [0xfc, 0], [0xfe, 3, 0], [0x12, 0]);
    readAll(reader);
    expect([...reader.context.features]).toEqual([]);
    reader.noteFeatures();
    expect([...reader.context.features].toSorted()).toEqual([
      'nontrapping-fptoint',
      'sign-ext',
      'tail-call',
      'threads',
    ]);
  });

  it.each<[string, readonly Part[]]>([
    ['an unknown opcode', [0x27]],
    ['an unknown sub-opcode', [0xfc, 0x12]],
    ['a sub-opcode beyond every table', [0xfd, 0xff, 0xff, 0x7f]],
    ['a select of two types', [0x1c, 2, 0x7f, 0x7f]],
    ['a catch clause of an unknown kind', [0x1f, 0x40, 1, 4, 0]],
    ['immediates that are cut off', [0x44, 1, 2]],
    ['more branch targets than bytes', [0x0e, 0xff, 0xff, 0x03, 0]],
  ])('refuses %s', (_, parts) => {
    expect(problemOf(() => readAll(readerOf(...parts))).reason).toBe('WASM_INVALID');
  });

  it('names an unknown instruction and its place', () => {
    expect(problemOf(() => readAll(readerOf(0x01, 0xfd, 0xa0, 0x02)))).toEqual({
      reason: 'WASM_INVALID',
      location: 'module+0x1',
      message: 'Unknown instruction 0xfd 0x120: build without the proposal that it belongs to',
    });
  });
});

describe('walkBody', () => {
  it.each<[string, readonly Part[]]>([
    ['an empty body', [0x0b]],
    ['nested blocks', [[0x02, 0x40], [0x03, 0x40], [0x04, 0x40], 0x05, 0x0b, 0x0b, 0x0b, 0x0b]],
    ['a delegated try', [[0x06, 0x40], [0x18, 0], 0x0b]],
    ['a try_table', [[0x1f, 0x40, 0], 0x0b, 0x0b]],
  ])('accepts %s', (_, parts) => {
    const reader = readerOf(...parts);
    walkBody(reader);
    expect(reader.bytes.left).toBe(0);
  });

  it.each<[string, readonly Part[], RegExp]>([
    ['no instructions', [], /ends inside a block/],
    ['a block left open', [[0x02, 0x40], 0x0b], /ends inside a block/],
    ['a body that ends in delegate', [[0x18, 0]], /ends inside a block/],
    ['instructions after the end', [0x0b, 0x01, 0x0b], /follow the end/],
  ])('refuses %s', (_, parts, message) => {
    expect(problemOf(() => walkBody(readerOf(...parts))).message).toMatch(message);
  });
});

describe('skipConstantExpression', () => {
  it('stops behind the end and notes extended constants', () => {
    const reader = readerOf([0x41, 0x0b], [0x41, 1], 0x6a, 0x0b, 0xff);
    skipConstantExpression(reader);
    expect(reader.bytes.offset).toBe(6);
    expect([...reader.context.features]).toEqual(['extended-const']);
  });

  it('refuses an expression that does not end', () => {
    expect(problemOf(() => skipConstantExpression(readerOf(0x41, 1))).message).toMatch(/does not end/);
  });
});

/** One function of type () -> () whose body is the code, in a module that has one of everything that code can name. */
function moduleAround(code: readonly Part[]): Uint8Array<ArrayBuffer> {
  const mutableFunctions = [0x5e, 0x70, 1];
  const mutableBytes = [0x5e, 0x78, 1];
  const packedStruct = [0x5f, 1, 0x78, 1];
  const types = [[0x60, 0, 0], [0x5f, 1, 0x7f, 1], [0x5e, 0x7f, 1], [0x60, 1, 0x7f, 1, 0x7f], mutableFunctions];
  const inner = bytesOf([1, 4, 0x7f], 0x00, code, 0x0b);
  return moduleOf(
    section('type', 7, types, mutableBytes, packedStruct),
    section('function', 2, 0, 3),
    section('table', 1, [0x70, 0, 10]),
    section('memory', 2, [0, 1], [0, 1]),
    section('tag', 1, [0, 0]),
    section('global', 1, [0x7f, 1, 0x41, 0, 0x0b]),
    section('export', 1, ['f', 0, 0]),
    section('element', 1, [1, 0, 1, 0]),
    section('dataCount', 1),
    section('code', 2, inner.length, inner, [4, 0, 0x41, 0, 0x0b]),
    section('data', 1, [1, 0]),
  );
}

const unknownByV8 = /(?:invalid|unknown).*opcode.*@\+(\d+)$/i;
const unknownByUs = /Unknown instruction .*module\+(0x[0-9a-f]+)/;

function messageOf(run: () => unknown): string {
  try {
    run();
    return '';
  } catch (error) {
    if (error instanceof WasmError || error instanceof WebAssembly.CompileError) return error.message;
    throw error;
  }
}

/** Where the first opcode is that is no instruction: by V8 and by the decoder. Undefined if V8 stops for another reason. */
function firstUnknown(code: readonly Part[]): { readonly v8: number; readonly ours: number } | undefined {
  const module = moduleAround(code);
  const v8 = unknownByV8.exec(messageOf(() => new WebAssembly.Module(module)))?.[1];
  if (v8 === undefined) return undefined;
  return { v8: Number(v8), ours: Number(unknownByUs.exec(messageOf(() => inspectModule(module)))?.[1]) };
}

/** Not an instruction: V8 says where it met it, which is where the instruction before it ended. */
const sentinel = [0xff, 0xff];

function immediatesToTry(): readonly (readonly Part[])[] {
  const pairs = [0, 1, 2, 3, 4, 5, 6, 0x70].flatMap((first) => [0, 1, 2, 0x70].map((second) => [first, second, 0]));
  return [...pairs, [new Uint8Array(14)], [new Uint8Array(19)], [0x7f, 0, 0x6e, 0x6d]];
}

function allOpcodes(): readonly (readonly number[])[] {
  const plain = Array.from({ length: 0x100 }, (_, code) => [code]).filter(([code = 0]) => code < 0xfb || code > 0xfe);
  const prefixed = Object.entries({ 0xfb: 0x40, 0xfc: 0x40, 0xfd: 0x130, 0xfe: 0x60 }).flatMap(([prefix, count]) =>
    Array.from({ length: count }, (_, code) => [Number(prefix), ...new ByteWriter().unsigned(code).finish()]),
  );
  return [...plain, ...prefixed];
}

describe('the table of opcodes', () => {
  it('agrees with V8 on what is an instruction and where it ends', () => {
    const candidates = immediatesToTry();
    const unsettled: string[] = [];
    for (const opcode of allOpcodes()) {
      let agreements = 0;
      for (const immediates of candidates) {
        const found = firstUnknown([opcode, immediates, sentinel]);
        if (found === undefined) continue;
        if (found.v8 !== found.ours)
          expect.fail(
            `opcode ${JSON.stringify(opcode)} with ${immediates.map(String).join()}: ${JSON.stringify(found)}`,
          );
        agreements++;
      }
      if (agreements === 0) unsettled.push(opcode.map((byte) => byte.toString(16)).join(' '));
    }
    // These need a block of a certain kind around them; they follow below.
    expect(unsettled).toEqual(['5', '7', '9', 'b', '18', '19', 'fb 18', 'fb 19']);
  }, 60_000);

  it.each<[string, readonly Part[]]>([
    ['else', [[0x04, 0x40], 0x05]],
    [
      'catch and rethrow',
      [
        [0x06, 0x40],
        [0x07, 0],
        [0x09, 0],
      ],
    ],
    ['catch_all', [[0x06, 0x40], 0x19]],
    [
      'delegate',
      [
        [0x06, 0x40],
        [0x18, 0],
      ],
    ],
    ['end', [[0x02, 0x40], 0x0b]],
    ['br_on_cast', [[0x02, 0x6e], 0x00, [0xfb, 24, 3, 0, 0x6e, 0x6c]]],
    ['br_on_cast_fail', [[0x02, 0x6e], 0x00, [0xfb, 25, 3, 0, 0x6e, 2]]],
    [
      'try_table',
      [
        [0x02, 0x40],
        [0x1f, 0x40, 2, [0, 0, 0], [2, 0]],
      ],
    ],
  ])('agrees with V8 on %s', (_, code) => {
    const found = firstUnknown([code, sentinel]);
    expect(found).toBeDefined();
    expect(found?.ours).toBe(found?.v8);
  });
});

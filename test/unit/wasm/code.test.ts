import { describe, expect, it } from 'vitest';
import { localsMax, readBody, scanCode } from '../../../src/wasm/code.ts';
import { InstructionReader } from '../../../src/wasm/instructions.ts';
import { ByteReader } from '../../../src/wasm/reader.ts';
import { createContext } from '../../../src/wasm/types.ts';
import { ByteWriter } from '../../../src/wasm/writer.ts';
import { body, bytesOf, type Part, problemOf } from './bytes.ts';

function codeSection(...parts: readonly Part[]): ByteReader {
  const bytes = bytesOf(...parts);
  return new ByteReader(bytes, { start: 0, end: bytes.length }, 'code section');
}

describe('scanCode', () => {
  it('gives the greatest measures of all bodies', () => {
    const switching = body([0x20, 0], [0x0e, 3, 0, 0, 0, 0]);
    const withLocals = [7, 2, [3, 0x7f], [4, 0x7b], 0x01, 0x0b];
    const context = createContext();
    expect(scanCode(codeSection(3, body(), switching, withLocals), context, 3)).toEqual({
      bodies: 3,
      localsMax: 7,
      bodyBytesMax: 10,
      branchTargetsMax: 3,
    });
    expect([...context.features]).toEqual(['simd']);
  });

  it('does not let a body reach into the next', () => {
    const problem = problemOf(() => scanCode(codeSection(2, [2, 0, 0x41], body()), createContext(), 2));
    expect(problem.message).toBe('The function body ends in the middle of an item');
    expect(problem.location).toBe('module+0x4');
  });

  it('accepts as many locals as V8 and not one more', () => {
    const scan = (count: number): unknown => {
      const group = new ByteWriter().unsigned(count).finish();
      const bytes = bytesOf(2, [1, 0x7f], group, 0x7e, 0x0b);
      return scanCode(codeSection(1, bytes.length, bytes), createContext(), 1);
    };
    expect(scan(localsMax - 1)).toMatchObject({ localsMax });
    expect(problemOf(() => scan(localsMax))).toMatchObject({ reason: 'WASM_OVER_LIMIT', location: 'module+0x5' });
  });
});

describe('readBody', () => {
  it('leads an instruction reader to each body', () => {
    const section = codeSection(body(0x01), [5, 1, [2, 0x7f], 0x00, 0x0b]);
    const opcodes = [1, 2].map(() => {
      const { codeStart, end } = readBody(section, createContext());
      const range = new ByteReader(section.bytes, { start: codeStart, end }, 'function body');
      const instructions = new InstructionReader(range, createContext());
      const seen: number[] = [];
      while (instructions.next()) seen.push(instructions.opcode);
      return seen;
    });
    expect(opcodes).toEqual([
      [0x01, 0x0b],
      [0x00, 0x0b],
    ]);
    expect(section.left).toBe(0);
  });
});

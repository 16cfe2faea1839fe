/**
 * Copies instructions of the host module and puts in the place of each index the
 * one that it has in the merged module. It knows where indices stand and of what
 * they are, and refuses instructions of which it does not.
 */

import { InstructionReader } from '../instructions.ts';
import { immediates, plainTable, prefixedTables, prefixFirst } from '../opcodes.ts';
import { ByteReader } from '../reader.ts';
import { createContext } from '../types.ts';
import type { ByteWriter } from '../writer.ts';

export type IndexSpace = 'type' | 'function' | 'table' | 'memory' | 'global' | 'element' | 'data';

/** The index in the merged module of something of the host module. */
export type Moved = (space: IndexSpace, index: number) => number;

/** What the index of an instruction is of, or its two; labels and locals stay as they are. */
const spaces = new Map<number, readonly IndexSpace[]>([
  [0x10, ['function']], // call
  [0x11, ['type', 'table']], // call_indirect
  [0x12, ['function']], // return_call
  [0x13, ['type', 'table']], // return_call_indirect
  [0x23, ['global']], // global.get
  [0x24, ['global']], // global.set
  [0x25, ['table']], // table.get
  [0x26, ['table']], // table.set
  [0x3f, ['memory']], // memory.size
  [0x40, ['memory']], // memory.grow
  [0xd2, ['function']], // ref.func
  [0xfc008, ['data', 'memory']], // memory.init
  [0xfc009, ['data']], // data.drop
  [0xfc00a, ['memory', 'memory']], // memory.copy
  [0xfc00b, ['memory']], // memory.fill
  [0xfc00c, ['element', 'table']], // table.init
  [0xfc00d, ['element']], // elem.drop
  [0xfc00e, ['table', 'table']], // table.copy
  [0xfc00f, ['table']], // table.grow
  [0xfc010, ['table']], // table.size
  [0xfc011, ['table']], // table.fill
]);
/** br, br_if, and local.get, local.set, local.tee. */
const unmoved: readonly number[] = [0x0c, 0x0d, 0x20, 0x21, 0x22];

/** Forms of immediates that hold no index of the module. */
const plainForms: readonly number[] = [
  immediates.none,
  immediates.branchTable,
  immediates.i32,
  immediates.i64,
  immediates.f32,
  immediates.f64,
  immediates.types,
  immediates.bytes16,
  immediates.byte,
];

const memoryIndexBit = 0x40;
const end = 0x0b;

export class HostCopier {
  readonly #bytes: Uint8Array;
  readonly #moved: Moved;

  constructor(bytes: Uint8Array, moved: Moved) {
    this.#bytes = bytes;
    this.#moved = moved;
  }

  /** Copies the instructions between two places. */
  copyCode(from: number, upTo: number, to: ByteWriter): void {
    const instructions = this.#open(from, upTo);
    while (instructions.next()) this.#copy(instructions, to);
  }

  /** Copies the constant expression at the reader's offset and moves the reader behind it. */
  copyExpression(reader: ByteReader, to: ByteWriter): void {
    const instructions = this.#open(reader.offset, reader.end);
    do {
      if (!instructions.next()) refuse('A constant expression of the host module does not end');
      this.#copy(instructions, to);
    } while (instructions.opcode !== end);
    reader.offset = instructions.bytes.offset;
  }

  #open(start: number, upTo: number): InstructionReader {
    const range = new ByteReader(this.#bytes, { start, end: upTo }, 'code of the host module');
    return new InstructionReader(range, createContext());
  }

  #copy(instruction: InstructionReader, to: ByteWriter): void {
    const { opcode, start, immediatesStart, bytes } = instruction;
    const form = formOf(opcode);
    if (plainForms.includes(form) || unmoved.includes(opcode)) {
      to.copy(this.#bytes, start, bytes.offset);
      return;
    }
    to.copy(this.#bytes, start, immediatesStart);
    this.#copyImmediates(instruction, form, to);
  }

  #copyImmediates(instruction: InstructionReader, form: number, to: ByteWriter): void {
    const { index, secondIndex, immediatesStart, bytes } = instruction;
    switch (form) {
      case immediates.index:
      case immediates.indexPair:
        return this.#copyIndices(instruction.opcode, [index, secondIndex], to);
      case immediates.memory:
      case immediates.memoryLane:
        return this.#copyMemory(immediatesStart, bytes.offset, to);
      case immediates.blockType:
        if (index < 0) to.copy(this.#bytes, immediatesStart, bytes.offset);
        else to.signed(this.#moved('type', index));
        return;
      case immediates.heapType:
        return this.#copyHeapType(immediatesStart, bytes.offset, to);
      default:
        refuse(`The host module has an instruction 0x${instruction.opcode.toString(16)} that cannot be merged`);
    }
  }

  #copyIndices(opcode: number, indices: readonly [number, number], to: ByteWriter): void {
    const of = spaces.get(opcode) ?? refuse(`The host module has an index of unknown kind, 0x${opcode.toString(16)}`);
    for (const [place, space] of of.entries()) to.unsigned(this.#moved(space, indices[place] as number));
  }

  /** An abstract type is one byte, less than 0. */
  #copyHeapType(start: number, upTo: number, to: ByteWriter): void {
    const code = this.#bytes[start] as number;
    if (upTo !== start + 1 || (code & 0x40) === 0) refuse('The host module refers to a type of its own');
    to.byte(code);
  }

  #copyMemory(start: number, upTo: number, to: ByteWriter): void {
    const reader = new ByteReader(this.#bytes, { start, end: upTo }, 'code of the host module');
    const alignment = reader.u32();
    const moved = this.#moved('memory', (alignment & memoryIndexBit) === 0 ? 0 : reader.u32());
    if (moved === 0) to.unsigned(alignment & ~memoryIndexBit);
    else to.unsigned(alignment | memoryIndexBit).unsigned(moved);
    to.copy(this.#bytes, reader.offset, upTo);
  }
}

function formOf(opcode: number): number {
  if (opcode <= 0xff) return plainTable.forms[opcode] as number;
  return prefixedTables[(opcode >> 12) - prefixFirst]?.forms[opcode & 0xfff] as number;
}

function refuse(message: string): never {
  throw new TypeError(message);
}

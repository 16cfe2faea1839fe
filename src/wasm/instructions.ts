/**
 * Walks over instructions, one at a time, without building anything per
 * instruction: the reader itself holds what the last one was. It knows forms,
 * not meaning; whether a body is well-typed is left to V8.
 */

import { type FeatureName, featureNames } from './features.ts';
import { immediates, opcodes, plainTable, prefixedTables, prefixFirst, prefixLast } from './opcodes.ts';
import type { ByteReader } from './reader.ts';
import { type DecodeContext, readBlockType, readHeapType, readValueType } from './types.ts';

const memoryIndexBit = 0x40;
const catchClauseKindMax = 3;
const catchClauseWithTagMax = 1;

/** Reads the instructions between the offset and the end of `bytes`. */
export class InstructionReader {
  readonly bytes: ByteReader;
  readonly context: DecodeContext;
  /** The opcode of the last instruction read; prefixed ones as prefix * 0x1000 + sub-opcode. */
  opcode = 0;
  /** Where its opcode begins. */
  start = 0;
  /** Where its immediates begin; they end at bytes.offset. */
  immediatesStart = 0;
  /**
   * Its first index: a function, local, global, table, type, tag or label, the
   * memory of a load or store, the type of a block (-1 if it is not an index),
   * the number of targets of a br_table or of catch clauses of a try_table.
   */
  index = 0;
  /** Its second index, if its form has one. */
  secondIndex = 0;
  /** The most targets of a br_table so far, without the default. */
  branchTargetsMax = 0;
  readonly #features = new Uint8Array(featureNames.length + 1);

  constructor(bytes: ByteReader, context: DecodeContext) {
    this.bytes = bytes;
    this.context = context;
  }

  /** Reads the next instruction, whatever its place; false at the end of the bytes. */
  next(): boolean {
    const bytes = this.bytes;
    if (bytes.offset >= bytes.end) return false;
    this.start = bytes.offset;
    const first = bytes.u8();
    let code = first;
    let table = plainTable;
    if (first >= prefixFirst && first <= prefixLast) {
      code = bytes.u32();
      table = prefixedTables[first - prefixFirst] as typeof plainTable;
    }
    const form = code < table.forms.length ? (table.forms[code] as number) : immediates.unknown;
    this.opcode = table === plainTable ? code : first * 0x1000 + code;
    if (form === immediates.unknown) this.#failUnknown(first, code);
    this.#features[table.features[code] as number] = 1;
    this.immediatesStart = bytes.offset;
    if (form !== immediates.none) this.#readImmediates(form);
    return true;
  }

  /** Notes the features of all instructions read so far in the context. */
  noteFeatures(): void {
    for (let id = 1; id < this.#features.length; id++) {
      if (this.#features[id] === 1) this.context.features.add(featureNames[id - 1] as FeatureName);
    }
  }

  #readImmediates(form: number): void {
    const bytes = this.bytes;
    switch (form) {
      case immediates.index:
        this.index = bytes.u32();
        return;
      case immediates.i32:
        return bytes.skipSigned(32);
      case immediates.memory:
        return this.#readMemory();
      case immediates.blockType:
        this.index = readBlockType(bytes, this.context);
        return;
      case immediates.i64:
        return bytes.skipSigned(64);
      case immediates.f32:
        return bytes.skip(4);
      case immediates.f64:
        return bytes.skip(8);
      case immediates.indexPair:
        this.index = bytes.u32();
        this.secondIndex = bytes.u32();
        return;
      case immediates.branchTable:
        return this.#readBranchTable();
      case immediates.byte:
        return bytes.skip(1);
      case immediates.bytes16:
        return bytes.skip(16);
      case immediates.memoryLane:
        this.#readMemory();
        return bytes.skip(1);
      default:
        this.#readRareImmediates(form);
    }
  }

  #readRareImmediates(form: number): void {
    const bytes = this.bytes;
    switch (form) {
      case immediates.types:
        return this.#readSelectType();
      case immediates.heapType:
        readHeapType(bytes, this.context);
        return;
      case immediates.tryTable:
        return this.#readTryTable();
      case immediates.branchOnCast:
        bytes.skip(1);
        this.index = bytes.u32();
        readHeapType(bytes, this.context);
        readHeapType(bytes, this.context);
    }
  }

  #readMemory(): void {
    const bytes = this.bytes;
    const alignment = bytes.u32();
    this.index = (alignment & memoryIndexBit) === 0 ? 0 : bytes.u32();
    bytes.u64();
  }

  #readBranchTable(): void {
    const bytes = this.bytes;
    this.index = bytes.count('branch targets');
    if (this.index > this.branchTargetsMax) this.branchTargetsMax = this.index;
    for (let left = this.index; left >= 0; left--) bytes.u32();
  }

  /** The form is a vector, but only one type is possible. V8 13.6 looks at the lowest 8 bits of its length only. */
  #readSelectType(): void {
    const count = this.bytes.u32();
    if (count !== 1) this.bytes.fail(`A select names ${count} types; exactly one is possible`, this.start);
    readValueType(this.bytes, this.context);
  }

  #readTryTable(): void {
    const bytes = this.bytes;
    readBlockType(bytes, this.context);
    this.index = bytes.count('catch clauses');
    for (let left = this.index; left > 0; left--) {
      const kind = bytes.u8();
      if (kind > catchClauseKindMax) bytes.fail(`Unknown catch clause 0x${kind.toString(16)}`, bytes.offset - 1);
      if (kind <= catchClauseWithTagMax) bytes.u32();
      bytes.u32();
    }
  }

  #failUnknown(first: number, code: number): never {
    const sub = this.opcode > 0xff ? ` 0x${code.toString(16)}` : '';
    const name = `0x${first.toString(16)}${sub}`;
    return this.bytes.fail(`Unknown instruction ${name}: build without the proposal that it belongs to`, this.start);
  }
}

/** Passes over a constant expression, its `end` included. */
export function skipConstantExpression(reader: InstructionReader): void {
  while (reader.next()) {
    if (reader.opcode === opcodes.end) return;
    if (isExtendedConst(reader.opcode)) reader.context.features.add('extended-const');
    if (reader.opcode === opcodes.refFunc) {
      const { index, immediatesStart: start } = reader;
      reader.context.onFunctionReference?.({ index, start, end: reader.bytes.offset });
    }
  }
  reader.bytes.fail('A constant expression does not end', reader.bytes.end);
}

/** Addition, subtraction and multiplication of integers. */
function isExtendedConst(opcode: number): boolean {
  return (opcode >= 0x6a && opcode <= 0x6c) || (opcode >= 0x7c && opcode <= 0x7e);
}

/** Walks over the instructions of a function body and checks that its blocks are closed, no more and no less. */
export function walkBody(reader: InstructionReader): void {
  const bytes = reader.bytes;
  let depth = 1;
  while (reader.next()) {
    const opcode = reader.opcode;
    if (opcode === opcodes.end || opcode === opcodes.delegate) {
      if (--depth === 0 && bytes.offset !== bytes.end) bytes.fail('Instructions follow the end of a function body');
    } else if (opensBlock(opcode)) depth++;
  }
  if (depth !== 0 || reader.opcode !== opcodes.end) bytes.fail('A function body ends inside a block', bytes.end);
}

function opensBlock(opcode: number): boolean {
  return (opcode >= opcodes.block && opcode <= opcodes.if) || opcode === opcodes.try || opcode === opcodes.tryTable;
}

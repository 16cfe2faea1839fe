/**
 * The table of instructions that V8 in Node 24 accepts without flags: for each
 * opcode the form of its immediates and the feature that it belongs to. What is
 * not in the table is unknown and refused: nothing is guessed.
 *
 * A prefixed opcode is written as one number, prefix * 0x1000 + sub-opcode:
 * memory.copy is 0xfc00a.
 */

import { type FeatureName, featureNames } from './features.ts';

/** Forms of immediates. */
export const immediates = {
  /** Not an instruction. */
  unknown: 0,
  none: 1,
  /** A type of a block: empty, a value type, or an index of a function type. */
  blockType: 2,
  /** One unsigned integer: an index, a label, or a length. */
  index: 3,
  indexPair: 4,
  /** Labels: their number, that many, and the default. */
  branchTable: 5,
  /** Alignment with an optional memory index, and offset. */
  memory: 6,
  memoryLane: 7,
  i32: 8,
  i64: 9,
  f32: 10,
  f64: 11,
  /** A vector of one value type. */
  types: 12,
  heapType: 13,
  /** A block type and a vector of catch clauses. */
  tryTable: 14,
  /** Sixteen bytes: a v128 or the lanes of a shuffle. */
  bytes16: 15,
  byte: 16,
  /** Flags, label, and two heap types. */
  branchOnCast: 17,
} as const;

/** Opcodes that code outside the table refers to by name. */
export const opcodes = {
  block: 0x02,
  if: 0x04,
  try: 0x06,
  end: 0x0b,
  delegate: 0x18,
  tryTable: 0x1f,
  refFunc: 0xd2,
} as const;

type Row = readonly [first: number, last: number, form: keyof typeof immediates, feature?: FeatureName];

const plainRows: readonly Row[] = [
  [0x00, 0x01, 'none'], // unreachable, nop
  [0x02, 0x04, 'blockType'], // block, loop, if
  [0x05, 0x05, 'none'], // else
  [0x06, 0x06, 'blockType', 'legacy-exceptions'], // try
  [0x07, 0x07, 'index', 'legacy-exceptions'], // catch
  [0x08, 0x08, 'index', 'exception-handling'], // throw
  [0x09, 0x09, 'index', 'legacy-exceptions'], // rethrow
  [0x0a, 0x0a, 'none', 'exception-handling'], // throw_ref
  [0x0b, 0x0b, 'none'], // end
  [0x0c, 0x0d, 'index'], // br, br_if
  [0x0e, 0x0e, 'branchTable'],
  [0x0f, 0x0f, 'none'], // return
  [0x10, 0x10, 'index'], // call
  [0x11, 0x11, 'indexPair'], // call_indirect
  [0x12, 0x12, 'index', 'tail-call'], // return_call
  [0x13, 0x13, 'indexPair', 'tail-call'], // return_call_indirect
  [0x14, 0x14, 'index', 'typed-references'], // call_ref
  [0x15, 0x15, 'index', 'tail-call'], // return_call_ref
  [0x18, 0x18, 'index', 'legacy-exceptions'], // delegate
  [0x19, 0x19, 'none', 'legacy-exceptions'], // catch_all
  [0x1a, 0x1b, 'none'], // drop, select
  [0x1c, 0x1c, 'types', 'reference-types'], // select with a type
  [0x1f, 0x1f, 'tryTable', 'exception-handling'],
  [0x20, 0x24, 'index'], // locals and globals
  [0x25, 0x26, 'index', 'reference-types'], // table.get, table.set
  [0x28, 0x3e, 'memory'], // loads and stores
  [0x3f, 0x40, 'index'], // memory.size, memory.grow
  [0x41, 0x41, 'i32'],
  [0x42, 0x42, 'i64'],
  [0x43, 0x43, 'f32'],
  [0x44, 0x44, 'f64'],
  [0x45, 0xbf, 'none'], // comparisons, arithmetic, conversions
  [0xc0, 0xc4, 'none', 'sign-ext'],
  [0xd0, 0xd0, 'heapType', 'reference-types'], // ref.null
  [0xd1, 0xd1, 'none', 'reference-types'], // ref.is_null
  [0xd2, 0xd2, 'index', 'reference-types'], // ref.func
  [0xd3, 0xd3, 'none', 'gc'], // ref.eq
  [0xd4, 0xd4, 'none', 'typed-references'], // ref.as_non_null
  [0xd5, 0xd6, 'index', 'typed-references'], // br_on_null, br_on_non_null
];

const gcRows: readonly Row[] = [
  [0, 1, 'index', 'gc'], // struct.new, struct.new_default
  [2, 5, 'indexPair', 'gc'], // struct.get*, struct.set
  [6, 7, 'index', 'gc'], // array.new, array.new_default
  [8, 10, 'indexPair', 'gc'], // array.new_fixed, array.new_data, array.new_elem
  [11, 14, 'index', 'gc'], // array.get*, array.set
  [15, 15, 'none', 'gc'], // array.len
  [16, 16, 'index', 'gc'], // array.fill
  [17, 19, 'indexPair', 'gc'], // array.copy, array.init_data, array.init_elem
  [20, 23, 'heapType', 'gc'], // ref.test, ref.cast
  [24, 25, 'branchOnCast', 'gc'],
  [26, 30, 'none', 'gc'], // conversions with extern, i31
];

const miscellaneousRows: readonly Row[] = [
  [0, 7, 'none', 'nontrapping-fptoint'],
  [8, 8, 'indexPair', 'bulk-memory'], // memory.init
  [9, 9, 'index', 'bulk-memory'], // data.drop
  [10, 10, 'indexPair', 'bulk-memory'], // memory.copy
  [11, 11, 'index', 'bulk-memory'], // memory.fill
  [12, 12, 'indexPair', 'bulk-memory'], // table.init
  [13, 13, 'index', 'bulk-memory'], // elem.drop
  [14, 14, 'indexPair', 'bulk-memory'], // table.copy
  [15, 17, 'index', 'reference-types'], // table.grow, table.size, table.fill
];

const simdRows: readonly Row[] = [
  [0x00, 0x0b, 'memory', 'simd'],
  [0x0c, 0x0d, 'bytes16', 'simd'], // v128.const, i8x16.shuffle
  [0x0e, 0x14, 'none', 'simd'],
  [0x15, 0x22, 'byte', 'simd'], // extract and replace lanes
  [0x23, 0x53, 'none', 'simd'],
  [0x54, 0x5b, 'memoryLane', 'simd'],
  [0x5c, 0x5d, 'memory', 'simd'],
  [0x5e, 0x99, 'none', 'simd'],
  [0x9b, 0xa1, 'none', 'simd'],
  [0xa3, 0xa4, 'none', 'simd'],
  [0xa7, 0xae, 'none', 'simd'],
  [0xb1, 0xb1, 'none', 'simd'],
  [0xb5, 0xba, 'none', 'simd'],
  [0xbc, 0xc1, 'none', 'simd'],
  [0xc3, 0xc4, 'none', 'simd'],
  [0xc7, 0xce, 'none', 'simd'],
  [0xd1, 0xd1, 'none', 'simd'],
  [0xd5, 0xe1, 'none', 'simd'],
  [0xe3, 0xed, 'none', 'simd'],
  [0xef, 0xff, 'none', 'simd'],
  [0x100, 0x113, 'none', 'relaxed-simd'],
];

const atomicRows: readonly Row[] = [
  [0x00, 0x02, 'memory', 'threads'], // notify, wait
  [0x03, 0x03, 'byte', 'threads'], // fence
  [0x10, 0x4e, 'memory', 'threads'],
];

/** Forms and features by opcode; a feature is its place in featureNames plus 1, and 0 means none. */
export interface OpcodeTable {
  readonly forms: Uint8Array;
  readonly features: Uint8Array;
}

export const plainTable = tableOf(plainRows, 0x100);

export const prefixFirst = 0xfb;
export const prefixLast = 0xfe;

/** The tables of the prefixes from prefixFirst to prefixLast. */
export const prefixedTables: readonly OpcodeTable[] = [
  tableOf(gcRows, 0x20),
  tableOf(miscellaneousRows, 0x20),
  tableOf(simdRows, 0x120),
  tableOf(atomicRows, 0x50),
];

function tableOf(rows: readonly Row[], size: number): OpcodeTable {
  const table = { forms: new Uint8Array(size), features: new Uint8Array(size) };
  for (const [first, last, form, feature] of rows) {
    table.forms.fill(immediates[form], first, last + 1);
    table.features.fill(feature === undefined ? 0 : featureNames.indexOf(feature) + 1, first, last + 1);
  }
  return table;
}

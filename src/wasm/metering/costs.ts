/**
 * What instructions cost in units of fuel: the whole table, with its version.
 * docs/fuel.md shows it to people. A unit is 0.1 to 0.5 ns of compiled code; a
 * price holds its instruction at 2 ns for a unit or less, so that the fuel of a
 * slice bounds its time.
 */

import { prefixFirst, prefixLast } from '../opcodes.ts';

/** Belongs to every figure of fuel: two figures compare only under one version. */
export const costTableVersion = 1;

/**
 * Units that the host grants at a time: 0.2 to 0.9 ms. Part of the table's version,
 * because what is told of a run that trapped depends on it.
 */
export const fuelSliceUnits = 2_000_000;

/** Prices that depend on more than the opcode. */
export const prices = {
  /** Of calling an imported function, beside what is declared for it. */
  importCall: 50,
  /** One unit for so many declared locals, which are zeroed at entry. */
  localsPerUnit: 8,
  /** One unit for so many fields of a new struct. */
  fieldsPerUnit: 2,
  memoryPage: 2_048,
  tableElement: 12,
} as const;

/**
 * Prices by length are in sixteenths of a unit: that of a byte is 1, and that of
 * an array's element is its size in bytes.
 */
export const sixteenths = { byte: 1, tableElement: 16 * prices.tableElement, arrayReference: 2 * 16 } as const;

type Row = readonly [first: number, last: number, units: number];

/** Whatever has no row costs 1. */
const rows: readonly Row[] = [
  [0x01, 0x03, 0], // nop, block, loop
  [0x05, 0x07, 0], // else, try, catch
  [0x08, 0x0a, 200], // throw, rethrow, throw_ref: 170 to 220 ns with the catch
  [0x0b, 0x0b, 0], // end
  [0x0e, 0x0e, 2], // br_table
  [0x10, 0x10, 2], // call of a defined function
  [0x11, 0x11, 4], // call_indirect: 3.1 ns
  [0x12, 0x12, 2], // return_call
  [0x13, 0x15, 4], // return_call_indirect, call_ref, return_call_ref
  [0x18, 0x1a, 0], // delegate, catch_all, drop
  [0x1f, 0x1f, 0], // try_table
  [0x25, 0x25, 2], // table.get
  [0x26, 0x26, 64], // table.set: 60 to 70 ns with a function
  [0x40, 0x40, 256], // memory.grow: 67 to 445 ns for no page
  [0x6d, 0x70, 8], // i32.div, i32.rem: 9 to 12 ns
  [0x7f, 0x82, 8], // i64.div, i64.rem
  [0x91, 0x91, 6], // f32.sqrt: 6 to 7 ns
  [0x95, 0x95, 6], // f32.div
  [0x9f, 0x9f, 6], // f64.sqrt
  [0xa3, 0xa3, 6], // f64.div
  [0xfb000, 0xfb001, 5], // struct.new, struct.new_default: 4 to 5 ns
  [0xfb006, 0xfb00a, 8], // array.new and its kin
  [0xfb010, 0xfb013, 8], // array.fill, array.copy, array.init_data, array.init_elem
  [0xfc008, 0xfc008, 32], // memory.init: up to 52 ns for no byte
  [0xfc00a, 0xfc00b, 32], // memory.copy, memory.fill
  [0xfc00c, 0xfc00c, 16], // table.init
  [0xfc00e, 0xfc00f, 16], // table.copy, table.grow
  [0xfc011, 0xfc011, 16], // table.fill
  [0xfd0e3, 0xfd0e3, 6], // f32x4.sqrt
  [0xfd0e7, 0xfd0e7, 6], // f32x4.div
  [0xfd0ef, 0xfd0ef, 6], // f64x2.sqrt
  [0xfd0f3, 0xfd0f3, 6], // f64x2.div
  [0xfe000, 0xfe000, 32], // memory.atomic.notify: 24 to 28 ns
  [0xfe003, 0xfe003, 12], // atomic.fence: 11 ns
  [0xfe010, 0xfe04e, 10], // atomic loads, stores and read-modify-writes: 9.4 ns
];

const plainOpcodes = 0x100;
/** More than any prefix has sub-opcodes. */
const subOpcodes = 0x200;
const prefixes = prefixLast - prefixFirst + 1;

/** Length of a table that has a place for every opcode. */
export const opcodeSlots = plainOpcodes + prefixes * subOpcodes;

/** The place of an opcode in such a table. */
export function opcodeSlot(opcode: number): number {
  if (opcode < plainOpcodes) return opcode;
  return plainOpcodes + ((opcode >> 12) - prefixFirst) * subOpcodes + (opcode & 0xfff);
}

/** The units of each instruction as far as they depend on its opcode alone, by slot. */
export const staticCosts: Uint16Array = tableOfCosts();

function tableOfCosts(): Uint16Array {
  const costs = new Uint16Array(opcodeSlots).fill(1);
  for (const [first, last, units] of rows) costs.fill(units, opcodeSlot(first), opcodeSlot(last) + 1);
  return costs;
}

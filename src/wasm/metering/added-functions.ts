/**
 * The functions that metering adds behind those of the module: the slow path,
 * which alone calls the host; those that charge by a length or a growth; and one
 * for each imported function that is called by reference or priced by an operand.
 * Each exists only if it is called.
 */

import type { FunctionType } from '../types.ts';
import { ByteWriter } from '../writer.ts';
import { prices } from './costs.ts';

/** Price of calling an imported function, beside what every such call costs. */
export interface ImportPrice {
  readonly module: string;
  readonly name: string;
  /** For each call. */
  readonly units: number;
  /** One unit more for each so many of an i32 or i64 operand, taken as unsigned and rounded down. */
  readonly perOperand?: { readonly operand: number; readonly amount: number };
}

/** Indices in the rewritten module that added functions refer to. */
export interface AddedIndices {
  readonly refuel: number;
  /** Index of the first added function, the slow path. */
  readonly first: number;
  readonly fuelGlobal: number;
  readonly growFailedGlobal: number;
  /** Types of (i32) -> i32 and (i64) -> i64. */
  readonly type32: number;
  readonly type64: number;
  /** Type of () -> (). */
  readonly typeEmpty: number;
}

interface AddedFunction {
  readonly name: string;
  readonly type: number;
  readonly body: Uint8Array;
}

/** Instructions that added code is made of. */
export const code = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  call: 0x10,
  drop: 0x1a,
  select: 0x1b,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  memorySize: 0x3f,
  i32Const: 0x41,
  i64Const: 0x42,
  i32Eq: 0x46,
  i64Eq: 0x51,
  i64LtS: 0x53,
  i64LtU: 0x54,
  i32Sub: 0x6b,
  i64Add: 0x7c,
  i64Sub: 0x7d,
  i64Mul: 0x7e,
  i64DivU: 0x80,
  i64ShrU: 0x88,
  i64ExtendI32U: 0xad,
} as const;

export const emptyBlockType = 0x40;
const tableSize = [0xfc, 0x10] as const;

/**
 * Lengths are paid for up to this one. No memory or table is as long, so what is
 * longer traps; without a bound its price could wrap to nothing.
 */
const lengthMax = 2 ** 40;

/** Operands in sixteenths of a unit are shifted by this. */
const sixteenthShift = 4;

export class AddedFunctions {
  /** Takes the counter and returns the new one, which it leaves in the global as well. */
  readonly slowPath: number;
  /** The same for who keeps the counter in the global. */
  readonly globalSlowPath: number;
  readonly #indices: AddedIndices;
  readonly #functions: AddedFunction[] = [];
  readonly #known = new Map<string, number>();

  constructor(indices: AddedIndices) {
    this.#indices = indices;
    this.slowPath = this.#add('slow_path', indices.type64, (writer) => this.#writeSlowPath(writer));
    this.globalSlowPath = this.#add('slow_path', indices.typeEmpty, (writer) => {
      writer.u8(code.globalGet).unsigned(indices.fuelGlobal);
      writer.u8(code.call).unsigned(this.slowPath).u8(code.drop);
    });
  }

  get functions(): readonly AddedFunction[] {
    return this.#functions;
  }

  /** Takes a length, charges so many sixteenths of a unit for each, and returns the length. */
  length(is64: boolean, sixteenths: number): number {
    return this.#once(`length ${is64} ${sixteenths}`, 'length', this.#type(is64), (writer) => {
      this.#writeCharge(writer, () => {
        writeUnsigned(writer, 0, is64);
        if (sixteenths !== 1) writer.u8(code.i64Const).signed(sixteenths).u8(code.i64Mul);
        writer.u8(code.i64Const).signed(sixteenthShift).u8(code.i64ShrU);
      });
      writer.u8(code.localGet, 0);
    });
  }

  /** Takes what memory.grow returned and returns it; charges for the new pages, or notes that there are none. */
  memoryGrowth(memory: number, is64: boolean): number {
    const size = new ByteWriter().u8(code.memorySize).unsigned(memory).finish();
    return this.#growth(`memory ${memory}`, is64, size, prices.memoryPage);
  }

  /** The same for table.grow. */
  tableGrowth(table: number, is64: boolean): number {
    const size = new ByteWriter()
      .u8(...tableSize)
      .unsigned(table)
      .finish();
    return this.#growth(`table ${table}`, is64, size, prices.tableElement);
  }

  /** Charges for a call of an imported function and makes it. */
  pricedImport(
    index: number,
    type: { readonly index: number; readonly of: FunctionType },
    price: Omit<ImportPrice, 'module' | 'name'>,
  ): number {
    return this.#once(`import ${index}`, 'priced_import', type.index, (writer) => {
      this.#writeCharge(writer, () => {
        writer.u8(code.i64Const).signed(prices.importCall + price.units);
        if (price.perOperand === undefined) return;
        const { operand, amount } = price.perOperand;
        writeUnsigned(writer, operand, type.of.parameters[operand] === 'i64');
        writer.u8(code.i64Const).signed(amount).u8(code.i64DivU, code.i64Add);
      });
      for (const place of type.of.parameters.keys()) writer.u8(code.localGet).unsigned(place);
      writer.u8(code.call).unsigned(index);
    });
  }

  /** Calls a function as the others of the module do, for callers outside: pays for its entry, passes the counter. */
  entry(
    index: number,
    type: { readonly index: number; readonly of: FunctionType },
    how: { readonly units: number; readonly passed: boolean },
  ): number {
    const { fuelGlobal } = this.#indices;
    return this.#once(`entry ${index}`, 'entry', type.index, (writer) => {
      if (how.units > 0) this.#writeCharge(writer, () => writer.u8(code.i64Const).signed(how.units));
      for (const place of type.of.parameters.keys()) writer.u8(code.localGet).unsigned(place);
      if (how.passed) writer.u8(code.globalGet).unsigned(fuelGlobal);
      writer.u8(code.call).unsigned(index);
      if (how.passed) writer.u8(code.globalSet).unsigned(fuelGlobal);
    });
  }

  #growth(key: string, is64: boolean, size: Uint8Array, units: number): number {
    return this.#once(key, 'growth', this.#type(is64), (writer) => {
      writer.u8(code.localGet, 0, is64 ? code.i64Const : code.i32Const).signed(-1);
      writer.u8(is64 ? code.i64Eq : code.i32Eq, code.if, emptyBlockType);
      writer.u8(code.i32Const, 1, code.globalSet).unsigned(this.#indices.growFailedGlobal);
      writer.u8(code.else);
      this.#writeCharge(writer, () => {
        writer.bytes(size).u8(code.localGet, 0);
        if (is64) writer.u8(code.i64Sub);
        else writer.u8(code.i32Sub, code.i64ExtendI32U);
        writer.u8(code.i64Const).signed(units).u8(code.i64Mul);
      });
      writer.u8(code.end, code.localGet, 0);
    });
  }

  #type(is64: boolean): number {
    return is64 ? this.#indices.type64 : this.#indices.type32;
  }

  /**
   * The counter is in the global while the host is asked, so that what it reads
   * there is right even if it says no. A negative answer ends in a trap, which
   * no guest can catch, as it could what a host function throws.
   */
  #writeSlowPath(writer: ByteWriter): void {
    const { refuel, fuelGlobal } = this.#indices;
    writer.u8(code.localGet, 0, code.globalSet).unsigned(fuelGlobal);
    writer.u8(code.localGet, 0, code.call).unsigned(refuel);
    writer.u8(code.localTee, 0, code.i64Const, 0, code.i64LtS, code.if, emptyBlockType, code.unreachable, code.end);
    writer.u8(code.localGet, 0, code.globalSet).unsigned(fuelGlobal);
    writer.u8(code.localGet, 0);
  }

  /** Takes from the counter what `writeUnits` leaves on the stack, and asks for more if that was too much. */
  #writeCharge(writer: ByteWriter, writeUnits: () => void): void {
    const { fuelGlobal } = this.#indices;
    writer.u8(code.globalGet).unsigned(fuelGlobal);
    writeUnits();
    writer.u8(code.i64Sub, code.globalSet).unsigned(fuelGlobal);
    writer.u8(code.globalGet).unsigned(fuelGlobal);
    writer.u8(code.i64Const, 0, code.i64LtS, code.if, emptyBlockType, code.call).unsigned(this.globalSlowPath);
    writer.u8(code.end);
  }

  #once(key: string, name: string, type: number, write: (writer: ByteWriter) => void): number {
    const known = this.#known.get(key) ?? this.#add(name, type, write);
    this.#known.set(key, known);
    return known;
  }

  #add(name: string, type: number, write: (writer: ByteWriter) => void): number {
    const writer = new ByteWriter().u8(0);
    write(writer);
    this.#functions.push({ name, type, body: writer.u8(code.end).finish() });
    return this.#indices.first + this.#functions.length - 1;
  }
}

/** Leaves a parameter on the stack as an unsigned i64 no greater than lengthMax. */
function writeUnsigned(writer: ByteWriter, parameter: number, is64: boolean): void {
  writer.u8(code.localGet).unsigned(parameter);
  if (!is64) {
    writer.u8(code.i64ExtendI32U);
    return;
  }
  writer.u8(code.i64Const).signed(lengthMax);
  writer.u8(code.localGet).unsigned(parameter).u8(code.i64Const).signed(lengthMax);
  writer.u8(code.i64LtU, code.select);
}

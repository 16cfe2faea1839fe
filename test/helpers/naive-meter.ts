/**
 * Metering as one would write it first: a counter in a global that is added to
 * wherever instructions are executed. Slow, and too plain to be wrong in the same
 * way as the real one: tests compare the two, benchmarks show what the real one
 * saves. It adds no function, so that no index moves, and asks no host.
 */

import { readBody } from '../../src/wasm/code.ts';
import { InstructionReader } from '../../src/wasm/instructions.ts';
import { openSection, readLayout, type Section, sectionIds, type SectionName } from '../../src/wasm/layout.ts';
import { opcodeSlot, prices, sixteenths, staticCosts } from '../../src/wasm/metering/costs.ts';
import { ByteReader } from '../../src/wasm/reader.ts';
import {
  readFunctions,
  readGlobals,
  readImports,
  readMemories,
  readTables,
  readTypes,
} from '../../src/wasm/sections.ts';
import { type CompositeType, createContext } from '../../src/wasm/types.ts';
import { ByteWriter } from '../../src/wasm/writer.ts';

/** Name of the exported counter, a mutable i64 that goes up from 0. */
export const naiveCounter = 'naive:fuel';
/** Name of an exported mutable i64 that counts the exceptions that the module throws itself. */
export const naiveThrows = 'naive:throws';

/**
 * 'instruction' counts each instruction just before it is executed, lengths and
 * growth included; calls of imports are left to the host. 'block' counts each
 * basic block where it begins, without lengths, and calls a function beyond a
 * limit that is never reached: what a simple metering does for its money.
 */
export type NaiveMode = 'instruction' | 'block';

const blockModeLimit = 2 ** 50;

interface Module {
  readonly bytes: Uint8Array;
  readonly layout: readonly Section[];
  readonly types: readonly CompositeType[];
  readonly importedFunctions: number;
  readonly functionTypes: Uint32Array;
  readonly memories: readonly { readonly is64: boolean }[];
  readonly tables: readonly { readonly is64: boolean }[];
  readonly counter: number;
}

export function meterNaively(bytes: Uint8Array, mode: NaiveMode): Uint8Array<ArrayBuffer> {
  const module = readModule(bytes);
  const writer = new ByteWriter().bytes(bytes.subarray(0, 8));
  const appended: Partial<Record<SectionName, Appended>> = {
    type: { count: 1, bytes: Uint8Array.of(0x60, 0, 0) },
    table: { count: 1, bytes: Uint8Array.of(0x70, 0, 1) },
    global: { count: 2, bytes: Uint8Array.of(0x7e, 1, 0x42, 0, 0x0b, 0x7e, 1, 0x42, 0, 0x0b) },
    export: { count: 2, bytes: exportsOf(module.counter) },
  };
  const order = [
    'type',
    'import',
    'function',
    'table',
    'memory',
    'tag',
    'global',
    'export',
    'start',
    'element',
  ] as const;
  const sections = [...order, 'dataCount', 'code', 'data'] as const;
  for (const name of sections) {
    const section = module.layout.find((candidate) => candidate.name === name);
    const extra = appended[name];
    if (name === 'code' && section !== undefined) writer.u8(sectionIds.code).sized(codeOf(module, section, mode));
    else if (extra !== undefined) writer.u8(sectionIds[name]).sized(withAppended(bytes, section, extra));
    else if (section !== undefined) writer.bytes(bytes.subarray(section.start, section.end));
  }
  return writer.finish().slice();
}

function exportsOf(counter: number): Uint8Array {
  const writer = new ByteWriter().name(naiveCounter).u8(3).unsigned(counter);
  return writer
    .name(naiveThrows)
    .u8(3)
    .unsigned(counter + 1)
    .finish();
}

interface Appended {
  readonly count: number;
  readonly bytes: Uint8Array;
}

function withAppended(bytes: Uint8Array, section: Section | undefined, added: Appended): Uint8Array {
  if (section === undefined) return new ByteWriter().unsigned(added.count).bytes(added.bytes).finish();
  const reader = openSection(bytes, section);
  const count = reader.u32() + added.count;
  return new ByteWriter().unsigned(count).copy(bytes, reader.offset, section.end).bytes(added.bytes).finish();
}

function readModule(bytes: Uint8Array): Module {
  const layout = readLayout(bytes);
  const context = createContext();
  const read = <T>(name: SectionName, decode: (reader: ByteReader) => T): T | undefined => {
    const section = layout.find((candidate) => candidate.name === name);
    return section === undefined ? undefined : decode(openSection(bytes, section));
  };
  const types = read('type', (reader) => readTypes(reader, context)) ?? [];
  const imports = read('import', (reader) => readImports(reader, context, types)) ?? [];
  const memories = read('memory', (reader) => readMemories(reader, context)) ?? [];
  const tables = read('table', (reader) => readTables(reader, context)) ?? [];
  const globals = read('global', (reader) => readGlobals(reader, context)) ?? [];
  const wide = (entries: readonly { readonly type: { readonly is64: boolean } }[]) =>
    entries.map(({ type }) => ({ is64: type.is64 }));
  return {
    bytes,
    layout,
    types,
    importedFunctions: imports.filter(({ kind }) => kind === 'function').length,
    functionTypes: read('function', (reader) => readFunctions(reader, types)) ?? new Uint32Array(),
    memories: wide([...imports.flatMap(({ memory }) => memory ?? []), ...memories]),
    tables: wide([...imports.flatMap(({ table }) => table ?? []), ...tables]),
    counter: imports.filter(({ kind }) => kind === 'global').length + globals.length,
  };
}

function codeOf(module: Module, section: Section, mode: NaiveMode): Uint8Array {
  const { bytes } = module;
  const context = createContext();
  const reader = openSection(bytes, section);
  const count = reader.u32();
  const writer = new ByteWriter().unsigned(count);
  const range = new ByteReader(bytes, { start: 0, end: 0 }, 'function body');
  const instructions = new InstructionReader(range, context);
  for (let ordinal = 0; ordinal < count; ordinal++) {
    const body = readBody(reader, context);
    range.offset = body.codeStart;
    range.end = body.end;
    const declarations = new ByteReader(bytes, { start: body.start, end: body.codeStart }, 'locals');
    const groups = declarations.u32();
    const to = new ByteWriter().unsigned(groups + 1).bytes(bytes.subarray(declarations.offset, body.codeStart));
    to.u8(2, 0x7e);
    const type = module.types[module.functionTypes[ordinal] ?? 0];
    const local = body.locals + (type?.kind === 'function' ? type.parameters.length : 0);
    const meter = new BodyMeter(module, to, local, mode);
    meter.charge(Math.floor(body.locals / prices.localsPerUnit));
    meter.write(instructions);
    writer.sized(to.finish());
  }
  return writer.finish();
}

/** Instructions behind which another basic block begins: loop, if, else, try, catch, end, branches and so on. */
const endsBlock = new Set([
  ...[0x00, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x12, 0x13, 0x15, 0x18, 0x19],
  ...[0x1f, 0xd5, 0xd6, 0xfb018, 0xfb019],
]);

const throws = new Set([0x08, 0x09, 0x0a]);

class BodyMeter {
  readonly #module: Module;
  readonly #to: ByteWriter;
  /** The first of two i64 that serve the moment. */
  readonly #local: number;
  readonly #mode: NaiveMode;

  constructor(module: Module, to: ByteWriter, local: number, mode: NaiveMode) {
    this.#module = module;
    this.#to = to;
    this.#local = local;
    this.#mode = mode;
  }

  charge(units: number): void {
    if (units === 0) return;
    const { counter } = this.#module;
    this.#add(counter, units);
    const to = this.#to;
    if (this.#mode === 'instruction') return;
    to.u8(0x23).unsigned(counter).u8(0x42).signed(blockModeLimit).u8(0x55, 0x04, 0x40);
    to.u8(0x41, 0, 0x11).unsigned(this.#module.types.length).unsigned(this.#module.tables.length).u8(0x0b);
  }

  #add(global: number, units: number): void {
    this.#to.u8(0x23).unsigned(global).u8(0x42).signed(units).u8(0x7c, 0x24).unsigned(global);
  }

  write(instructions: InstructionReader): void {
    const { bytes } = this.#module;
    let start = instructions.bytes.offset;
    let units = 0;
    while (instructions.next()) {
      units += this.#costOf(instructions);
      const ends = endsBlock.has(instructions.opcode);
      const wide = this.#mode === 'instruction' ? this.#lengthOf(instructions) : undefined;
      if (this.#mode === 'block' && !ends) continue;
      this.charge(units);
      if (throws.has(instructions.opcode)) this.#add(this.#module.counter + 1, 1);
      if (wide !== undefined && !isGrowth(instructions)) this.#chargeLength(wide.is64, wide.sixteenths);
      if (wide !== undefined && isGrowth(instructions)) this.#keepDelta(wide.is64);
      this.#to.copy(bytes, start, instructions.bytes.offset);
      if (wide !== undefined && isGrowth(instructions)) this.#chargeGrowth(wide.is64, wide.sixteenths / 16);
      start = instructions.bytes.offset;
      units = 0;
    }
  }

  #costOf({ opcode, index, secondIndex }: InstructionReader): number {
    const isCall = opcode === 0x10 || opcode === 0x12;
    if (isCall && index < this.#module.importedFunctions) return this.#mode === 'block' ? prices.importCall : 0;
    const units = staticCosts[opcodeSlot(opcode)] as number;
    const type = this.#module.types[index];
    if ((opcode === 0xfb000 || opcode === 0xfb001) && type?.kind === 'struct') {
      return units + Math.floor(type.fields / prices.fieldsPerUnit);
    }
    return opcode === 0xfb008 ? units + Math.floor((secondIndex * this.#elementOf(index)) / 16) : units;
  }

  #elementOf(index: number): number {
    const type = this.#module.types[index];
    return type?.kind === 'array' ? (type.elementBytes ?? sixteenths.arrayReference) : 0;
  }

  #lengthOf({ opcode, index, secondIndex }: InstructionReader): { is64: boolean; sixteenths: number } | undefined {
    const { memories, tables } = this.#module;
    const memory64 = (place: number): boolean => memories[place]?.is64 === true;
    const table64 = (place: number): boolean => tables[place]?.is64 === true;
    const array = { is64: false, sixteenths: this.#elementOf(index) };
    switch (opcode) {
      case 0xfc008:
        return { is64: false, sixteenths: 1 };
      case 0xfc00a:
        return { is64: memory64(index) && memory64(secondIndex), sixteenths: 1 };
      case 0xfc00b:
        return { is64: memory64(index), sixteenths: 1 };
      case 0xfc00c:
        return { is64: false, sixteenths: 192 };
      case 0xfc00e:
        return { is64: table64(index) && table64(secondIndex), sixteenths: 192 };
      case 0xfc00f:
      case 0xfc011:
        return { is64: table64(index), sixteenths: 192 };
      case 0x40:
        return { is64: memory64(index), sixteenths: 2_048 * 16 };
      case 0xfb006:
      case 0xfb007:
      case 0xfb009:
      case 0xfb00a:
      case 0xfb010:
      case 0xfb011:
      case 0xfb012:
      case 0xfb013:
        return array;
      default:
        return undefined;
    }
  }

  /** Keeps the operand on top, as an i64, in the first local. */
  #keepDelta(is64: boolean): void {
    const [first] = this.#locals();
    if (is64) this.#to.u8(0x22).unsigned(first);
    else this.#to.u8(0xad, 0x22).unsigned(first).u8(0xa7);
  }

  #chargeLength(is64: boolean, units: number): void {
    const { counter } = this.#module;
    const [first] = this.#locals();
    this.#keepDelta(is64);
    // min(n, 2^40) * units / 16
    this.#to
      .u8(0x20)
      .unsigned(first)
      .u8(0x42)
      .signed(2 ** 40)
      .u8(0x20)
      .unsigned(first)
      .u8(0x42)
      .signed(2 ** 40);
    this.#to.u8(0x54, 0x1b, 0x42).signed(units).u8(0x7e, 0x42, 4, 0x88);
    this.#to.u8(0x23).unsigned(counter).u8(0x7c, 0x24).unsigned(counter);
  }

  /** Charges what was kept unless the result on top is -1. */
  #chargeGrowth(is64: boolean, units: number): void {
    const { counter } = this.#module;
    const [first, second] = this.#locals();
    if (is64) this.#to.u8(0x22).unsigned(second);
    else this.#to.u8(0xac, 0x22).unsigned(second).u8(0xa7);
    this.#to.u8(0x20).unsigned(second).u8(0x42, 0x7f, 0x52, 0x04, 0x40);
    this.#to
      .u8(0x23)
      .unsigned(counter)
      .u8(0x20)
      .unsigned(first)
      .u8(0x42)
      .signed(units)
      .u8(0x7e, 0x7c, 0x24)
      .unsigned(counter);
    this.#to.u8(0x0b);
  }

  #locals(): readonly [number, number] {
    return [this.#local, this.#local + 1];
  }
}

function isGrowth({ opcode }: InstructionReader): boolean {
  return opcode === 0x40 || opcode === 0xfc00f;
}

/**
 * Types: decoding of value, reference and composite types and of limits, and
 * their text form. A value type is kept as its text; indices stay as they are in
 * the module. Whether types match is left to V8.
 */

import type { FeatureName } from './features.ts';
import type { ByteReader } from './reader.ts';

/** A value type in text form: "i32", "funcref", "(ref null 3)". */
export type ValueType = string;

export interface FunctionType {
  readonly kind: 'function';
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
  /**
   * Present if the type belongs to a group or a hierarchy of types: a type of
   * another module that lists the same parameters and results does not match it.
   */
  readonly grouped?: true;
}

export interface MemoryType {
  readonly kind: 'memory';
  /** In pages of pageBytes. Limits beyond 2^53 are rounded. */
  readonly minPages: number;
  readonly maxPages?: number;
  readonly is64: boolean;
  readonly shared: boolean;
  readonly pageBytes: number;
}

export interface TableType {
  readonly kind: 'table';
  readonly min: number;
  readonly max?: number;
  readonly is64: boolean;
  readonly elementType: ValueType;
}

export interface GlobalType {
  readonly kind: 'global';
  readonly valueType: ValueType;
  readonly mutable: boolean;
}

export interface TagType {
  readonly kind: 'tag';
  readonly parameters: readonly ValueType[];
}

/** The type of something imported or exported. */
export type ExternType = FunctionType | MemoryType | TableType | GlobalType | TagType;

export type ExternKind = ExternType['kind'];

/** Kinds by the code that imports and exports have for them. */
export const externKinds: readonly ExternKind[] = ['function', 'table', 'memory', 'global', 'tag'];

/** A member of the type section. Of structs and arrays only what pricing needs is kept. */
export type CompositeType = FunctionType | { readonly kind: 'struct'; readonly fields: number } | ArrayType;

export interface ArrayType {
  readonly kind: 'array';
  /** Absent if the elements are references. */
  readonly elementBytes?: number;
}

/** What decoding gathers beside its results. */
export interface DecodeContext {
  readonly features: Set<FeatureName>;
  /** Texts of types that refer to an index, so that each exists once. */
  readonly indexedReferences: Map<number, ValueType>;
  /** Parameters and results kept so far. */
  valueTypes: number;
  /** Told of each function index in constant expressions and element segments. */
  readonly onFunctionReference?: (reference: FunctionReference) => void;
}

/** A function index and the place where it is written. */
export interface FunctionReference {
  readonly index: number;
  readonly start: number;
  readonly end: number;
}

export function createContext(): DecodeContext {
  return { features: new Set(), indexedReferences: new Map(), valueTypes: 0 };
}

/** Decoding stops at more parameters and results, of all types together, so that its memory is bounded. */
export const valueTypesMax = 1_000_000;

interface TypeCode {
  readonly text: string;
  readonly feature?: FeatureName;
}

/** Number and vector types by their byte. */
const numberTypes: ReadonlyMap<number, TypeCode> = new Map([
  [0x7f, { text: 'i32' }],
  [0x7e, { text: 'i64' }],
  [0x7d, { text: 'f32' }],
  [0x7c, { text: 'f64' }],
  [0x7b, { text: 'v128', feature: 'simd' }],
]);

/** Abstract heap types by their byte; alone, the byte means the nullable reference. */
const heapTypes: ReadonlyMap<number, TypeCode & { readonly reference: string }> = new Map([
  [0x70, { text: 'func', reference: 'funcref' }],
  [0x6f, { text: 'extern', reference: 'externref', feature: 'reference-types' }],
  [0x6e, { text: 'any', reference: 'anyref', feature: 'gc' }],
  [0x6d, { text: 'eq', reference: 'eqref', feature: 'gc' }],
  [0x6c, { text: 'i31', reference: 'i31ref', feature: 'gc' }],
  [0x6b, { text: 'struct', reference: 'structref', feature: 'gc' }],
  [0x6a, { text: 'array', reference: 'arrayref', feature: 'gc' }],
  [0x73, { text: 'nofunc', reference: 'nullfuncref', feature: 'gc' }],
  [0x72, { text: 'noextern', reference: 'nullexternref', feature: 'gc' }],
  [0x71, { text: 'none', reference: 'nullref', feature: 'gc' }],
  [0x69, { text: 'exn', reference: 'exnref', feature: 'exception-handling' }],
  [0x74, { text: 'noexn', reference: 'nullexnref', feature: 'exception-handling' }],
]);

/** What the text form calls nullable references to abstract heap types. */
const abbreviations = new Map([...heapTypes.values()].map(({ text, reference }) => [text, reference]));

const refNullCode = 0x63;
const refCode = 0x64;

export function readValueType(reader: ByteReader, context: DecodeContext): ValueType {
  const number = numberTypes.get(reader.peek());
  if (number === undefined) return readReferenceType(reader, context);
  reader.skip(1);
  if (number.feature !== undefined) context.features.add(number.feature);
  return number.text;
}

export function readReferenceType(reader: ByteReader, context: DecodeContext): ValueType {
  const start = reader.offset;
  const code = reader.u8();
  if (code === refNullCode || code === refCode) return readLongReference(reader, context, code === refNullCode);
  const heapType = heapTypes.get(code);
  if (heapType === undefined) return reader.fail(`Unknown value type 0x${code.toString(16)}`, start);
  if (heapType.feature !== undefined) context.features.add(heapType.feature);
  return heapType.reference;
}

function readLongReference(reader: ByteReader, context: DecodeContext, nullable: boolean): ValueType {
  context.features.add('typed-references');
  const heapType = readHeapType(reader, context);
  if (typeof heapType === 'string') {
    return (nullable ? abbreviations.get(heapType) : undefined) ?? `(ref ${heapType})`;
  }
  const key = heapType * 2 + (nullable ? 1 : 0);
  const known = context.indexedReferences.get(key);
  if (known !== undefined) return known;
  const text = nullable ? `(ref null ${heapType})` : `(ref ${heapType})`;
  context.indexedReferences.set(key, text);
  return text;
}

/** An abstract heap type as its text, or a type index. */
export function readHeapType(reader: ByteReader, context: DecodeContext): string | number {
  const start = reader.offset;
  const code = reader.s33();
  if (code >= 0) return code;
  const heapType = code < -0x40 ? undefined : heapTypes.get(code + 0x80);
  if (heapType === undefined) return reader.fail('Unknown heap type', start);
  if (heapType.feature !== undefined) context.features.add(heapType.feature);
  return heapType.text;
}

const emptyBlock = -0x40;

/** Reads the type of a block: the index of a function type, or -1 if the type is empty or a value type. */
export function readBlockType(reader: ByteReader, context: DecodeContext): number {
  const code = reader.peek();
  if (code > 0x40 && code < 0x80) {
    readValueType(reader, context);
    return -1;
  }
  const start = reader.offset;
  const index = reader.s33();
  if (index === emptyBlock) return -1;
  if (index < 0) return reader.fail('Unknown block type', start);
  context.features.add('multi-value');
  return index;
}

/** Whether null is a value of a reference type. */
export function isNullable(type: ValueType): boolean {
  return !type.startsWith('(ref ') || type.startsWith('(ref null ');
}

const recursionGroupCode = 0x4e;
const subtypeFinalCode = 0x4f;
const subtypeCode = 0x50;
const functionCode = 0x60;
const structCode = 0x5f;
const arrayCode = 0x5e;

/** Reads one entry of the type section, a type or a group of types, into `members`. */
export function readTypeEntry(reader: ByteReader, context: DecodeContext, members: CompositeType[]): void {
  if (reader.peek() !== recursionGroupCode) {
    members.push(readSubtype(reader, context, false));
    return;
  }
  reader.skip(1);
  context.features.add('gc');
  const count = reader.count('types of a group');
  for (let left = count; left > 0; left--) members.push(readSubtype(reader, context, count > 1));
}

function readSubtype(reader: ByteReader, context: DecodeContext, inGroup: boolean): CompositeType {
  const code = reader.peek();
  if (code !== subtypeCode && code !== subtypeFinalCode) return readCompositeType(reader, context, inGroup);
  reader.skip(1);
  context.features.add('gc');
  const supertypes = reader.count('supertypes');
  for (let left = supertypes; left > 0; left--) reader.u32();
  return readCompositeType(reader, context, inGroup || supertypes > 0 || code === subtypeCode);
}

function readCompositeType(reader: ByteReader, context: DecodeContext, grouped: boolean): CompositeType {
  const start = reader.offset;
  const code = reader.u8();
  if (code === functionCode) return readFunctionType(reader, context, grouped);
  if (code !== structCode && code !== arrayCode) {
    return reader.fail(`Unknown form of type 0x${code.toString(16)}`, start);
  }
  context.features.add('gc');
  if (code === arrayCode) return arrayOf(readField(reader, context));
  const fields = reader.count('fields');
  for (let left = fields; left > 0; left--) readField(reader, context);
  return { kind: 'struct', fields };
}

function arrayOf(elementBytes: number | undefined): ArrayType {
  return elementBytes === undefined ? { kind: 'array' } : { kind: 'array', elementBytes };
}

function readFunctionType(reader: ByteReader, context: DecodeContext, grouped: boolean): FunctionType {
  const parameters = readValueTypes(reader, context, 'parameters');
  const results = readValueTypes(reader, context, 'results');
  if (results.length > 1) context.features.add('multi-value');
  return grouped ? { kind: 'function', parameters, results, grouped } : { kind: 'function', parameters, results };
}

function readValueTypes(reader: ByteReader, context: DecodeContext, what: string): ValueType[] {
  const start = reader.offset;
  const count = reader.count(what);
  context.valueTypes += count;
  if (context.valueTypes > valueTypesMax) {
    reader.fail(`The types of the module list more than ${valueTypesMax} values`, start, 'WASM_OVER_LIMIT');
  }
  const types: ValueType[] = [];
  for (let left = count; left > 0; left--) types.push(readValueType(reader, context));
  return types;
}

/** Types that only fields can have, and their bytes: i16, i8. */
const packedTypes: ReadonlyMap<number, number> = new Map([
  [0x77, 2],
  [0x78, 1],
]);

const valueBytes: ReadonlyMap<ValueType, number> = new Map([
  ['i32', 4],
  ['i64', 8],
  ['f32', 4],
  ['f64', 8],
  ['v128', 16],
]);

/** The bytes of a field; undefined if it is a reference. */
function readField(reader: ByteReader, context: DecodeContext): number | undefined {
  const packed = packedTypes.get(reader.peek());
  if (packed !== undefined) reader.skip(1);
  const bytes = packed ?? valueBytes.get(readValueType(reader, context));
  readMutability(reader);
  return bytes;
}

export function readMutability(reader: ByteReader): boolean {
  const start = reader.offset;
  const code = reader.u8();
  if (code > 1) reader.fail(`Unknown mutability 0x${code.toString(16)}`, start);
  return code === 1;
}

/** Bits of the first byte of limits. */
export const limitsFlags = { max: 1, shared: 2, is64: 4, pageSize: 8 } as const;

/** Limits as they are encoded, and where. */
export interface Limits {
  readonly flags: number;
  readonly min: number;
  readonly max: number | undefined;
  readonly pageBytes: number;
  readonly start: number;
  readonly end: number;
}

export const wasmPageBytes = 65_536;

/** Limits of a memory or a table; `flagsAllowed` tells which flags its kind may have. */
export function readLimits(reader: ByteReader, context: DecodeContext, flagsAllowed: number): Limits {
  const start = reader.offset;
  const flags = reader.u8();
  if ((flags & ~flagsAllowed) !== 0) reader.fail(`Unknown limits flags 0x${flags.toString(16)}`, start);
  const is64 = (flags & limitsFlags.is64) !== 0;
  const min = is64 ? reader.u64() : reader.u32();
  const max = (flags & limitsFlags.max) === 0 ? undefined : is64 ? reader.u64() : reader.u32();
  const pageBytes = (flags & limitsFlags.pageSize) === 0 ? wasmPageBytes : readPageBytes(reader);
  if (max !== undefined && max < min) reader.fail(`The maximum ${max} is less than the minimum ${min}`, start);
  if (is64) context.features.add('memory64');
  return { flags, min, max, pageBytes, start, end: reader.offset };
}

function readPageBytes(reader: ByteReader): number {
  const start = reader.offset;
  const exponent = reader.u32();
  if (exponent > 16) reader.fail(`The page size is 2^${exponent} bytes; at most 2^16 are possible`, start);
  return 2 ** exponent;
}

/** The type in WebAssembly text form, such as "(func (param i64) (result i32))". */
export function typeText(type: ExternType): string {
  switch (type.kind) {
    case 'function':
      return `(func${listText('param', type.parameters)}${listText('result', type.results)})`;
    case 'tag':
      return `(tag${listText('param', type.parameters)})`;
    case 'global':
      return `(global ${type.mutable ? `(mut ${type.valueType})` : type.valueType})`;
    case 'table':
      return `(table ${limitsText(type.is64, type.min, type.max)} ${type.elementType})`;
    case 'memory':
      return `(memory ${limitsText(type.is64, type.minPages, type.maxPages)}${memoryExtras(type)})`;
  }
}

function listText(word: string, types: readonly ValueType[]): string {
  return types.length === 0 ? '' : ` (${word} ${types.join(' ')})`;
}

function limitsText(is64: boolean, min: number, max: number | undefined): string {
  return `${is64 ? 'i64 ' : ''}${min}${max === undefined ? '' : ` ${max}`}`;
}

function memoryExtras(type: MemoryType): string {
  const shared = type.shared ? ' shared' : '';
  return type.pageBytes === wasmPageBytes ? shared : `${shared} (pagesize ${type.pageBytes})`;
}

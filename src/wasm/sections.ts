/**
 * The contents of the sections other than code: what each entry is and where it
 * lies. Entries keep their places so that a rewriter can copy them.
 */

import { InstructionReader, skipConstantExpression } from './instructions.ts';
import { shownName } from './problem.ts';
import type { ByteReader } from './reader.ts';
import {
  type CompositeType,
  type DecodeContext,
  type ExternKind,
  externKinds,
  type ExternType,
  type FunctionType,
  type GlobalType,
  isNullable,
  type Limits,
  limitsFlags,
  type MemoryType,
  readLimits,
  readMutability,
  readReferenceType,
  readTypeEntry,
  readValueType,
  type TableType,
  type TagType,
  type ValueType,
} from './types.ts';

/** Numbers of entries beyond which decoding stops, so that its memory is bounded. V8's own bounds are no lower. */
export const entriesMax = {
  types: 200_000,
  imports: 100_000,
  functions: 1_000_000,
  tables: 1_000,
  memories: 1_000,
  tags: 100_000,
  globals: 100_000,
  exports: 100_000,
  elementSegments: 10_000_000,
  dataSegments: 100_000,
} as const;

/** The length of the vector of a section. */
export function entryCount(reader: ByteReader, what: keyof typeof entriesMax, words: string): number {
  const start = reader.offset;
  const count = reader.count(words);
  const most = entriesMax[what];
  if (count > most)
    reader.fail(`The module has ${count} ${words}; at most ${most} are allowed`, start, 'WASM_OVER_LIMIT');
  return count;
}

/** Content of the type section: the types, groups resolved into their members. */
export function readTypes(reader: ByteReader, context: DecodeContext): readonly CompositeType[] {
  const members: CompositeType[] = [];
  for (let left = entryCount(reader, 'types', 'types'); left > 0; left--) {
    readTypeEntry(reader, context, members);
    if (members.length > entriesMax.types) failTypes(reader);
  }
  reader.expectEnd();
  return members;
}

function failTypes(reader: ByteReader): never {
  return reader.fail(`The module has more than ${entriesMax.types} types`, reader.offset, 'WASM_OVER_LIMIT');
}

/** The function type with the index. */
export function functionTypeAt(types: readonly CompositeType[], index: number, reader: ByteReader): FunctionType {
  const type = types[index];
  if (type?.kind !== 'function') return reader.fail(`Type ${index} is not a function type of this module`);
  return type;
}

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A memory or table, imported or not, and where its limits are. */
export interface LimitedEntry<T extends MemoryType | TableType> extends Span {
  readonly type: T;
  readonly limits: Limits;
}

export type MemoryEntry = LimitedEntry<MemoryType>;

export interface TableEntry extends LimitedEntry<TableType> {
  /** Whether null can fill the table when it has no initialiser. */
  readonly nullable: boolean;
}

export interface ImportEntry extends Span {
  readonly module: string;
  readonly name: string;
  readonly kind: ExternKind;
  readonly type: ExternType;
  /** Index of its type, if a function is imported. */
  readonly typeIndex?: number;
  /** Present if a memory is imported. */
  readonly memory?: MemoryEntry;
  /** Present if a table is imported. */
  readonly table?: TableEntry;
}

/** Content of the import section. */
export function readImports(
  reader: ByteReader,
  context: DecodeContext,
  types: readonly CompositeType[],
): readonly ImportEntry[] {
  const imports: ImportEntry[] = [];
  for (let left = entryCount(reader, 'imports', 'imports'); left > 0; left--) {
    imports.push(readImport(reader, context, types));
  }
  reader.expectEnd();
  return imports;
}

function readImport(reader: ByteReader, context: DecodeContext, types: readonly CompositeType[]): ImportEntry {
  const start = reader.offset;
  const module = reader.name();
  const name = reader.name();
  const kind = readKind(reader, `import ${shownName(module)}.${shownName(name)}`);
  const described = readDescription(reader, context, types, kind);
  return { module, name, kind, ...described, start, end: reader.offset };
}

function readKind(reader: ByteReader, what: string): ExternKind {
  const start = reader.offset;
  const code = reader.u8();
  return externKinds[code] ?? reader.fail(`Unknown kind 0x${code.toString(16)} of the ${what}`, start);
}

function readDescription(
  reader: ByteReader,
  context: DecodeContext,
  types: readonly CompositeType[],
  kind: ExternKind,
): Pick<ImportEntry, 'type' | 'typeIndex' | 'memory' | 'table'> {
  switch (kind) {
    case 'function': {
      const typeIndex = reader.u32();
      return { type: functionTypeAt(types, typeIndex, reader), typeIndex };
    }
    case 'tag':
      return { type: readTag(reader, context, types) };
    case 'global':
      return { type: readImportedGlobal(reader, context) };
    case 'memory': {
      const memory = readMemory(reader, context);
      return { type: memory.type, memory };
    }
    case 'table': {
      const table = readPlainTable(reader, context);
      return { type: table.type, table };
    }
  }
}

function readImportedGlobal(reader: ByteReader, context: DecodeContext): GlobalType {
  const type = readGlobalType(reader, context);
  if (type.mutable) context.features.add('mutable-globals');
  return type;
}

function readGlobalType(reader: ByteReader, context: DecodeContext): GlobalType {
  const valueType = readValueType(reader, context);
  return { kind: 'global', valueType, mutable: readMutability(reader) };
}

function readTag(reader: ByteReader, context: DecodeContext, types: readonly CompositeType[]): TagType {
  const start = reader.offset;
  const attribute = reader.u32();
  if (attribute !== 0) reader.fail(`Unknown attribute 0x${attribute.toString(16)} of a tag`, start);
  context.features.add('exception-handling');
  return { kind: 'tag', parameters: functionTypeAt(types, reader.u32(), reader).parameters };
}

/** Content of the function section: the type of each function. */
export function readFunctions(reader: ByteReader, types: readonly CompositeType[]): Uint32Array {
  const indices = new Uint32Array(entryCount(reader, 'functions', 'functions'));
  for (let place = 0; place < indices.length; place++) {
    indices[place] = reader.u32();
    functionTypeAt(types, indices[place] as number, reader);
  }
  reader.expectEnd();
  return indices;
}

const memoryFlags = limitsFlags.max | limitsFlags.shared | limitsFlags.is64 | limitsFlags.pageSize;
const tableFlags = limitsFlags.max | limitsFlags.is64;

function readMemory(reader: ByteReader, context: DecodeContext): MemoryEntry {
  const start = reader.offset;
  const limits = readLimits(reader, context, memoryFlags);
  const shared = (limits.flags & limitsFlags.shared) !== 0;
  if (shared && limits.max === undefined) reader.fail('A shared memory has no maximum', start);
  if (shared) context.features.add('shared-memory');
  if ((limits.flags & limitsFlags.pageSize) !== 0) context.features.add('custom-page-sizes');
  const type: MemoryType = {
    kind: 'memory',
    minPages: limits.min,
    ...(limits.max === undefined ? {} : { maxPages: limits.max }),
    is64: (limits.flags & limitsFlags.is64) !== 0,
    shared,
    pageBytes: limits.pageBytes,
  };
  return { type, limits, start, end: reader.offset };
}

/** Content of the memory section. */
export function readMemories(reader: ByteReader, context: DecodeContext): readonly MemoryEntry[] {
  const memories: MemoryEntry[] = [];
  for (let left = entryCount(reader, 'memories', 'memories'); left > 0; left--) {
    memories.push(readMemory(reader, context));
  }
  reader.expectEnd();
  return memories;
}

/** A table without an initialiser. */
function readPlainTable(reader: ByteReader, context: DecodeContext): TableEntry {
  const start = reader.offset;
  const elementType = readReferenceType(reader, context);
  const limits = readLimits(reader, context, tableFlags);
  const type: TableType = {
    kind: 'table',
    min: limits.min,
    ...(limits.max === undefined ? {} : { max: limits.max }),
    is64: (limits.flags & limitsFlags.is64) !== 0,
    elementType,
  };
  return { type, limits, nullable: isNullable(elementType), start, end: reader.offset };
}

const initialisedTableCode = 0x40;

/** Content of the table section. */
export function readTables(reader: ByteReader, context: DecodeContext): readonly TableEntry[] {
  const instructions = new InstructionReader(reader, context);
  const tables: TableEntry[] = [];
  for (let left = entryCount(reader, 'tables', 'tables'); left > 0; left--) {
    const initialised = reader.peek() === initialisedTableCode;
    tables.push(initialised ? readInitialisedTable(reader, instructions) : readPlainTable(reader, context));
  }
  reader.expectEnd();
  instructions.noteFeatures();
  return tables;
}

function readInitialisedTable(reader: ByteReader, instructions: InstructionReader): TableEntry {
  const start = reader.offset;
  reader.skip(1);
  const reserved = reader.u8();
  if (reserved !== 0) reader.fail('Unknown form of a table', start);
  const table = readPlainTable(reader, instructions.context);
  skipConstantExpression(instructions);
  return { ...table, start, end: reader.offset };
}

/** Content of the tag section. */
export function readTags(
  reader: ByteReader,
  context: DecodeContext,
  types: readonly CompositeType[],
): readonly TagType[] {
  const tags: TagType[] = [];
  for (let left = entryCount(reader, 'tags', 'tags'); left > 0; left--) tags.push(readTag(reader, context, types));
  reader.expectEnd();
  return tags;
}

/** Content of the global section. */
export function readGlobals(reader: ByteReader, context: DecodeContext): readonly GlobalType[] {
  const instructions = new InstructionReader(reader, context);
  const globals: GlobalType[] = [];
  for (let left = entryCount(reader, 'globals', 'globals'); left > 0; left--) {
    globals.push(readGlobalType(reader, context));
    skipConstantExpression(instructions);
  }
  reader.expectEnd();
  instructions.noteFeatures();
  return globals;
}

export interface ExportEntry {
  readonly name: string;
  readonly kind: ExternKind;
  readonly index: number;
}

/** Content of the export section. Whether the indices exist is not checked here. */
export function readExports(reader: ByteReader): readonly ExportEntry[] {
  const exports: ExportEntry[] = [];
  const names = new Set<string>();
  for (let left = entryCount(reader, 'exports', 'exports'); left > 0; left--) {
    const start = reader.offset;
    const name = reader.name();
    if (names.has(name)) reader.fail(`Two exports have the name "${shownName(name)}"`, start);
    names.add(name);
    const kind = readKind(reader, `export ${shownName(name)}`);
    exports.push({ name, kind, index: reader.u32() });
  }
  reader.expectEnd();
  return exports;
}

/** Content of the start section or of the data count section. */
export function readSingleIndex(reader: ByteReader): number {
  const index = reader.u32();
  reader.expectEnd();
  return index;
}

/** Bits of the first integer of an element segment. */
const elementFlags = { passive: 1, explicit: 2, expressions: 4 } as const;
const elementFlagsMax = 7;

/** Passes over the content of the element section; returns the number of segments. */
export function readElements(reader: ByteReader, context: DecodeContext): number {
  const instructions = new InstructionReader(reader, context);
  const count = entryCount(reader, 'elementSegments', 'element segments');
  for (let left = count; left > 0; left--) skipElementSegment(reader, instructions);
  reader.expectEnd();
  instructions.noteFeatures();
  return count;
}

function skipElementSegment(reader: ByteReader, instructions: InstructionReader): void {
  const start = reader.offset;
  const flags = reader.u32();
  if (flags > elementFlagsMax) reader.fail(`Unknown form ${flags} of an element segment`, start);
  const passive = (flags & elementFlags.passive) !== 0;
  const explicit = (flags & elementFlags.explicit) !== 0;
  const expressions = (flags & elementFlags.expressions) !== 0;
  if (passive) instructions.context.features.add('bulk-memory');
  if (!passive && explicit) reader.u32();
  if (!passive) skipConstantExpression(instructions);
  if (passive || explicit) skipElementType(reader, instructions.context, expressions);
  for (let left = reader.count('elements'); left > 0; left--) {
    if (expressions) skipConstantExpression(instructions);
    else readFunctionReference(reader, instructions.context);
  }
}

function readFunctionReference(reader: ByteReader, context: DecodeContext): void {
  const start = reader.offset;
  const index = reader.u32();
  context.onFunctionReference?.({ index, start, end: reader.offset });
}

function skipElementType(reader: ByteReader, context: DecodeContext, expressions: boolean): ValueType | undefined {
  if (expressions) return readReferenceType(reader, context);
  const start = reader.offset;
  const kind = reader.u8();
  if (kind !== 0) reader.fail(`Unknown kind 0x${kind.toString(16)} of an element segment`, start);
  return undefined;
}

const dataFormMax = 2;
const dataFormPassive = 1;

export interface DataSummary {
  readonly segments: number;
  readonly bytes: number;
}

/** Passes over the content of the data section. */
export function readData(reader: ByteReader, context: DecodeContext): DataSummary {
  const instructions = new InstructionReader(reader, context);
  const segments = entryCount(reader, 'dataSegments', 'data segments');
  let bytes = 0;
  for (let left = segments; left > 0; left--) bytes += skipDataSegment(reader, instructions);
  reader.expectEnd();
  instructions.noteFeatures();
  return { segments, bytes };
}

function skipDataSegment(reader: ByteReader, instructions: InstructionReader): number {
  const start = reader.offset;
  const form = reader.u32();
  if (form > dataFormMax) reader.fail(`Unknown form ${form} of a data segment`, start);
  if (form === dataFormPassive) instructions.context.features.add('bulk-memory');
  if (form === dataFormMax) reader.u32();
  if (form !== dataFormPassive) skipConstantExpression(instructions);
  const length = reader.count('bytes of data');
  reader.skip(length);
  return length;
}

/**
 * Rewrites a valid module so that it can be run under limits: imported memories
 * and tables become its own, their maxima are clamped, its start function and
 * its initialisers become exports that the host calls itself. Function indices
 * and code stay as they are. It judges no imports and no features.
 */

import { type Clamps, clampLimits } from './clamp.ts';
import type { ExportInfo, ModuleInfo } from './inspect.ts';
import {
  moduleHeader,
  openSection,
  readLayout,
  type Section,
  sectionIds,
  type SectionName,
  sectionRank,
} from './layout.ts';
import { reservedPrefix } from './policy.ts';
import { shownName, WasmError } from './problem.ts';
import type { ByteReader } from './reader.ts';
import {
  type ImportEntry,
  type MemoryEntry,
  readImports,
  readMemories,
  readTables,
  readTypes,
  type Span,
  type TableEntry,
} from './sections.ts';
import { createContext, type ExternType, externKinds, limitsFlags, wasmPageBytes } from './types.ts';
import { ByteWriter } from './writer.ts';

export interface RewriteOptions {
  /** What all memories and tables together may take. */
  readonly memoryBytesMax: number;
}

export interface ClampedMemory {
  /** Name under which the memory is exported. */
  readonly name: string;
  readonly clampedPages: number;
  readonly is64: boolean;
}

export interface ClampedTable {
  readonly clampedElements: number;
}

export interface RewrittenModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly memories: readonly ClampedMemory[];
  readonly tables: readonly ClampedTable[];
  /** Names of exported functions to call before any other, in this order. */
  readonly lifecycle: readonly string[];
  /** The exports of the rewritten module, the added and renamed ones included. */
  readonly exports: readonly ExportInfo[];
}

/** Exports that loaders call by themselves; the host wants to call them under its own limits. */
const lifecycleNames = ['hs_init', '_initialize', '_start'] as const;
const startName = `${reservedPrefix}start`;

/** Custom sections whose offsets would no longer be right. */
const staleSection = /^(\.debug_|reloc\.|metadata\.code\.|(sourceMappingURL|external_debug_info|linking)$)/;

/** Rewrites a module that `info` describes; throws a WasmError if it cannot run within the limits. */
export function rewriteModule(bytes: Uint8Array, info: ModuleInfo, options: RewriteOptions): RewrittenModule {
  checkReservedNames(info);
  checkPageSizes(info);
  const clamps = clampLimits(info.memories, info.tables, options.memoryBytesMax);
  const exports = exportsOf(info);
  const rewriter = new Rewriter(bytes, clamps, exports);
  return {
    bytes: rewriter.write(),
    memories: info.memories.map(({ is64 }, index) => ({
      name: memoryName(index),
      clampedPages: clamps.memoryPages[index] ?? 0,
      is64,
    })),
    tables: clamps.tableElements.map((clampedElements) => ({ clampedElements })),
    lifecycle: lifecycleOf(info),
    exports,
  };
}

function memoryName(index: number): string {
  return `${reservedPrefix}memory${index}`;
}

function checkReservedNames(info: ModuleInfo): void {
  const taken = info.exports.find((entry) => entry.name.startsWith(reservedPrefix));
  if (taken === undefined) return;
  throw new WasmError({
    reason: 'WASM_RESERVED_NAME',
    location: `export ${shownName(taken.name)}`,
    message: `Names that begin with "${reservedPrefix}" belong to the server: rename the export`,
  });
}

function checkPageSizes(info: ModuleInfo): void {
  const index = info.memories.findIndex((memory) => memory.pageBytes !== wasmPageBytes);
  if (index === -1) return;
  throw new WasmError({
    reason: 'WASM_FEATURE_NOT_ALLOWED',
    location: `memory ${index}`,
    message: `Only pages of ${wasmPageBytes} bytes are supported: build without custom page sizes`,
  });
}

function exportsOf(info: ModuleInfo): readonly ExportInfo[] {
  const renamed = info.exports.map((entry) =>
    isLifecycleName(entry.name) ? { ...entry, name: reservedPrefix + entry.name } : entry,
  );
  const memories = info.memories.map((type, index) => added(memoryName(index), index, type));
  const { startFunction, startType } = info;
  if (startFunction === undefined || startType === undefined) return [...renamed, ...memories];
  return [...renamed, ...memories, added(startName, startFunction, startType)];
}

function added(name: string, index: number, type: ExternType): ExportInfo {
  return { name, kind: type.kind, index, type };
}

function isLifecycleName(name: string): boolean {
  return lifecycleNames.some((candidate) => candidate === name);
}

function lifecycleOf(info: ModuleInfo): readonly string[] {
  const callable = lifecycleNames.filter((name) =>
    info.exports.some((entry) => entry.name === name && isCallable(entry)),
  );
  const alone = callable.filter((name) => name !== 'hs_init' || !callable.includes('_initialize'));
  const initialiser = alone.slice(0, 1).map((name) => reservedPrefix + name);
  return info.startFunction === undefined ? initialiser : [startName, ...initialiser];
}

/** A function that can be called without arguments: the i32 parameters of a C main count as 0. */
function isCallable({ type }: ExportInfo): boolean {
  return type.kind === 'function' && type.parameters.every((parameter) => parameter === 'i32');
}

const replacedSections: readonly SectionName[] = ['import', 'table', 'memory', 'export', 'start'];

/** Writes one module anew, section by section. */
class Rewriter {
  readonly #bytes: Uint8Array;
  readonly #layout: readonly Section[];
  readonly #clamps: Clamps;
  readonly #exports: readonly ExportInfo[];
  readonly #imports: readonly ImportEntry[];
  readonly #context = createContext();
  readonly #writer = new ByteWriter();

  constructor(bytes: Uint8Array, clamps: Clamps, exports: readonly ExportInfo[]) {
    this.#bytes = bytes;
    this.#layout = readLayout(bytes);
    this.#clamps = clamps;
    this.#exports = exports;
    const types = this.#read('type', (reader) => readTypes(reader, this.#context)) ?? [];
    this.#imports = this.#read('import', (reader) => readImports(reader, this.#context, types)) ?? [];
  }

  write(): Uint8Array<ArrayBuffer> {
    this.#writer.u8(...moduleHeader);
    let rankWritten = -1;
    for (const section of this.#layout) {
      if (section.name !== 'custom') {
        this.#writeReplaced(rankWritten, sectionRank(section.name));
        rankWritten = sectionRank(section.name);
      }
      if (!isDropped(section)) this.#writer.bytes(this.#bytes.subarray(section.start, section.end));
    }
    this.#writeReplaced(rankWritten, Number.POSITIVE_INFINITY);
    return this.#writer.finish();
  }

  /** Writes the sections that are written anew whose ranks lie after one rank and up to another. */
  #writeReplaced(after: number, upTo: number): void {
    for (const name of replacedSections) {
      const rank = sectionRank(name);
      if (rank > after && rank <= upTo) this.#writeSection(name);
    }
  }

  #writeSection(name: SectionName): void {
    if (name === 'import') this.#writeImports();
    else if (name === 'table') this.#writeTables();
    else if (name === 'memory') this.#writeMemories();
    else if (name === 'export') this.#writeExports();
  }

  /** Imports come first in each index space, so whatever else is imported keeps its index when these go. */
  #writeImports(): void {
    const kept = this.#imports.filter((entry) => entry.memory === undefined && entry.table === undefined);
    this.#writeVector('import', kept, (entry, writer) => writer.bytes(this.#span(entry)));
  }

  #writeTables(): void {
    const imported = this.#imports.filter((entry) => entry.table !== undefined);
    for (const entry of imported) checkNullable(entry);
    const defined = this.#read('table', (reader) => readTables(reader, this.#context)) ?? [];
    this.#writeLimited('table', [...entriesOf(imported, 'table'), ...defined], this.#clamps.tableElements);
  }

  #writeMemories(): void {
    const defined = this.#read('memory', (reader) => readMemories(reader, this.#context)) ?? [];
    this.#writeLimited('memory', [...entriesOf(this.#imports, 'memory'), ...defined], this.#clamps.memoryPages);
  }

  /** Copies each entry but for its limits. */
  #writeLimited(name: SectionName, entries: readonly (MemoryEntry | TableEntry)[], maxima: readonly number[]): void {
    const numbered = entries.map((entry, index) => ({ entry, max: maxima[index] ?? entry.limits.min }));
    this.#writeVector(name, numbered, ({ entry, max }, writer) => {
      const { limits } = entry;
      writer.bytes(this.#span({ start: entry.start, end: limits.start }));
      writer
        .u8(limits.flags | limitsFlags.max)
        .unsigned(limits.min)
        .unsigned(max);
      writer.bytes(this.#span({ start: limits.end, end: entry.end }));
    });
  }

  #writeExports(): void {
    this.#writeVector('export', this.#exports, ({ name, kind, index }, writer) => {
      writer.name(name).u8(externKinds.indexOf(kind)).unsigned(index);
    });
  }

  #writeVector<T>(name: SectionName, items: readonly T[], write: (item: T, writer: ByteWriter) => void): void {
    if (items.length === 0) return;
    this.#writer.section(sectionIds[name], (content) => content.vector(items, write));
  }

  #read<T>(name: SectionName, read: (reader: ByteReader) => T): T | undefined {
    const section = this.#layout.find((candidate) => candidate.name === name);
    return section === undefined ? undefined : read(openSection(this.#bytes, section));
  }

  #span({ start, end }: Span): Uint8Array {
    return this.#bytes.subarray(start, end);
  }
}

function isDropped(section: Section): boolean {
  return replacedSections.includes(section.name) || staleSection.test(section.customName);
}

function entriesOf<K extends 'memory' | 'table'>(
  imports: readonly ImportEntry[],
  kind: K,
): readonly NonNullable<ImportEntry[K]>[] {
  return imports.map((entry) => entry[kind]).filter((entry) => entry !== undefined);
}

function checkNullable({ module, name, table }: ImportEntry): void {
  if (table === undefined || table.nullable) return;
  const location = `import ${shownName(module)}.${shownName(name)}`;
  const message =
    `The ${location} is a table of ${table.type.elementType}, which cannot be empty, and nobody provides it: ` +
    'define the table with an initial value in the module';
  throw new WasmError({ reason: 'IMPORT_UNKNOWN', location, message });
}

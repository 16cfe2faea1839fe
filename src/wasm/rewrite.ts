/**
 * Rewrites a valid module so that it can be run under limits: imported memories
 * and tables become its own, their maxima are clamped, its start function and
 * its initialisers become exports that the host calls itself, and its fuel is
 * counted. One pass over the sections. It judges no imports and no features.
 */

import { type Clamps, clampLimits } from './clamp.ts';
import type { ExportInfo, ModuleInfo } from './inspect.ts';
import { moduleHeader, openSection, readLayout, type Section, sectionIds, type SectionName } from './layout.ts';
import { branchHintSection } from './metering/branch-hints.ts';
import { type Appended, type MeteredCode, Meter, type MeteringOptions } from './metering/meter.ts';
import type { OffsetMap } from './metering/offset-map.ts';
import { MovingCopier } from './moving-copier.ts';
import { rewriteNames } from './name-section.ts';
import { shownName, WasmError } from './problem.ts';
import type { ByteReader } from './reader.ts';
import { checkReservedNames, exportsOf, lifecycleOf, memoryName } from './rewritten-exports.ts';
import { inOrder } from './section-writer.ts';
import {
  type ImportEntry,
  type MemoryEntry,
  readElements,
  readFunctions,
  readGlobals,
  readImports,
  readMemories,
  readTables,
  readTypes,
  type TableEntry,
} from './sections.ts';
import {
  createContext,
  type DecodeContext,
  externKinds,
  type FunctionReference,
  limitsFlags,
  wasmPageBytes,
} from './types.ts';
import { ByteWriter } from './writer.ts';

/**
 * Belongs to every rewritten module that is kept: another version would have written
 * it, or merged it with the kernel, differently.
 */
export const rewriterVersion = 5;

export interface RewriteOptions {
  /** What all memories and tables together may take. */
  readonly memoryBytesMax: number;
  /** Without it fuel is not counted, and code and function indices stay as they are. */
  readonly metering?: MeteringOptions;
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

export interface MeteringResult {
  /** From positions in the rewritten code to those of the original. */
  readonly offsets: OffsetMap;
  /** The cost of all instructions of each defined function, lengths and declared prices left out. */
  readonly functionCosts: Float64Array;
}

export interface RewrittenModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly memories: readonly ClampedMemory[];
  readonly tables: readonly ClampedTable[];
  /** Names of exported functions to call before any other, in this order. */
  readonly lifecycle: readonly string[];
  /** The exports of the rewritten module, the added and renamed ones included. */
  readonly exports: readonly ExportInfo[];
  /** Present if fuel is counted. */
  readonly metering?: MeteringResult;
}

/** Custom sections whose offsets would no longer be right. */
const staleSection = /^(\.debug_|reloc\.|metadata\.code\.|(sourceMappingURL|external_debug_info|linking)$)/;

/** Rewrites a module that `info` describes; throws a WasmError if it cannot run within the limits. */
export function rewriteModule(bytes: Uint8Array, info: ModuleInfo, options: RewriteOptions): RewrittenModule {
  checkReservedNames(info);
  checkPageSizes(info);
  const clamps = clampLimits(info.memories, info.tables, options.memoryBytesMax);
  const rewriter = new Rewriter(bytes, info, clamps, options.metering);
  return {
    ...rewriter.write(),
    memories: info.memories.map(({ is64 }, index) => ({
      name: memoryName(index),
      clampedPages: clamps.memoryPages[index] ?? 0,
      is64,
    })),
    tables: clamps.tableElements.map((clampedElements) => ({ clampedElements })),
    lifecycle: lifecycleOf(info),
  };
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

const nothing: Appended = { count: 0, bytes: new Uint8Array() };

/** Writes one module anew: first the contents of the sections that change, then all sections in their order. */
class Rewriter {
  readonly #bytes: Uint8Array;
  readonly #layout: readonly Section[];
  readonly #clamps: Clamps;
  readonly #info: ModuleInfo;
  readonly #imports: readonly ImportEntry[];
  readonly #meter: Meter | undefined;
  readonly #context = createContext();
  /** Contents that take the place of the original's; an empty one means that the section goes. */
  readonly #contents = new Map<SectionName, Uint8Array>();
  readonly #writer = new ByteWriter();

  constructor(bytes: Uint8Array, info: ModuleInfo, clamps: Clamps, metering: MeteringOptions | undefined) {
    this.#bytes = bytes;
    this.#info = info;
    this.#layout = readLayout(bytes);
    this.#clamps = clamps;
    const types = this.#read('type', (reader) => readTypes(reader, this.#context)) ?? [];
    this.#imports = this.#read('import', (reader) => readImports(reader, this.#context, types)) ?? [];
    if (metering === undefined) return;
    const globals = this.#imports.filter(({ kind }) => kind === 'global').length + info.sizes.globals;
    const functionTypes = this.#read('function', (reader) => readFunctions(reader, types)) ?? new Uint32Array();
    const { memories, tables } = info;
    const context = this.#context;
    const module = { bytes, context, types, imports: this.#imports, functionTypes, memories, tables, globals };
    this.#meter = new Meter(module, metering);
  }

  write(): Pick<RewrittenModule, 'bytes' | 'exports' | 'metering'> {
    this.#replaceImports();
    this.#replaceTables();
    this.#replaceMemories();
    const code = this.#meter === undefined ? undefined : this.#replaceMetered(this.#meter);
    const exports = this.#movedExports();
    this.#replaceVector('export', exports, ({ name, kind, index }, writer) => {
      writer.name(name).u8(externKinds.indexOf(kind)).unsigned(index);
    });
    this.#contents.set('start', new Uint8Array());
    if (this.#meter !== undefined) {
      this.#contents.set('function', this.#meter.functionSection);
      this.#append('type', this.#meter.appendedTypes);
    }
    const codeStart = this.#writeSections(code);
    const bytes = this.#writer.finish();
    if (code === undefined) return { bytes, exports };
    const { offsets, functionCosts, bodies } = code;
    const importedFunctions = this.#meter?.imported ?? 0;
    const map = offsets.finish(importedFunctions, codeStart, codeStart + bodies.length);
    return { bytes, exports, metering: { offsets: map, functionCosts } };
  }

  /** The exports with the indices that functions have in the rewritten module. */
  #movedExports(): readonly ExportInfo[] {
    const meter = this.#meter;
    const exports = exportsOf(this.#info);
    if (meter === undefined) return exports;
    const moved = exports.map((entry) =>
      entry.kind === 'function' ? { ...entry, index: meter.exported(entry.index) } : entry,
    );
    return [...moved, ...meter.addedExports];
  }

  /** Imports come first in each index space, so whatever else is imported keeps its index when these go. */
  #replaceImports(): void {
    const kept = this.#imports.filter((entry) => entry.memory === undefined && entry.table === undefined);
    const { count, bytes } = this.#meter?.appendedImports ?? nothing;
    const content = new ByteWriter().unsigned(kept.length + count);
    for (const { start, end } of kept) content.copy(this.#bytes, start, end);
    this.#contents.set('import', kept.length + count === 0 ? new Uint8Array() : content.bytes(bytes).finish());
  }

  #replaceTables(): void {
    const imported = this.#imports.filter((entry) => entry.table !== undefined);
    for (const entry of imported) checkNullable(entry);
    const references: FunctionReference[] = [];
    const context = { ...this.#context, onFunctionReference: (found: FunctionReference) => references.push(found) };
    const defined = this.#read('table', (reader) => readTables(reader, context)) ?? [];
    const entries = [...entriesOf(imported, 'table'), ...defined];
    this.#replaceLimited('table', entries, this.#clamps.tableElements, references);
  }

  #replaceMemories(): void {
    const defined = this.#read('memory', (reader) => readMemories(reader, this.#context)) ?? [];
    const entries = [...entriesOf(this.#imports, 'memory'), ...defined];
    this.#replaceLimited('memory', entries, this.#clamps.memoryPages, []);
  }

  /** Copies each entry but for its limits. */
  #replaceLimited(
    name: SectionName,
    entries: readonly (MemoryEntry | TableEntry)[],
    maxima: readonly number[],
    references: readonly FunctionReference[],
  ): void {
    const numbered = entries.map((entry, index) => ({ entry, max: maxima[index] ?? entry.limits.min }));
    this.#replaceVector(name, numbered, ({ entry, max }, writer) => {
      const { limits } = entry;
      writer.copy(this.#bytes, entry.start, limits.start);
      writer
        .byte(limits.flags | limitsFlags.max)
        .unsigned(limits.min)
        .unsigned(max);
      const copier = new MovingCopier(this.#bytes, limits.end, writer, this.#moved);
      for (const reference of references) {
        if (reference.start >= limits.end && reference.end <= entry.end) copier.move(reference);
      }
      copier.copyTo(entry.end);
    });
  }

  /** The function to refer to where the original refers to this one. */
  readonly #moved = (index: number): number => this.#meter?.referenced(index) ?? index;

  /** The contents that change only if fuel is counted. Code comes last, as all that refers to functions must be known. */
  #replaceMetered(meter: Meter): MeteredCode {
    this.#append('global', meter.appendedGlobals, readGlobals);
    this.#append('element', nothing, readElements);
    return meter.meterCode(this.#read('code', (reader) => reader));
  }

  /** Appends entries to a section; function indices that `read` comes across move. */
  #append(name: SectionName, appended: Appended, read?: (reader: ByteReader, context: DecodeContext) => unknown): void {
    const section = this.#section(name);
    const content = new ByteWriter();
    if (section === undefined) {
      if (appended.count > 0) this.#contents.set(name, content.unsigned(appended.count).bytes(appended.bytes).finish());
      return;
    }
    const head = openSection(this.#bytes, section);
    content.unsigned(head.u32() + appended.count);
    const copier = new MovingCopier(this.#bytes, head.offset, content, this.#moved);
    const onFunctionReference = (reference: FunctionReference): void => copier.move(reference);
    read?.(openSection(this.#bytes, section), { ...this.#context, onFunctionReference });
    copier.copyTo(section.end);
    this.#contents.set(name, content.bytes(appended.bytes).finish());
  }

  #replaceVector<T>(name: SectionName, items: readonly T[], write: (item: T, writer: ByteWriter) => void): void {
    const content = items.length === 0 ? new Uint8Array() : new ByteWriter().vector(items, write).finish();
    this.#contents.set(name, content);
  }

  /** Writes all sections; returns where the bodies of functions begin, if the code has been replaced. */
  #writeSections(code: MeteredCode | undefined): number {
    let codeStart = 0;
    this.#writer.u8(...moduleHeader);
    inOrder(this.#layout, (name, section) => {
      if (name === 'code' && code !== undefined) codeStart = this.#writeCode(code);
      else if (name === 'custom' && section !== undefined) this.#writeCustom(section);
      else if (this.#contents.has(name)) this.#writeReplaced(name);
      else if (section !== undefined) this.#writer.copy(this.#bytes, section.start, section.end);
    });
    return codeStart;
  }

  #writeReplaced(name: SectionName): void {
    const content = this.#contents.get(name);
    if (content !== undefined && content.length > 0) this.#writer.byte(sectionIds[name]).sized(content);
  }

  #writeCustom(section: Section): void {
    if (staleSection.test(section.customName)) return;
    if (section.customName !== 'name' || this.#meter === undefined) {
      this.#writer.copy(this.#bytes, section.start, section.end);
      return;
    }
    const meter = this.#meter;
    this.#writer.section(sectionIds.custom, (content) => {
      const moves = {
        moved: (index: number) => meter.moved(index),
        movedLocal: (index: number, local: number) => meter.movedLocal(index, local),
        added: meter.addedNames,
      };
      rewriteNames(openSection(this.#bytes, section), moves, content.name('name'));
    });
  }

  #writeCode({ bodies, hints }: MeteredCode): number {
    this.#writer.section(sectionIds.custom, (content) => hints.write(content.name(branchHintSection)));
    const added = this.#meter?.appendedBodies ?? nothing;
    const count = new ByteWriter().unsigned(this.#info.sizes.functions + added.count).finish();
    this.#writer.byte(sectionIds.code).unsigned(count.length + bodies.length + added.bytes.length);
    const start = this.#writer.bytes(count).length;
    this.#writer.bytes(bodies).bytes(added.bytes);
    return start;
  }

  #section(name: SectionName): Section | undefined {
    return this.#layout.find((candidate) => candidate.name === name);
  }

  #read<T>(name: SectionName, read: (reader: ByteReader) => T): T | undefined {
    const section = this.#section(name);
    return section === undefined ? undefined : read(openSection(this.#bytes, section));
  }
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

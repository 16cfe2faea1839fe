/**
 * Joins a guest and a small module of the server's own into one module: the
 * guest's imports of that module become direct calls, and what it has is appended
 * to what the guest has, so that of the guest only function indices move. The
 * guest must have been validated before anything at all was appended to it: then
 * no index in it leads to what is the server's.
 */

import type { ExportInfo } from '../inspect.ts';
import { moduleHeader, openSection, readLayout, type Section, sectionIds, type SectionName } from '../layout.ts';
import { branchHintSection } from '../metering/branch-hints.ts';
import type { OffsetMap } from '../metering/offset-map.ts';
import { MovingCopier } from '../moving-copier.ts';
import { type FunctionMoves, rewriteNames } from '../name-section.ts';
import { functionNameOf } from '../names.ts';
import type { ByteReader } from '../reader.ts';
import { inOrder } from '../section-writer.ts';
import {
  type ImportEntry,
  type MemoryEntry,
  readElements,
  readGlobals,
  readImports,
  readMemories,
  readTables,
  readTypes,
} from '../sections.ts';
import { createContext, type DecodeContext, externKinds, type MemoryType } from '../types.ts';
import { ByteWriter } from '../writer.ts';
import { type MovedCode, moveGuestCode } from './guest-code.ts';
import { type GuestCounts, HostContents, type SharedSection } from './host-contents.ts';
import type { IndexSpace } from './host-copier.ts';
import { HostModule } from './host-module.ts';
import { FunctionPlaces } from './places.ts';

export interface MergeOptions {
  /** Module name under which guests import what the host module exports. */
  readonly moduleName: string;
  /** Exports of the host module that guests may import; all of them are functions. */
  readonly importable: ReadonlySet<string>;
  /** Exports of the guest that the merged module has, too. */
  readonly guestExports: readonly Pick<ExportInfo, 'name' | 'kind' | 'index'>[];
  /** Exports of the host module that the merged module has, and the names that it gives them. */
  readonly hostExports: readonly { readonly name: string; readonly as: string }[];
  /** Module name under which the merged module imports its memories, by their indices, instead of defining them. */
  readonly memoryModule: string;
}

/** The names by which a function is imported. */
export interface FunctionImport {
  readonly module: string;
  readonly name: string;
}

export interface MergedModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The functions that it imports, in the order of their indices. */
  readonly imports: readonly FunctionImport[];
  /** The memories that it imports, the guest's first, in the order of their indices. */
  readonly memories: readonly MemoryType[];
  /** Index of the first function that the guest defines. */
  readonly firstFunction: number;
  /** From positions in the merged code to those in the guest's as it was given. */
  readonly offsets: OffsetMap;
}

/** Throws a WasmError if the host module does not have what the guest imports from it, or the result would be too large. */
export function mergeModules(guest: Uint8Array, host: Uint8Array, options: MergeOptions): MergedModule {
  return new Merger(guest, new HostModule(host), options).merge();
}

/** Sections of the guest in which function indices stand, and how to find them there. */
const referring: Readonly<Partial<Record<SectionName, (reader: ByteReader, context: DecodeContext) => unknown>>> = {
  table: readTables,
  global: readGlobals,
  element: readElements,
};

class Merger {
  readonly #guest: Uint8Array;
  readonly #host: HostModule;
  readonly #options: MergeOptions;
  readonly #layout: readonly Section[];
  readonly #context = createContext();
  readonly #imports: readonly ImportEntry[];
  readonly #counts: GuestCounts;
  readonly #places: FunctionPlaces;
  readonly #added: HostContents;
  /** Those that the guest defines, and behind them the host module's. */
  readonly #memories: readonly (MemoryEntry & { readonly bytes: Uint8Array })[];
  readonly #writer = new ByteWriter();

  constructor(guest: Uint8Array, host: HostModule, options: MergeOptions) {
    this.#guest = guest;
    this.#host = host;
    this.#options = options;
    this.#layout = readLayout(guest);
    const types = this.#read('type', (reader) => readTypes(reader, this.#context)) ?? [];
    this.#imports = this.#read('import', (reader) => readImports(reader, this.#context, types)) ?? [];
    this.#counts = this.#countGuest(types.length);
    const { moduleName, importable, hostExports } = options;
    const needed = hostExports.map(({ name }) => this.#hostExport(name)).filter(({ kind }) => kind === 'function');
    this.#places = new FunctionPlaces({
      imports: this.#imports,
      definedFunctions: this.#countOf('function'),
      host,
      moduleName,
      importable,
      needed: needed.map(({ index }) => index),
    });
    this.#added = new HostContents(host, this.#places, this.#counts);
    const own = this.#read('memory', (reader) => readMemories(reader, this.#context)) ?? [];
    const added = host.read('memory', (reader) => readMemories(reader, createContext())) ?? [];
    this.#memories = [
      ...own.map((entry) => ({ ...entry, bytes: guest })),
      ...added.map((entry) => ({ ...entry, bytes: host.bytes })),
    ];
  }

  merge(): MergedModule {
    const code = moveGuestCode({
      bytes: this.#guest,
      context: this.#context,
      code: this.#open('code'),
      hints: this.#open('custom', branchHintSection),
      importedFunctions: this.#places.guestImported,
      moves: this.#places.guestMoves,
    });
    const codeStart = this.#writeSections(code);
    const { firstDefined, keptImports, hostImports } = this.#places;
    const kept = keptImports.filter(({ kind }) => kind === 'function');
    const imports = [...kept, ...hostImports.map((index) => this.#host.imports[index] as ImportEntry)];
    return {
      bytes: this.#writer.finish(),
      imports: imports.map(({ module, name }) => ({ module, name })),
      memories: this.#memories.map(({ type }) => type),
      firstFunction: firstDefined,
      offsets: code.offsets.finish(this.#places.guestImported, codeStart, codeStart + code.bodies.length),
    };
  }

  #countGuest(types: number): GuestCounts {
    const imported = (kind: ImportEntry['kind']): number => this.#imports.filter((entry) => entry.kind === kind).length;
    return {
      type: types,
      table: imported('table') + this.#countOf('table'),
      memory: imported('memory') + this.#countOf('memory'),
      global: imported('global') + this.#countOf('global'),
      element: this.#countOf('element'),
      data: this.#countOf('data'),
    };
  }

  /** Writes all sections; returns where the bodies of functions begin. */
  #writeSections(code: MovedCode): number {
    let codeStart = 0;
    this.#writer.u8(...moduleHeader);
    inOrder(this.#layout, (name, section) => {
      switch (name) {
        case 'custom':
          return section && this.#writeCustom(section, code);
        case 'export':
          return this.#writeExports();
        case 'start':
          return section && this.#writeStart(section);
        case 'tag':
          return section && this.#writer.copy(this.#guest, section.start, section.end);
        case 'memory':
          return;
        case 'dataCount':
          return this.#writeDataCount(section);
        case 'code':
          codeStart = this.#writeCode(code);
          return;
        default:
          return this.#writeShared(name, section);
      }
    });
    return codeStart;
  }

  /** Writes the guest's entries of a section and those of the host module behind them. */
  #writeShared(name: SharedSection, section: Section | undefined): void {
    if (name === 'import') return this.#writeImports();
    const { count, bytes } = this.#added.of(name);
    const content = new ByteWriter();
    const own = this.#writeOwn(name, section, content);
    if (own + count === 0) return;
    const head = new ByteWriter().unsigned(own + count).finish();
    this.#writer.byte(sectionIds[name]).unsigned(head.length + content.length + bytes.length);
    this.#writer.bytes(head).bytes(content.finish()).bytes(bytes);
  }

  /** The functions that are left to import, and all memories: imported ones have the same indices. */
  #writeImports(): void {
    const { count, bytes } = this.#added.of('import');
    const content = new ByteWriter();
    const kept = this.#writeKeptImports(content);
    content.bytes(bytes);
    for (const [index, { bytes: source, start, end }] of this.#memories.entries()) {
      content.name(this.#options.memoryModule).name(String(index)).byte(externKinds.indexOf('memory'));
      content.copy(source, start, end);
    }
    const total = kept + count + this.#memories.length;
    if (total === 0) return;
    this.#writer.section(sectionIds.import, (section) => section.unsigned(total).bytes(content.finish()));
  }

  #writeKeptImports(to: ByteWriter): number {
    const { keptImports } = this.#places;
    for (const { start, end } of keptImports) to.copy(this.#guest, start, end);
    return keptImports.length;
  }

  /** Writes the guest's entries, function indices moved; returns how many there are. */
  #writeOwn(name: SharedSection, section: Section | undefined, to: ByteWriter): number {
    if (section === undefined) return 0;
    const head = openSection(this.#guest, section);
    const count = head.u32();
    const copier = new MovingCopier(this.#guest, head.offset, to, this.#moved);
    const context = { ...this.#context, onFunctionReference: copier.move.bind(copier) };
    referring[name]?.(openSection(this.#guest, section), context);
    copier.copyTo(section.end);
    return count;
  }

  readonly #moved = (index: number): number => this.#places.guestMoves[index] as number;

  #writeExports(): void {
    const { guestExports, hostExports } = this.#options;
    const own = guestExports.map(({ name, kind, index }) => ({
      name,
      kind,
      index: kind === 'function' ? this.#moved(index) : index,
    }));
    const added = hostExports.map(({ name, as }) => {
      const { kind, index } = this.#hostExport(name);
      return { name: as, kind, index: this.#added.moved(spaceOf(kind), index) };
    });
    this.#writer.section(sectionIds.export, (content) => {
      content.vector([...own, ...added], ({ name, kind, index }) => {
        content.name(name).byte(externKinds.indexOf(kind)).unsigned(index);
      });
    });
  }

  #writeStart(section: Section): void {
    const index = this.#moved(openSection(this.#guest, section).u32());
    this.#writer.section(sectionIds.start, (content) => content.unsigned(index));
  }

  #writeDataCount(section: Section | undefined): void {
    if (section === undefined && this.#host.read('dataCount', () => true) === undefined) return;
    const count = this.#counts.data + this.#added.of('data').count;
    this.#writer.section(sectionIds.dataCount, (content) => content.unsigned(count));
  }

  #writeCode({ bodies }: MovedCode): number {
    const { count, bytes } = this.#added.of('code');
    const head = new ByteWriter().unsigned(this.#countOf('code') + count).finish();
    this.#writer.byte(sectionIds.code).unsigned(head.length + bodies.length + bytes.length);
    const start = this.#writer.bytes(head).length;
    this.#writer.bytes(bodies).bytes(bytes);
    return start;
  }

  #writeCustom(section: Section, { hints }: MovedCode): void {
    const { customName } = section;
    if (customName === 'name') {
      this.#writer.section(sectionIds.custom, (content) => {
        rewriteNames(openSection(this.#guest, section), this.#nameMoves(), content.name(customName));
      });
    } else if (customName === branchHintSection && hints !== undefined) {
      this.#writer.section(sectionIds.custom, (content) => content.name(customName).bytes(hints));
    } else this.#writer.copy(this.#guest, section.start, section.end);
  }

  #nameMoves(): FunctionMoves {
    const { hostImports, hostDefined, resolved } = this.#places;
    const added = [...hostImports, ...hostDefined].map((index) => ({
      index: this.#places.hostMove(index),
      name: `${this.#options.moduleName}.${functionNameOf(this.#host.names, index) ?? index}`,
    }));
    return { moved: (index) => (resolved[index] === 1 ? undefined : this.#places.guestMoves[index]), added };
  }

  #hostExport(name: string): { readonly kind: ImportEntry['kind']; readonly index: number } {
    const entry = this.#host.exports.get(name);
    if (entry === undefined) throw new TypeError(`The host module does not export "${name}"`);
    return entry;
  }

  #countOf(name: SectionName): number {
    return this.#open(name)?.u32() ?? 0;
  }

  #open(name: SectionName, customName = ''): ByteReader | undefined {
    const section = this.#layout.find((candidate) => candidate.name === name && candidate.customName === customName);
    return section === undefined ? undefined : openSection(this.#guest, section);
  }

  #read<T>(name: SectionName, read: (reader: ByteReader) => T): T | undefined {
    const reader = this.#open(name);
    return reader === undefined ? undefined : read(reader);
  }
}

function spaceOf(kind: ImportEntry['kind']): IndexSpace {
  if (kind === 'tag') throw new TypeError('The host module exports a tag: it cannot be merged');
  return kind;
}

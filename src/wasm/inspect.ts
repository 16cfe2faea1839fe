/**
 * Decodes a module into facts about it. It checks the binary form and whatever
 * its facts rest on (indices of types, functions, exports); whether code is
 * well-typed is left to V8, which must validate the module as well. ModuleInfo
 * is plain data, fit to be posted between threads.
 */

import { type CodeSummary, scanCode } from './code.ts';
import type { FeatureName } from './features.ts';
import { openSection, readLayout, type Section, type SectionName } from './layout.ts';
import { type FunctionNames, noFunctionNames, readFunctionNames } from './names.ts';
import { shownName } from './problem.ts';
import { ByteReader } from './reader.ts';
import {
  type DataSummary,
  type ExportEntry,
  type ImportEntry,
  readData,
  readElements,
  readExports,
  readFunctions,
  readGlobals,
  readImports,
  readMemories,
  readSingleIndex,
  readTables,
  readTags,
  readTypes,
} from './sections.ts';
import {
  type CompositeType,
  createContext,
  type DecodeContext,
  type ExternKind,
  type ExternType,
  type FunctionType,
  type GlobalType,
  type MemoryType,
  type TableType,
  type TagType,
} from './types.ts';

export interface ImportInfo {
  readonly module: string;
  readonly name: string;
  readonly kind: ExternKind;
  readonly type: ExternType;
}

export interface ExportInfo {
  readonly name: string;
  readonly kind: ExternKind;
  /** Index among the things of its kind, imported ones first. */
  readonly index: number;
  readonly type: ExternType;
}

export interface MemoryInfo extends MemoryType {
  readonly imported: boolean;
}

export interface TableInfo extends TableType {
  readonly imported: boolean;
}

export interface ModuleSizes {
  readonly moduleBytes: number;
  readonly codeBytes: number;
  /** Bytes in data segments. */
  readonly dataBytes: number;
  readonly customBytes: number;
  readonly types: number;
  /** Functions defined in the module; imported ones are not counted. The same holds for globals and tags. */
  readonly functions: number;
  readonly globals: number;
  readonly tags: number;
  readonly elementSegments: number;
  readonly dataSegments: number;
  /** The most locals that one function declares. */
  readonly localsMax: number;
  readonly bodyBytesMax: number;
  /** The most targets of one br_table. */
  readonly branchTargetsMax: number;
}

export interface ModuleInfo {
  readonly imports: readonly ImportInfo[];
  readonly exports: readonly ExportInfo[];
  /** Imported ones first. */
  readonly memories: readonly MemoryInfo[];
  /** Imported ones first. */
  readonly tables: readonly TableInfo[];
  readonly startFunction: number | undefined;
  /** Present if there is a start function. */
  readonly startType?: FunctionType;
  /** Sorted. */
  readonly features: readonly FeatureName[];
  /** Look up with functionNameOf. */
  readonly functionNames: FunctionNames;
  readonly customSections: readonly string[];
  readonly sizes: ModuleSizes;
}

/** Decodes a module; throws a WasmError if it is damaged or not a module. */
export function inspectModule(bytes: Uint8Array): ModuleInfo {
  return new Inspection(bytes).info();
}

const dynamicLinkingSection = /^dylink(\.|$)/;

/** The sections of one module and what has been read of them. */
class Inspection {
  readonly #bytes: Uint8Array;
  readonly #sections: readonly Section[];
  readonly #context: DecodeContext = createContext();

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#sections = readLayout(bytes);
  }

  info(): ModuleInfo {
    const context = this.#context;
    const types = this.#read('type', (reader) => readTypes(reader, context)) ?? [];
    const imports = this.#read('import', (reader) => readImports(reader, context, types)) ?? [];
    const functions = this.#read('function', (reader) => readFunctions(reader, types)) ?? new Uint32Array();
    const tables = this.#read('table', (reader) => readTables(reader, context)) ?? [];
    const memories = this.#read('memory', (reader) => readMemories(reader, context)) ?? [];
    const tags = this.#read('tag', (reader) => readTags(reader, context, types)) ?? [];
    const globals = this.#read('global', (reader) => readGlobals(reader, context)) ?? [];
    const spaces = new IndexSpaces(imports, { types, functions, tables, memories, tags, globals });
    const exports = this.#readExports(spaces);
    const start = this.#readStart(spaces);
    const elementSegments = this.#read('element', (reader) => readElements(reader, context)) ?? 0;
    const code = this.#readCode(functions.length);
    const data = this.#readData();
    const customSections = this.#sections.filter((section) => section.name === 'custom').map(customNameOf);
    if (customSections.some((name) => dynamicLinkingSection.test(name))) context.features.add('dynamic-linking');
    if (spaces.memories.length > 1) context.features.add('multi-memory');
    if (spaces.tables.length > 1) context.features.add('reference-types');
    return {
      imports: imports.map(({ module, name, kind, type }) => ({ module, name, kind, type })),
      exports,
      memories: spaces.memories,
      tables: spaces.tables,
      startFunction: start?.startFunction,
      ...start,
      features: [...context.features].toSorted(),
      functionNames: this.#readNames(),
      customSections,
      sizes: {
        moduleBytes: this.#bytes.length,
        codeBytes: this.#bytesOf('code'),
        dataBytes: data.bytes,
        customBytes: this.#bytesOf('custom'),
        types: types.length,
        functions: functions.length,
        globals: globals.length,
        tags: tags.length,
        elementSegments,
        dataSegments: data.segments,
        localsMax: code.localsMax,
        bodyBytesMax: code.bodyBytesMax,
        branchTargetsMax: code.branchTargetsMax,
      },
    };
  }

  #section(name: SectionName): Section | undefined {
    return this.#sections.find((section) => section.name === name);
  }

  #read<T>(name: SectionName, read: (reader: ByteReader) => T): T | undefined {
    const section = this.#section(name);
    return section === undefined ? undefined : read(openSection(this.#bytes, section));
  }

  #bytesOf(name: SectionName): number {
    const sections = this.#sections.filter((section) => section.name === name);
    return sections.reduce((sum, section) => sum + section.end - section.start, 0);
  }

  #readExports(spaces: IndexSpaces): readonly ExportInfo[] {
    const context = this.#context;
    const read = (reader: ByteReader): readonly ExportInfo[] =>
      readExports(reader).map((entry) => {
        const type = spaces.typeOf(entry, reader);
        if (type.kind === 'global' && type.mutable) context.features.add('mutable-globals');
        return { ...entry, type };
      });
    return this.#read('export', read) ?? [];
  }

  #readStart(spaces: IndexSpaces): Required<Pick<ModuleInfo, 'startFunction' | 'startType'>> | undefined {
    return this.#read('start', (reader) => {
      const index = readSingleIndex(reader);
      const type = spaces.functionAt(index);
      if (type === undefined) return reader.fail(`The start function ${index} does not exist`);
      if (type.parameters.length + type.results.length > 0) reader.fail('The start function has parameters or results');
      return { startFunction: index, startType: type };
    });
  }

  #readCode(functions: number): CodeSummary {
    const summary = this.#read('code', (reader) => scanCode(reader, this.#context, functions));
    if (summary === undefined && functions > 0) this.#failMissing(`the bodies of its ${functions} functions`);
    return summary ?? { bodies: 0, localsMax: 0, bodyBytesMax: 0, branchTargetsMax: 0 };
  }

  #readData(): DataSummary {
    const announced = this.#read('dataCount', readSingleIndex);
    const data = this.#read('data', (reader) => readData(reader, this.#context));
    if (announced !== undefined) this.#context.features.add('bulk-memory');
    if (announced !== undefined && announced > 0 && data === undefined) this.#failMissing('its data');
    if (announced !== undefined && data !== undefined && announced !== data.segments) {
      this.#read('dataCount', (reader) =>
        reader.fail(`${announced} data segments are announced, ${data.segments} follow`),
      );
    }
    return data ?? { segments: 0, bytes: 0 };
  }

  #failMissing(what: string): never {
    const end = this.#bytes.length;
    const reader = new ByteReader(this.#bytes, { start: end, end }, 'module');
    return reader.fail(`The module ends before ${what}`, end, 'WASM_TRUNCATED');
  }

  #readNames(): FunctionNames {
    const section = this.#sections.find((candidate) => candidate.customName === 'name');
    return section === undefined ? noFunctionNames : readFunctionNames(openSection(this.#bytes, section));
  }
}

function customNameOf(section: Section): string {
  return section.customName;
}

interface Definitions {
  readonly types: readonly CompositeType[];
  readonly functions: Uint32Array;
  readonly tables: readonly { readonly type: TableType }[];
  readonly memories: readonly { readonly type: MemoryType }[];
  readonly tags: readonly TagType[];
  readonly globals: readonly GlobalType[];
}

/** The index spaces of a module: of each kind, first what is imported, then what is defined. */
class IndexSpaces {
  readonly tables: readonly TableInfo[];
  readonly memories: readonly MemoryInfo[];
  readonly #globals: readonly GlobalType[];
  readonly #tags: readonly TagType[];
  readonly #importedFunctions: readonly FunctionType[];
  readonly #definitions: Definitions;

  constructor(imports: readonly ImportEntry[], definitions: Definitions) {
    const imported = <K extends ExternKind>(kind: K): readonly TypeOfKind<K>[] =>
      imports.map((entry) => entry.type).filter((type): type is TypeOfKind<K> => type.kind === kind);
    this.#definitions = definitions;
    this.#importedFunctions = imported('function');
    this.#globals = [...imported('global'), ...definitions.globals];
    this.#tags = [...imported('tag'), ...definitions.tags];
    this.tables = marked(imported('table'), definitions.tables);
    this.memories = marked(imported('memory'), definitions.memories);
  }

  functionAt(index: number): FunctionType | undefined {
    const { types, functions } = this.#definitions;
    const typeIndex = functions[index - this.#importedFunctions.length];
    return this.#importedFunctions[index] ?? (typeIndex === undefined ? undefined : (types[typeIndex] as FunctionType));
  }

  /** The type of what is exported. */
  typeOf(entry: ExportEntry, reader: ByteReader): ExternType {
    const type = this.#find(entry.kind, entry.index);
    return type ?? reader.fail(`The export "${shownName(entry.name)}" names a ${entry.kind} that does not exist`);
  }

  #find(kind: ExternKind, index: number): ExternType | undefined {
    switch (kind) {
      case 'function':
        return this.functionAt(index);
      case 'table':
        return this.tables[index];
      case 'memory':
        return this.memories[index];
      case 'global':
        return this.#globals[index];
      case 'tag':
        return this.#tags[index];
    }
  }
}

type TypeOfKind<K extends ExternKind> = Extract<ExternType, { readonly kind: K }>;

/** Imported and defined types in one list, each marked with where it comes from. */
function marked<T>(imported: readonly T[], defined: readonly { readonly type: T }[]): readonly (T & Origin)[] {
  return [
    ...imported.map((type) => ({ ...type, imported: true })),
    ...defined.map(({ type }) => ({ ...type, imported: false })),
  ];
}

interface Origin {
  readonly imported: boolean;
}

/**
 * Describes a module to people: its sections, its parts, what rewriting makes of
 * it, and the static cost of its functions. It judges nothing. Lists are cut to
 * describedMax, and names and types are made fit to be printed.
 */

import { boundedText } from '../base/text.ts';
import type {
  DescribedExport,
  DescribedFunction,
  DescribedImport,
  DescribedMemory,
  DescribedRewriting,
  DescribedSection,
  DescribedTable,
  ImportProvider,
  ModuleDescription,
} from '../model/module-description.ts';
import { readBody } from './code.ts';
import type { ExportInfo, ImportInfo, MemoryInfo, ModuleInfo, TableInfo } from './inspect.ts';
import { openSection, readLayout, type Section } from './layout.ts';
import { costTableVersion } from './metering/costs.ts';
import type { MeteringOptions } from './metering/meter.ts';
import { functionNameOf } from './names.ts';
import { shownName, WasmError, type WasmProblem } from './problem.ts';
import { type RewrittenModule, rewriteModule, rewriterVersion } from './rewrite.ts';
import { createContext, type ExternType, typeText } from './types.ts';

export interface DescribeOptions {
  /** What all memories and tables together may take. */
  readonly memoryBytesMax: number;
  readonly metering: MeteringOptions;
  /** How many functions are described. */
  readonly functionsMax: number;
  providerOf(entry: ImportInfo): ImportProvider;
}

/** Sections, imports and so on that are listed, each. */
export const describedMax = 1_000;
const typeBytesMax = 256;

/** Describes a module that `info` is about. */
export function describeModule(
  bytes: Uint8Array<ArrayBuffer>,
  info: ModuleInfo,
  options: DescribeOptions,
): ModuleDescription {
  const { rewritten, refusal } = rewrite(bytes, info, options);
  const layout = readLayout(bytes);
  const importedFunctions = info.imports.filter(({ kind }) => kind === 'function').length;
  return {
    bytes: bytes.length,
    codeBytes: info.sizes.codeBytes,
    counts: {
      sections: layout.length,
      imports: info.imports.length,
      exports: info.exports.length,
      memories: info.memories.length,
      tables: info.tables.length,
      functions: info.sizes.functions,
      importedFunctions,
    },
    features: info.features,
    sections: layout.slice(0, describedMax).map(describeSection),
    imports: info.imports.slice(0, describedMax).map((entry) => describeImport(entry, options)),
    exports: info.exports.slice(0, describedMax).map(describeExport),
    memories: info.memories
      .slice(0, describedMax)
      .map((memory, index) => describeMemory(memory, rewritten?.memories[index]?.clampedPages)),
    tables: info.tables
      .slice(0, describedMax)
      .map((table, index) => describeTable(table, rewritten?.tables[index]?.clampedElements)),
    costTableVersion,
    rewriterVersion,
    ...(rewritten && { rewritten: describeRewriting(rewritten, info) }),
    ...(refusal && { refusal }),
    functions: describeFunctions({ bytes, info, rewritten, importedFunctions }, options.functionsMax),
  };
}

interface Rewriting {
  readonly rewritten?: RewrittenModule;
  readonly refusal?: WasmProblem;
}

/** The rewriter counts on code that V8 accepts. */
function rewrite(bytes: Uint8Array<ArrayBuffer>, info: ModuleInfo, options: DescribeOptions): Rewriting {
  if (!WebAssembly.validate(bytes)) return {};
  const { memoryBytesMax, metering } = options;
  try {
    return { rewritten: rewriteModule(bytes, info, { memoryBytesMax, metering }) };
  } catch (error) {
    if (error instanceof WasmError) return { refusal: error.problem };
    throw error;
  }
}

function describeSection({ name, customName, start, end }: Section): DescribedSection {
  const custom = name === 'custom' ? { customName: shownName(customName) } : {};
  return { name, ...custom, offset: start, bytes: end - start };
}

function describeImport(entry: ImportInfo, options: DescribeOptions): DescribedImport {
  const { capability, provided } = options.providerOf(entry);
  return {
    module: shownName(entry.module),
    name: shownName(entry.name),
    kind: entry.kind,
    type: shownType(entry.type),
    capability,
    provided,
  };
}

function describeExport({ name, kind, index, type }: ExportInfo): DescribedExport {
  return { name: shownName(name), kind, index, type: shownType(type) };
}

function describeMemory(memory: MemoryInfo, clampedPages: number | undefined): DescribedMemory {
  const { imported, minPages, maxPages } = memory;
  return {
    type: shownType(memory),
    imported,
    minPages,
    ...(maxPages !== undefined && { maxPages }),
    ...(clampedPages !== undefined && { clampedPages }),
  };
}

function describeTable(table: TableInfo, clampedElements: number | undefined): DescribedTable {
  const { imported, elementType, min, max } = table;
  return {
    type: shownType(table),
    imported,
    elementType,
    minElements: min,
    ...(max !== undefined && { maxElements: max }),
    ...(clampedElements !== undefined && { clampedElements }),
  };
}

/** A function can have a thousand parameters. */
function shownType(type: ExternType): string {
  return boundedText(typeText(type), typeBytesMax);
}

function describeRewriting({ bytes }: RewrittenModule, { sizes }: ModuleInfo): DescribedRewriting {
  const code = codeSection(bytes);
  const codeBytes = code === undefined ? 0 : code.end - code.start;
  return {
    bytes: bytes.length,
    ratio: bytes.length / sizes.moduleBytes,
    codeBytes,
    codeRatio: sizes.codeBytes === 0 ? 1 : codeBytes / sizes.codeBytes,
  };
}

interface Described {
  readonly bytes: Uint8Array;
  readonly info: ModuleInfo;
  readonly rewritten: RewrittenModule | undefined;
  readonly importedFunctions: number;
}

function describeFunctions(module: Described, functionsMax: number): readonly DescribedFunction[] {
  const { bytes, info, rewritten, importedFunctions } = module;
  const before = bodySizes(bytes, info.sizes.functions);
  const after = rewritten && bodySizes(rewritten.bytes, info.sizes.functions);
  const costs = rewritten?.metering?.functionCosts;
  return ordinalsByWeight(costs ?? before)
    .slice(0, functionsMax)
    .map((ordinal) => {
      const index = importedFunctions + ordinal;
      return {
        name: shownName(functionNameOf(info.functionNames, index) ?? `func[${index}]`),
        index,
        bodyBytes: before[ordinal] as number,
        ...(after && { rewrittenBodyBytes: after[ordinal] as number }),
        ...(costs && { cost: costs[ordinal] as number }),
      };
    });
}

/** The greatest weight first; of equal ones the one that comes first. */
function ordinalsByWeight(weights: Float64Array | Uint32Array): readonly number[] {
  const ordinals = Array.from(weights, (_, ordinal) => ordinal);
  return ordinals.sort((a, b) => (weights[b] as number) - (weights[a] as number) || a - b);
}

/** Bytes of the first `count` bodies, without their own sizes before them. Rewriting keeps the order of bodies. */
function bodySizes(bytes: Uint8Array, count: number): Uint32Array {
  const sizes = new Uint32Array(count);
  const code = codeSection(bytes);
  if (code === undefined) return sizes;
  const reader = openSection(bytes, code);
  reader.u32();
  const context = createContext();
  for (let ordinal = 0; ordinal < count; ordinal++) {
    const { start, end } = readBody(reader, context);
    sizes[ordinal] = end - start;
  }
  return sizes;
}

function codeSection(bytes: Uint8Array): Section | undefined {
  return readLayout(bytes).find(({ name }) => name === 'code');
}

/**
 * What an operator allows a module to be: measures within bounds, features, and
 * names. All problems are found at once. Imports are judged elsewhere, by what
 * provides them; the memory limit is judged when the module is rewritten.
 */

import type { FeatureName } from './features.ts';
import type { ModuleInfo, TableInfo } from './inspect.ts';
import { shownName, type WasmProblem } from './problem.ts';
import type { ExternType, FunctionType } from './types.ts';

/** Features that are refused unless allowed; shared memory and the like are refused always, all else is allowed. */
export type OptionalFeature = 'memory64' | 'multi-memory';

export interface ModuleBounds {
  readonly moduleBytes: number;
  readonly types: number;
  readonly functions: number;
  readonly imports: number;
  readonly exports: number;
  readonly globals: number;
  readonly memories: number;
  readonly tables: number;
  /** Sum over all tables of the elements that they have from the start. */
  readonly tableElements: number;
  readonly elementSegments: number;
  readonly dataSegments: number;
  /** Declared by one function, parameters not counted. */
  readonly localsPerFunction: number;
  readonly functionBytes: number;
  readonly branchTargets: number;
}

export interface ModulePolicy {
  readonly allowedFeatures: readonly OptionalFeature[];
  readonly bounds: ModuleBounds;
}

export const moduleBoundsDefault: ModuleBounds = {
  moduleBytes: 16 * 1024 * 1024,
  types: 100_000,
  functions: 100_000,
  imports: 1_000,
  exports: 10_000,
  globals: 10_000,
  memories: 16,
  tables: 64,
  tableElements: 100_000,
  elementSegments: 100_000,
  dataSegments: 100_000,
  localsPerFunction: 50_000,
  // V8 allows 7 MB; optimizing one of 1 MB took it up to 8 s, one of 256 KB 0.6 s.
  functionBytes: 262_144,
  branchTargets: 65_520,
};

export const modulePolicyDefault: ModulePolicy = { allowedFeatures: [], bounds: moduleBoundsDefault };

/** Begins the names that the server adds to modules. */
export const reservedPrefix = 'caisson:';

const measureWords: Readonly<Record<keyof ModuleBounds, string>> = {
  moduleBytes: 'bytes',
  types: 'types',
  functions: 'functions',
  imports: 'imports',
  exports: 'exports',
  globals: 'globals',
  memories: 'memories',
  tables: 'tables',
  tableElements: 'table elements at the start',
  elementSegments: 'element segments',
  dataSegments: 'data segments',
  localsPerFunction: 'locals in one function',
  functionBytes: 'bytes in one function',
  branchTargets: 'targets of one br_table',
};

/** Everything about the module that the policy refuses. */
export function scanPolicy(info: ModuleInfo, policy: ModulePolicy): readonly WasmProblem[] {
  return [
    ...scanBounds(info, policy.bounds),
    ...scanFeatures(info, policy.allowedFeatures),
    ...scanNames(info),
    ...scanLinkage(info),
  ];
}

function measure(info: ModuleInfo): ModuleBounds {
  const { sizes } = info;
  return {
    moduleBytes: sizes.moduleBytes,
    types: sizes.types,
    functions: sizes.functions,
    imports: info.imports.length,
    exports: info.exports.length,
    globals: sizes.globals,
    memories: info.memories.length,
    tables: info.tables.length,
    tableElements: info.tables.reduce((sum: number, table: TableInfo) => sum + table.min, 0),
    elementSegments: sizes.elementSegments,
    dataSegments: sizes.dataSegments,
    localsPerFunction: sizes.localsMax,
    functionBytes: sizes.bodyBytesMax,
    branchTargets: sizes.branchTargetsMax,
  };
}

function scanBounds(info: ModuleInfo, bounds: ModuleBounds): readonly WasmProblem[] {
  const measures = measure(info);
  const names = Object.keys(measureWords) as readonly (keyof ModuleBounds)[];
  return names.filter((name) => measures[name] > bounds[name]).map((name) => overBound(name, measures, bounds));
}

function overBound(name: keyof ModuleBounds, measures: ModuleBounds, bounds: ModuleBounds): WasmProblem {
  return {
    reason: 'WASM_OVER_LIMIT',
    location: 'module',
    message: `The module has ${measures[name]} ${measureWords[name]}; at most ${bounds[name]} are allowed`,
  };
}

/** Why a feature is refused and what to do, for those that nothing can allow. */
const forbiddenFeatures: Partial<Record<FeatureName, string>> = {
  'shared-memory': 'Memories cannot be shared: build without threads',
  'custom-page-sizes': 'Only memories with pages of 65536 bytes are supported: build without custom page sizes',
  'dynamic-linking': 'The module is a side module for a dynamic linker: link it statically into one module',
};

export const optionalFeatures: readonly OptionalFeature[] = ['memory64', 'multi-memory'];

function scanFeatures(info: ModuleInfo, allowed: readonly OptionalFeature[]): readonly WasmProblem[] {
  const refused = optionalFeatures.filter((feature) => info.features.includes(feature) && !allowed.includes(feature));
  const forbidden = info.features.map((feature) => forbiddenFeatures[feature]).filter((text) => text !== undefined);
  return [...refused.map(notAllowed), ...forbidden].map((message) => ({
    reason: 'WASM_FEATURE_NOT_ALLOWED',
    location: 'module',
    message,
  }));
}

function notAllowed(feature: OptionalFeature): string {
  return `The module uses "${feature}", which this server does not allow: build without it or have the operator allow it`;
}

function scanNames(info: ModuleInfo): readonly WasmProblem[] {
  const imports = info.imports
    .filter((entry) => entry.module.startsWith(reservedPrefix))
    .map((entry) => `import ${shownName(entry.module)}.${shownName(entry.name)}`);
  const exports = info.exports
    .filter((entry) => entry.name.startsWith(reservedPrefix))
    .map((entry) => `export ${shownName(entry.name)}`);
  return [...imports, ...exports].map(reservedName);
}

function reservedName(location: string): WasmProblem {
  const message = `Names that begin with "${reservedPrefix}" belong to the server: rename the ${location}`;
  return { reason: 'WASM_RESERVED_NAME', location, message };
}

/** Functions that are linked with other modules must have types that other modules can write down. */
function scanLinkage(info: ModuleInfo): readonly WasmProblem[] {
  const imports = info.imports
    .filter((entry) => isGrouped(entry.type))
    .map((entry) => `import ${shownName(entry.module)}.${shownName(entry.name)}`);
  const exports = info.exports
    .filter((entry) => isGrouped(entry.type) && isExecutable(entry.type))
    .map((entry) => `export ${shownName(entry.name)}`);
  const start = info.startType?.grouped === true ? ['start function'] : [];
  return [...imports, ...exports, ...start].map(notLinkable);
}

function isGrouped(type: ExternType): type is FunctionType {
  return type.kind === 'function' && type.grouped === true;
}

/** Whether the host may execute a function of the type. */
function isExecutable({ parameters, results }: FunctionType): boolean {
  return parameters.length === 0 && (results.length === 0 || (results.length === 1 && results[0] === 'i32'));
}

function notLinkable(location: string): WasmProblem {
  const message = `The ${location} has a function type out of a group or hierarchy of types: give it a plain function type`;
  return { reason: 'IMPORT_TYPE_MISMATCH', location, message };
}

/**
 * What a rewritten module exports: the original's exports, those that loaders
 * would call by themselves renamed, and its memories and its start function under
 * reserved names. Indices are the original's.
 */

import type { ExportInfo, ModuleInfo } from './inspect.ts';
import { reservedPrefix } from './policy.ts';
import { shownName, WasmError } from './problem.ts';
import type { ExternType } from './types.ts';

/** Exports that loaders call by themselves; the host wants to call them under its own limits. */
const lifecycleNames = ['_initialize', 'hs_init', '_start'] as const;
const startName = `${reservedPrefix}start`;

export function memoryName(index: number): string {
  return `${reservedPrefix}memory${index}`;
}

/** Fails if the module imports from a module of the server or exports a name that is the server's. */
export function checkReservedNames(info: ModuleInfo): void {
  const imported = info.imports.find((entry) => entry.module.startsWith(reservedPrefix));
  if (imported) failReserved(`import ${shownName(imported.module)}.${shownName(imported.name)}`);
  const exported = info.exports.find((entry) => entry.name.startsWith(reservedPrefix));
  if (exported) failReserved(`export ${shownName(exported.name)}`);
}

function failReserved(location: string): never {
  throw new WasmError({
    reason: 'WASM_RESERVED_NAME',
    location,
    message: `Names that begin with "${reservedPrefix}" belong to the server: rename the ${location}`,
  });
}

export function exportsOf(info: ModuleInfo): readonly ExportInfo[] {
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

/** Names of exported functions to call before any other, in this order. */
export function lifecycleOf(info: ModuleInfo): readonly string[] {
  const callable = lifecycleNames.filter((name) =>
    info.exports.some((entry) => entry.name === name && isCallable(entry)),
  );
  // As Extism's native runtime has it: Haskell's runtime starts when the module's own initialisers have run.
  const initialisers = callable.filter((name) => name !== '_start');
  const chosen = (initialisers.length > 0 ? initialisers : callable).map((name) => reservedPrefix + name);
  return info.startFunction === undefined ? chosen : [startName, ...chosen];
}

/** A function that can be called without arguments: the i32 parameters of a C main count as 0. */
function isCallable({ type }: ExportInfo): boolean {
  return type.kind === 'function' && type.parameters.every((parameter) => parameter === 'i32');
}

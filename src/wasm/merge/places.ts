/**
 * Where the functions of guest and host module come to stand in the merged one:
 * what the guest imports from elsewhere, what the host module imports, what the
 * guest defines, what the host module defines. Of the host module only what is
 * needed is there.
 */

import { shownName, WasmError, type WasmProblem } from '../problem.ts';
import type { ImportEntry } from '../sections.ts';
import type { FunctionType } from '../types.ts';
import type { HostModule } from './host-module.ts';

export interface PlacesOptions {
  /** Imports of the guest, in order. */
  readonly imports: readonly ImportEntry[];
  readonly definedFunctions: number;
  readonly host: HostModule;
  /** Module name under which guests import what the host module exports. */
  readonly moduleName: string;
  /** Exports of the host module that guests may import. */
  readonly importable: ReadonlySet<string>;
  /** Functions of the host module that are needed in any case. */
  readonly needed: readonly number[];
}

/** What V8 allows a module to have. */
const functionsMax = 1_000_000;

export class FunctionPlaces {
  /** Imports of the guest that stay imports. */
  readonly keptImports: readonly ImportEntry[];
  /** Functions of the host module that are there, by their indices in it: imported ones and defined ones. */
  readonly hostImports: readonly number[];
  readonly hostDefined: readonly number[];
  /** Functions that the guest imported. */
  readonly guestImported: number;
  /** Index of the first function that the guest defines. */
  readonly firstDefined: number;
  /** The new index of each function of the guest. */
  readonly guestMoves: Uint32Array;
  /** The guest's functions (1) that were imported from the host module. */
  readonly resolved: Uint8Array;
  readonly #hostMoves: ReadonlyMap<number, number>;

  /** Throws a WasmError if the host module does not have what the guest imports from it. */
  constructor(options: PlacesOptions) {
    const { imports, definedFunctions, host, moduleName } = options;
    const targets = new Map<ImportEntry, number>();
    for (const entry of imports) if (entry.module === moduleName) targets.set(entry, targetOf(entry, options));
    this.keptImports = imports.filter((entry) => !targets.has(entry));
    const reached = host.reachableFrom([...targets.values(), ...options.needed]);
    this.hostImports = reached.filter((index) => index < host.imports.length);
    this.hostDefined = reached.filter((index) => index >= host.imports.length);
    const functions = imports.filter(({ kind }) => kind === 'function');
    const kept = functions.length - targets.size;
    this.guestImported = functions.length;
    this.firstDefined = kept + this.hostImports.length;
    const afterGuest = this.firstDefined + definedFunctions;
    checkCount(afterGuest + this.hostDefined.length);
    this.#hostMoves = new Map([
      ...this.hostImports.map((index, place) => [index, kept + place] as const),
      ...this.hostDefined.map((index, place) => [index, afterGuest + place] as const),
    ]);
    this.resolved = Uint8Array.from(functions, (entry) => (targets.has(entry) ? 1 : 0));
    this.guestMoves = this.#moveGuest(functions, targets, definedFunctions);
  }

  /** The new index of a function of the host module that is there. */
  hostMove(index: number): number {
    const moved = this.#hostMoves.get(index);
    if (moved === undefined) throw new TypeError(`Function ${index} of the host module is not needed and yet it is`);
    return moved;
  }

  #moveGuest(
    functions: readonly ImportEntry[],
    targets: ReadonlyMap<ImportEntry, number>,
    defined: number,
  ): Uint32Array {
    const moves = new Uint32Array(functions.length + defined);
    let kept = 0;
    for (const [index, entry] of functions.entries()) {
      const target = targets.get(entry);
      moves[index] = target === undefined ? kept++ : this.hostMove(target);
    }
    for (let ordinal = 0; ordinal < defined; ordinal++) moves[functions.length + ordinal] = this.firstDefined + ordinal;
    return moves;
  }
}

/** The function of the host module that an import means. */
function targetOf(entry: ImportEntry, { host, importable }: PlacesOptions): number {
  const found = importable.has(entry.name) ? host.exports.get(entry.name) : undefined;
  if (found?.kind !== 'function') throw new WasmError(unknownImport(entry));
  if (!isSame(host.typeOf(found.index), entry.type)) throw new WasmError(wrongType(entry));
  return found.index;
}

function isSame(type: FunctionType, other: ImportEntry['type']): boolean {
  if (other.kind !== 'function' || other.grouped === true) return false;
  const textOf = ({ parameters, results }: FunctionType): string => `${parameters.join()} ${results.join()}`;
  return textOf(type) === textOf(other);
}

function unknownImport(entry: ImportEntry): WasmProblem {
  const message = `"${shownName(entry.module)}" provides no ${entry.kind} "${shownName(entry.name)}": remove the import`;
  return { reason: 'IMPORT_UNKNOWN', location: locationOf(entry), message };
}

function wrongType(entry: ImportEntry): WasmProblem {
  const message = `"${shownName(entry.module)}" provides "${shownName(entry.name)}" with another type: import it with that one`;
  return { reason: 'IMPORT_TYPE_MISMATCH', location: locationOf(entry), message };
}

function locationOf({ module, name }: ImportEntry): string {
  return `import ${shownName(module)}.${shownName(name)}`;
}

function checkCount(functions: number): void {
  if (functions <= functionsMax) return;
  throw new WasmError({
    reason: 'WASM_OVER_LIMIT',
    location: 'module',
    message: `The rewritten module has ${functions} functions; at most ${functionsMax} are possible`,
  });
}

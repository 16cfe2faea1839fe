/**
 * Adds fuel to one module: what each section gets, and the new code. It knows
 * where things move; the order of sections and everything that has nothing to do
 * with fuel are the rewriter's.
 */

import { readBody } from '../code.ts';
import type { ExportInfo } from '../inspect.ts';
import { shownName, WasmError } from '../problem.ts';
import type { ByteReader } from '../reader.ts';
import type { ImportEntry } from '../sections.ts';
import type { CompositeType, DecodeContext, FunctionType } from '../types.ts';
import { ByteWriter } from '../writer.ts';
import { AddedFunctions, type ImportPrice } from './added-functions.ts';
import { BranchHints } from './branch-hints.ts';
import { type Charges, distributeCharges } from './charges.ts';
import { prices } from './costs.ts';
import { CounterChooser, type CounterStrategy, counterStrategyDefault } from './counter.ts';
import { Emitter, type FunctionSpace } from './emitter.ts';
import { OffsetMapWriter } from './offset-map.ts';
import { CodePlan } from './plan.ts';
import { Planner } from './planner.ts';
import { fuelGlobal, growFailedGlobal, meterModule, refuelName } from './reserved.ts';

export interface MeteringOptions {
  /** Prices of imported functions. What is not listed costs what every call of an import costs. */
  readonly importPrices?: readonly ImportPrice[];
  /** Where the counter is kept; all ways count the same. Tests choose, others take the default. */
  readonly strategy?: CounterStrategy;
}

export interface MeteredModule {
  readonly bytes: Uint8Array;
  readonly context: DecodeContext;
  readonly types: readonly CompositeType[];
  readonly imports: readonly ImportEntry[];
  /** Type index of each defined function. */
  readonly functionTypes: Uint32Array;
  readonly memories: readonly { readonly is64: boolean }[];
  readonly tables: readonly { readonly is64: boolean }[];
  /** Number of globals, imported ones included. */
  readonly globals: number;
}

export interface MeteredCode {
  /** All bodies of the original, each behind its size. */
  readonly bodies: Uint8Array;
  readonly hints: BranchHints;
  readonly offsets: OffsetMapWriter;
  /** The cost of all instructions of each defined function, by ordinal. */
  readonly functionCosts: Float64Array;
}

interface ImportedFunction {
  readonly entry: ImportEntry;
  readonly type: FunctionType;
  readonly typeIndex: number;
  readonly price: ImportPrice | undefined;
}

/** What V8 allows a module to define. */
const functionsMax = 1_000_000;
const functionKind = 0;
const functionTypeCode = 0x60;
const i32Type = 0x7f;
const i64Type = 0x7e;
const mutable = 1;

export class Meter implements FunctionSpace {
  readonly #module: MeteredModule;
  readonly #strategy: CounterStrategy;
  readonly #imports: readonly ImportedFunction[];
  /** Functions (1) that tables and references lead to. */
  readonly #referenced: Uint8Array;
  readonly added: AddedFunctions;
  #charges: Charges | undefined;

  constructor(module: MeteredModule, options: MeteringOptions) {
    this.#module = module;
    this.#strategy = options.strategy ?? counterStrategyDefault;
    this.#imports = importedFunctionsOf(module.imports, options.importPrices ?? []);
    this.#referenced = new Uint8Array(module.functionTypes.length);
    this.added = new AddedFunctions({
      refuel: this.imported,
      first: this.imported + 1 + module.functionTypes.length,
      fuelGlobal: module.globals,
      growFailedGlobal: module.globals + 1,
      type32: module.types.length,
      type64: module.types.length + 1,
      typeEmpty: module.types.length + 2,
    });
  }

  get imported(): number {
    return this.#imports.length;
  }

  moved(index: number): number {
    return index < this.imported ? index : index + 1;
  }

  called(index: number): number {
    return this.#imports[index]?.price?.perOperand === undefined ? this.moved(index) : this.referenced(index);
  }

  referenced(index: number): number {
    const { imported } = this;
    const target = this.#imports[index];
    if (target === undefined) {
      this.#referenced[index - imported] = 1;
      return this.moved(index);
    }
    return this.added.pricedImport(index, { index: target.typeIndex, of: target.type }, target.price ?? { units: 0 });
  }

  /** The function to export where the original exports this one. Call it when the code has been metered. */
  exported(index: number): number {
    const { types, functionTypes } = this.#module;
    const ordinal = index - this.imported;
    const units = this.#charges?.paidByCallers[ordinal] ?? 0;
    if (units === 0) return this.referenced(index);
    const typeIndex = functionTypes[ordinal] as number;
    return this.added.paidEntry(this.moved(index), { index: typeIndex, of: types[typeIndex] as FunctionType }, units);
  }

  get addedExports(): readonly ExportInfo[] {
    const { globals } = this.#module;
    return [
      {
        name: fuelGlobal,
        kind: 'global',
        index: globals,
        type: { kind: 'global', valueType: 'i64', mutable: true },
      },
      {
        name: growFailedGlobal,
        kind: 'global',
        index: globals + 1,
        type: { kind: 'global', valueType: 'i32', mutable: true },
      },
    ];
  }

  /** Number and bytes of the types, globals and so on that are appended to those of the original. */
  readonly appendedTypes: Appended = {
    count: 3,
    bytes: new ByteWriter()
      .u8(functionTypeCode, 1, i32Type, 1, i32Type)
      .u8(functionTypeCode, 1, i64Type, 1, i64Type)
      .u8(functionTypeCode, 0, 0)
      .finish(),
  };

  readonly appendedGlobals: Appended = {
    count: 2,
    bytes: Uint8Array.of(i64Type, mutable, 0x42, 0, 0x0b, i32Type, mutable, 0x41, 0, 0x0b),
  };

  get appendedImports(): Appended {
    const type64 = this.#module.types.length + 1;
    const writer = new ByteWriter().name(meterModule).name(refuelName).u8(functionKind).unsigned(type64);
    return { count: 1, bytes: writer.finish() };
  }

  /** Call it when the code has been metered: only then is known what it needs. */
  get appendedFunctions(): Appended {
    this.#checkFunctions();
    const writer = new ByteWriter();
    for (const { type } of this.added.functions) writer.unsigned(type);
    return { count: this.added.functions.length, bytes: writer.finish() };
  }

  /** The same holds here. */
  get appendedBodies(): Appended {
    const writer = new ByteWriter();
    for (const { body } of this.added.functions) writer.sized(body);
    return { count: this.added.functions.length, bytes: writer.finish() };
  }

  /** Names of what is added, by index. */
  get addedNames(): readonly { readonly index: number; readonly name: string }[] {
    const { slowPath, functions } = this.added;
    const names = functions.map(({ name }, place) => ({ index: slowPath + place, name: `${meterModule}.${name}` }));
    return [{ index: this.imported, name: `${meterModule}.${refuelName}` }, ...names];
  }

  /** Call it when every reference outside of the code has gone through `referenced`. */
  meterCode(section: ByteReader | undefined): MeteredCode {
    const { bytes, types, functionTypes } = this.#module;
    const plan = this.#plan(section);
    const charges = distributeCharges(plan, this.#referenced, this.imported);
    this.#charges = charges;
    const offsets = new OffsetMapWriter();
    const hints = new BranchHints();
    const emitter = new Emitter({
      bytes,
      plan,
      charges,
      chooser: new CounterChooser(plan, charges, this.imported, this.#strategy),
      functions: this,
      parametersOf: (ordinal) => parametersOf(types[functionTypes[ordinal] as number]),
      fuelGlobal: this.#module.globals,
      slowPath: this.added.slowPath,
      globalSlowPath: this.added.globalSlowPath,
      hints,
      offsets,
    });
    const writer = new ByteWriter();
    emitter.writeBodies(writer);
    return { bodies: writer.finish(), hints, offsets, functionCosts: Float64Array.from(plan.functionCosts.used) };
  }

  #checkFunctions(): void {
    const functions = this.#module.functionTypes.length + this.added.functions.length;
    if (functions <= functionsMax) return;
    throw new WasmError({
      reason: 'WASM_OVER_LIMIT',
      location: 'module',
      message: `The module cannot be metered: with fuel counted it has ${functions} functions; at most ${functionsMax} are possible`,
    });
  }

  #plan(section: ByteReader | undefined): CodePlan {
    const plan = new CodePlan();
    if (section === undefined) return plan;
    const { bytes, context, types, memories, tables } = this.#module;
    const importCosts = this.#imports.map(({ price }) => directCost(price));
    const planner = new Planner(bytes, context, plan, {
      types,
      memories,
      tables,
      importCosts,
      added: this.added,
      onReference: (index) => this.referenced(index),
    });
    for (let left = section.count('function bodies'); left > 0; left--) planner.add(readBody(section, context));
    return plan;
  }
}

export interface Appended {
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** What a direct call costs where it is made; one that is priced by an operand is charged by an added function. */
function directCost(price: ImportPrice | undefined): number {
  return price?.perOperand === undefined ? prices.importCall + (price?.units ?? 0) : 0;
}

function importedFunctionsOf(
  imports: readonly ImportEntry[],
  declared: readonly ImportPrice[],
): readonly ImportedFunction[] {
  return imports.flatMap((entry) => {
    const { type, typeIndex } = entry;
    if (type.kind !== 'function' || typeIndex === undefined) return [];
    const price = declared.find(({ module, name }) => module === entry.module && name === entry.name);
    checkOperand(entry, type, price);
    return [{ entry, type, typeIndex, price }];
  });
}

/** Fails if the guest imports the function with another type than the one that was priced. */
function checkOperand({ module, name }: ImportEntry, type: FunctionType, price: ImportPrice | undefined): void {
  if (price?.perOperand === undefined) return;
  const { operand } = price.perOperand;
  const operandType = type.parameters[operand];
  if (operandType === 'i32' || operandType === 'i64') return;
  throw new WasmError({
    reason: 'IMPORT_TYPE_MISMATCH',
    location: `import ${shownName(module)}.${shownName(name)}`,
    message: `Parameter ${operand} of the import must be an integer, because its price depends on it`,
  });
}

function parametersOf(type: CompositeType | undefined): number {
  return type?.kind === 'function' ? type.parameters.length : 0;
}

/**
 * Adds fuel to one module: what each section gets, and the new code. It knows
 * where things move; the order of sections and everything that has nothing to do
 * with fuel are the rewriter's.
 */

import { localsMax, readBody } from '../code.ts';
import type { ExportInfo } from '../inspect.ts';
import { WasmError } from '../problem.ts';
import type { ByteReader } from '../reader.ts';
import type { ImportEntry } from '../sections.ts';
import type { CompositeType, DecodeContext, FunctionType } from '../types.ts';
import { ByteWriter } from '../writer.ts';
import { AddedFunctions, type ImportPrice } from './added-functions.ts';
import { BranchHints } from './branch-hints.ts';
import { directCallsOf } from './call-graph.ts';
import { distributeCharges } from './charges.ts';
import { checkedFunctions } from './checks.ts';
import { type CountedFunctions, CounterChooser, type CounterStrategy, counterStrategyDefault } from './counter.ts';
import { Emitter, type FunctionSpace } from './emitter.ts';
import { directCost, type ImportedFunction, importedFunctionsOf } from './imported-functions.ts';
import { OffsetMapWriter } from './offset-map.ts';
import { isPassable, PassedTypes, passedFunctions, resultBlockType } from './passing.ts';
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

/** What V8 allows a module to define. */
const functionsMax = 1_000_000;
const functionKind = 0;
const functionTypeCode = 0x60;
const i32Type = 0x7f;
const i64Type = 0x7e;
const mutable = 1;

/** Types of the functions that metering adds. */
const addedTypes: Appended = {
  count: 3,
  bytes: new ByteWriter()
    .u8(functionTypeCode, 1, i32Type, 1, i32Type)
    .u8(functionTypeCode, 1, i64Type, 1, i64Type)
    .u8(functionTypeCode, 0, 0)
    .finish(),
};

export class Meter implements FunctionSpace {
  readonly #module: MeteredModule;
  readonly #strategy: CounterStrategy;
  readonly #imports: readonly ImportedFunction[];
  /** Functions (1) that tables and references lead to. */
  readonly #referenced: Uint8Array;
  readonly added: AddedFunctions;
  readonly #passedTypes: PassedTypes;
  #counted: CountedFunctions | undefined;

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
    this.#passedTypes = new PassedTypes(module.types.length + addedTypes.count);
  }

  get imported(): number {
    return this.#imports.length;
  }

  moved(index: number): number {
    return index < this.imported ? index : index + 1;
  }

  /** The new index of a local of a function. Call it when the code has been metered. */
  movedLocal(index: number, local: number): number {
    const ordinal = index - this.imported;
    return this.#isPassed(ordinal) && local >= this.#firstMovableLocal(ordinal) ? local + 1 : local;
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
    const units = this.#counted?.charges.paidByCallers[ordinal] ?? 0;
    const passed = this.#isPassed(ordinal);
    if (units === 0 && !passed) return this.referenced(index);
    const typeIndex = functionTypes[ordinal] as number;
    const type = { index: typeIndex, of: types[typeIndex] as FunctionType };
    return this.added.entry(this.moved(index), type, { units, passed });
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

  /** Number and bytes of the types that are appended. Call it when the function section has been written. */
  get appendedTypes(): Appended {
    const { count, bytes } = this.#passedTypes;
    return {
      count: addedTypes.count + count,
      bytes: new ByteWriter().bytes(addedTypes.bytes).bytes(bytes).finish(),
    };
  }

  readonly appendedGlobals: Appended = {
    count: 2,
    bytes: Uint8Array.of(i64Type, mutable, 0x42, 0, 0x0b, i32Type, mutable, 0x41, 0, 0x0b),
  };

  get appendedImports(): Appended {
    const type64 = this.#module.types.length + 1;
    const writer = new ByteWriter().name(meterModule).name(refuelName).u8(functionKind).unsigned(type64);
    return { count: 1, bytes: writer.finish() };
  }

  /** The function section. Call it when the code has been metered and all is exported: only then is known what is added. */
  get functionSection(): Uint8Array {
    this.#checkFunctions();
    const { types, functionTypes } = this.#module;
    const writer = new ByteWriter().unsigned(functionTypes.length + this.added.functions.length);
    for (const [ordinal, type] of functionTypes.entries()) {
      writer.unsigned(this.#isPassed(ordinal) ? this.#passedTypes.indexOf(types[type] as FunctionType) : type);
    }
    for (const { type } of this.added.functions) writer.unsigned(type);
    return writer.finish();
  }

  #isPassed(ordinal: number): boolean {
    return this.#counted?.passed[ordinal] === 1;
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
    const { bytes } = this.#module;
    const plan = this.#plan(section);
    const counted = this.#decide(plan);
    this.#counted = counted;
    const offsets = new OffsetMapWriter();
    const hints = new BranchHints();
    const emitter = new Emitter({
      bytes,
      plan,
      charges: counted.charges,
      chooser: new CounterChooser(plan, counted, this.imported, this.#strategy),
      functions: this,
      parametersOf: (ordinal) => parametersOf(this.#typeOf(ordinal)),
      resultTypeOf: (ordinal) => resultBlockType(this.#typeOf(ordinal) as FunctionType),
      indices: {
        fuelGlobal: this.#module.globals,
        slowPath: this.added.slowPath,
        globalSlowPath: this.added.globalSlowPath,
      },
      hints,
      offsets,
    });
    const writer = new ByteWriter();
    emitter.writeBodies(writer);
    return { bodies: writer.finish(), hints, offsets, functionCosts: Float64Array.from(plan.functionCosts.used) };
  }

  #decide(plan: CodePlan): CountedFunctions {
    const referenced = this.#referenced;
    const calls = directCallsOf(plan, this.imported);
    const charges = distributeCharges(plan, calls, referenced);
    const { silent } = charges;
    const isPassable = (ordinal: number): boolean =>
      this.#firstMovableLocal(ordinal) + plan.locals.at(ordinal) < localsMax;
    const passed = passedFunctions({ plan, calls, referenced, silent, isPassable });
    return { charges, checked: checkedFunctions(plan, calls), passed };
  }

  /** Of a function that can have another parameter, the first local that would move; else infinite. */
  #firstMovableLocal(ordinal: number): number {
    const type = this.#typeOf(ordinal);
    return this.#strategy.passed && isPassable(type) ? type.parameters.length : Number.POSITIVE_INFINITY;
  }

  #typeOf(ordinal: number): CompositeType | undefined {
    return this.#module.types[this.#module.functionTypes[ordinal] as number];
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
      firstMovableLocal: (ordinal) => this.#firstMovableLocal(ordinal),
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

function parametersOf(type: CompositeType | undefined): number {
  return type?.kind === 'function' ? type.parameters.length : 0;
}

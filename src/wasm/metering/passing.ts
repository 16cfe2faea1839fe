/**
 * Decides which functions are passed the counter: as one parameter more, which
 * they give back as one result more, so that it stays in a register where it
 * would else be written to the global and read again around every call. Only
 * functions whose callers are all known can have another type than they had.
 */

import type { CompositeType, FunctionType, ValueType } from '../types.ts';
import { ByteWriter } from '../writer.ts';
import type { DirectCalls } from './call-graph.ts';
import { type CodePlan, functionFlags } from './plan.ts';

/** Codes of the types that can be written down wherever they occur. */
const typeCodes: ReadonlyMap<ValueType, number> = new Map([
  ['i32', 0x7f],
  ['i64', 0x7e],
  ['f32', 0x7d],
  ['f64', 0x7c],
  ['v128', 0x7b],
]);
const functionTypeCode = 0x60;
const emptyBlockType = 0x40;
/** What V8 allows. */
const parametersMax = 1_000;

/**
 * Whether functions of the type could take and give back one more i64: V8 returns
 * two results in registers, and more in memory.
 */
export function isPassable(type: CompositeType | undefined): type is FunctionType {
  if (type?.kind !== 'function' || type.results.length > 1) return false;
  const { parameters, results } = type;
  return (
    parameters.length < parametersMax && [...parameters, ...results].every((valueType) => typeCodes.has(valueType))
  );
}

export interface PassingConditions {
  readonly plan: CodePlan;
  readonly calls: DirectCalls;
  /** Functions (1) that tables and references lead to. */
  readonly referenced: Uint8Array;
  /** Functions (1) that never touch the counter. */
  readonly silent: Uint8Array;
  /** Whether a function, by its ordinal, can have another parameter. */
  readonly isPassable: (ordinal: number) => boolean;
}

/** Functions (1) that are passed the counter. */
export function passedFunctions({ plan, calls, referenced, silent, isPassable }: PassingConditions): Uint8Array {
  const passed = new Uint8Array(plan.functions);
  for (const callee of calls.callees) passed[callee] = 1;
  const { hasTry, hasTailCall } = functionFlags;
  for (let ordinal = 0; ordinal < plan.functions; ordinal++) {
    const stays =
      referenced[ordinal] === 1 ||
      silent[ordinal] === 1 ||
      // A tail call needs a caller and a callee of the same results.
      calls.tailCalled[ordinal] === 1 ||
      // What handles exceptions may be reached in two ways, of which one has the counter in the global only.
      (plan.flags.at(ordinal) & (hasTry | hasTailCall)) !== 0 ||
      !isPassable(ordinal);
    if (stays) passed[ordinal] = 0;
  }
  return passed;
}

/** The type of a block that yields what a function of a passable type does. */
export function resultBlockType({ results: [result] }: FunctionType): number {
  return result === undefined ? emptyBlockType : (typeCodes.get(result) as number);
}

/** The types of functions that are passed the counter, which are appended to those of the module. */
export class PassedTypes {
  readonly #first: number;
  readonly #indices = new Map<string, number>();
  readonly #writer = new ByteWriter();

  /** `first` is the index of the first type appended. */
  constructor(first: number) {
    this.#first = first;
  }

  get count(): number {
    return this.#indices.size;
  }

  get bytes(): Uint8Array {
    return this.#writer.finish();
  }

  /** The index of a passable type with the counter as last parameter and last result. */
  indexOf({ parameters, results }: FunctionType): number {
    const key = `${parameters.join()} ${results.join()}`;
    const index = this.#indices.get(key) ?? this.#first + this.#indices.size;
    if (this.#indices.has(key)) return index;
    this.#indices.set(key, index);
    this.#writer.byte(functionTypeCode);
    for (const valueTypes of [parameters, results]) {
      const codes = [...valueTypes, 'i64'].map((valueType) => typeCodes.get(valueType) as number);
      this.#writer.unsigned(codes.length).u8(...codes);
    }
    return index;
  }
}

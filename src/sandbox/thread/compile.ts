/**
 * From untrusted bytes to those of a module that can be compiled: decode, validate,
 * judge, rewrite, join with the kernel. Runs in the compiler's thread. It may take
 * long and never runs any of the guest's code.
 */

import { boundedText, singleLine } from '../../base/text.ts';
import { ExecError } from '../../model/exec-error.ts';
import type { FeatureName } from '../../wasm/features.ts';
import { type ExportInfo, inspectModule, type ModuleInfo } from '../../wasm/inspect.ts';
import { type ModulePolicy, scanPolicy } from '../../wasm/policy.ts';
import { byteLocation, WasmError, type WasmProblem } from '../../wasm/problem.ts';
import { type RewrittenModule, rewriteModule } from '../../wasm/rewrite.ts';
import { rewrittenSizeProblem } from '../../wasm/rewritten-size.ts';
import { importPrices } from '../import-prices.ts';
import { type ComposedModule, composeWithKernel } from '../kernel/compose.ts';
import type { ModuleAnalysis } from '../protocol.ts';

export interface ModuleRequest {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly memoryBytes: number;
  readonly policy: ModulePolicy;
}

/**
 * All that stands against a module, and what it becomes. Does not throw for a bad
 * module. Decoding comes first, because its errors say more than V8's; and V8
 * judges the module as it is, before anything is appended to it.
 */
export function analyseModule({ bytes, memoryBytes, policy }: ModuleRequest): ModuleAnalysis {
  const decoded = attempt(() => inspectModule(bytes));
  if ('problem' in decoded) return { problems: [decoded.problem] };
  const info = decoded.value;
  const invalid = validationProblem(bytes);
  if (invalid) return { problems: [invalid], info };
  const problems = [...scanPolicy(info, policy), ...scanContainment(info), ...scanLifecycle(info)];
  if (problems.length > 0) return { problems, info };
  const options = { memoryBytesMax: memoryBytes, metering: { importPrices } };
  const rewritten = attempt(() => rewriteModule(bytes, info, options));
  if ('problem' in rewritten) return { problems: [rewritten.problem], info };
  return composed(info, rewritten.value);
}

/** What a module becomes together with the kernel, unless that is more than can be. */
function composed(info: ModuleInfo, rewritten: RewrittenModule): ModuleAnalysis {
  const { memories, tables, metering } = rewritten;
  if (metering === undefined) throw new ExecError('INTERNAL', 'A module was rewritten without counting its fuel');
  const merged = attempt(() => composeWithKernel({ ...rewritten, metering }));
  const clamped = { memories, tables };
  if ('problem' in merged) {
    const isImport = merged.problem.location.startsWith('import ');
    const { length: rewrittenBytes } = rewritten.bytes;
    if (isImport) return { problems: [], info, rewrittenBytes, clamped, unlinkable: merged.problem };
    return { problems: [merged.problem], info, clamped };
  }
  const { length: rewrittenBytes } = merged.value.bytes;
  const problem = rewrittenSizeProblem(info.sizes.moduleBytes, rewrittenBytes) ?? limitProblem(merged.value);
  if (problem) return { problems: [problem], info, rewrittenBytes, clamped };
  return { problems: [], info, rewrittenBytes, clamped, composed: merged.value };
}

const v8LimitForm = /maximum|exceed|too (many|large|big)|limit/i;

/** Why V8 refuses what the module became, if it does: one of its limits, or else a fault of ours. */
function limitProblem({ bytes }: ComposedModule): WasmProblem | undefined {
  const refusal = validationProblem(bytes);
  if (refusal === undefined) return undefined;
  if (!v8LimitForm.test(refusal.message)) {
    throw new ExecError('INTERNAL', 'The rewritten module does not validate', { cause: refusal });
  }
  const message = `With fuel counted the module goes over a limit of V8: ${refusal.message}`;
  return { reason: 'WASM_OVER_LIMIT', location: 'module', message };
}

function attempt<T>(work: () => T): { readonly value: T } | { readonly problem: WasmProblem } {
  try {
    return { value: work() };
  } catch (error) {
    if (error instanceof WasmError) return { problem: error.problem };
    throw error;
  }
}

const v8PrefixForm = /^WebAssembly\.Module\(\): /;
const v8OffsetForm = / @\+(\d+)$/;
const v8MessageBytesMax = 512;

/** Why V8 refuses the module, if it does. */
function validationProblem(bytes: Uint8Array<ArrayBuffer>): WasmProblem | undefined {
  if (WebAssembly.validate(bytes)) return undefined;
  const text = compileErrorOf(bytes);
  const offset = v8OffsetForm.exec(text)?.[1];
  const message = text.replace(v8PrefixForm, '').replace(v8OffsetForm, '');
  return {
    reason: 'WASM_INVALID',
    location: offset === undefined ? 'module' : byteLocation(Number(offset)),
    message: singleLine(boundedText(message, v8MessageBytesMax)),
  };
}

function compileErrorOf(bytes: Uint8Array<ArrayBuffer>): string {
  try {
    void new WebAssembly.Module(bytes);
    return 'The module does not validate';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Features by which a guest could reach beyond its thread, and why. */
const uncontained: Partial<Record<FeatureName, string>> = {
  // A guest that fills the heap with large arrays ends the process, not its thread.
  gc: 'Structs and arrays of the garbage-collected heap cannot be bounded: build for linear memory',
};

function scanContainment(info: ModuleInfo): readonly WasmProblem[] {
  const messages = info.features.map((feature) => uncontained[feature]).filter((text) => text !== undefined);
  return messages.map((message) => ({ reason: 'WASM_FEATURE_NOT_ALLOWED', location: 'module', message }));
}

const lifecycleNames: readonly string[] = ['hs_init', '_initialize', '_start'];
const plainTypes: readonly string[] = ['i32', 'i64', 'f32', 'f64'];

/** The host calls lifecycle functions itself, with values that it can make. */
function scanLifecycle(info: ModuleInfo): readonly WasmProblem[] {
  return info.exports
    .filter((entry) => lifecycleNames.includes(entry.name) && entry.type.kind === 'function' && !isPlain(entry))
    .map(({ name }) => ({
      reason: 'IMPORT_TYPE_MISMATCH',
      location: `export ${name}`,
      message: `The export "${name}" has a type that the server cannot call: let it take i32 or nothing, and return a number or nothing`,
    }));
}

function isPlain({ type }: ExportInfo): boolean {
  if (type.kind !== 'function' || type.grouped === true) return false;
  return [...type.parameters, ...type.results].every((valueType) => plainTypes.includes(valueType));
}

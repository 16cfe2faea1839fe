/**
 * From untrusted bytes to modules that can be linked: decode, validate, judge,
 * rewrite, compile. Runs in the compiler's thread. It may take long and never
 * runs any of the guest's code.
 */

import type { Digest } from '../../base/digest.ts';
import { boundedText, singleLine } from '../../base/text.ts';
import { ExecError } from '../../model/exec-error.ts';
import { buildAdapter } from '../../wasm/adapter.ts';
import type { FeatureName } from '../../wasm/features.ts';
import { type ExportInfo, inspectModule, type ModuleInfo } from '../../wasm/inspect.ts';
import { type ModulePolicy, reservedPrefix, scanPolicy } from '../../wasm/policy.ts';
import { fuelGlobal, growFailedGlobal } from '../../wasm/metering/reserved.ts';
import { byteLocation, WasmError, type WasmProblem } from '../../wasm/problem.ts';
import { type RewrittenModule, rewriteModule } from '../../wasm/rewrite.ts';
import { importPrices } from '../import-prices.ts';
import { kernelControls } from '../kernel/kernel.ts';
import type { CompiledPlugin, ModuleAnalysis } from '../protocol.ts';

export interface ModuleRequest {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly memoryBytes: number;
  readonly policy: ModulePolicy;
}

/** All that stands against a module, and what it would become. Does not throw for a bad module. */
export function analyseModule(request: ModuleRequest): ModuleAnalysis {
  const { problems, info, rewritten } = examine(request);
  if (info === undefined) return { problems };
  if (rewritten === undefined) return { problems, info };
  const { bytes, memories, tables } = rewritten;
  return { problems, info, rewrittenBytes: bytes.length, clamped: { memories, tables } };
}

/** Throws an ExecError with the first of the module's problems. */
export function compileModule(request: ModuleRequest, digest: Digest): CompiledPlugin {
  const { problems, rewritten } = examine(request);
  const problem = problems[0];
  if (problem) throw new ExecError(problem.reason, `${problem.message} (at ${problem.location})`);
  if (rewritten?.metering === undefined) throw new ExecError('INTERNAL', 'A module without problems was not rewritten');
  return {
    key: `${digest}/${request.memoryBytes}`,
    guest: new WebAssembly.Module(rewritten.bytes),
    adapter: new WebAssembly.Module(adapterBytes(rewritten)),
    lifecycle: rewritten.lifecycle,
    memories: rewritten.memories.map((memory) => memory.name),
    offsets: rewritten.metering.offsets,
  };
}

interface Examination {
  readonly problems: readonly WasmProblem[];
  readonly info?: ModuleInfo;
  readonly rewritten?: RewrittenModule;
}

/** Decoding comes first, because its errors say more than V8's. */
function examine({ bytes, memoryBytes, policy }: ModuleRequest): Examination {
  const info = attempt(() => inspectModule(bytes));
  if ('problem' in info) return { problems: [info.problem] };
  const invalid = validationProblem(bytes);
  if (invalid) return { problems: [invalid], info: info.value };
  const problems = [...scanPolicy(info.value, policy), ...scanContainment(info.value), ...scanLifecycle(info.value)];
  if (problems.length > 0) return { problems, info: info.value };
  const rewritten = attempt(() =>
    rewriteModule(bytes, info.value, { memoryBytesMax: memoryBytes, metering: { importPrices } }),
  );
  if ('problem' in rewritten) return { problems: [rewritten.problem], info: info.value };
  if (!WebAssembly.validate(rewritten.value.bytes)) {
    throw new ExecError('INTERNAL', 'The rewritten module does not validate');
  }
  return { problems: [], info: info.value, rewritten: rewritten.value };
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

/** The host calls lifecycle functions itself, so it must be able to write down their types. */
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

/** What the adapter hands on of the guest: memories, lifecycle, and what can be executed. */
function adapterBytes({ exports, memories, lifecycle }: RewrittenModule): Uint8Array<ArrayBuffer> {
  const wanted = new Set([fuelGlobal, growFailedGlobal, ...memories.map((memory) => memory.name), ...lifecycle]);
  const guestExports = exports.filter((entry) => wanted.has(entry.name) || isExecutable(entry));
  // Extism assigns imports to a plain object: once "__proto__" is assigned, others can fail.
  const isPrototype = (entry: ExportInfo): boolean => entry.name === '__proto__';
  const ordered = [...guestExports.filter((entry) => !isPrototype(entry)), ...guestExports.filter(isPrototype)];
  return buildAdapter({ guestExports: ordered, kernelExports: kernelControls });
}

function isExecutable({ name, type }: ExportInfo): boolean {
  if (type.kind !== 'function' || name.startsWith(reservedPrefix) || type.parameters.length > 0) return false;
  return type.results.length === 0 || (type.results.length === 1 && type.results[0] === 'i32');
}

/**
 * Joins a rewritten guest with the kernel: into one module that exports, beside
 * what can be executed of the guest, only what the host needs. Bytes in, bytes
 * out; nothing is compiled here.
 */

import { capabilities, kernelFunctions, kernelModule } from '../../model/capability.ts';
import type { ExportInfo } from '../../wasm/inspect.ts';
import type { CodeOrigin } from '../../wasm/merge/code-origin.ts';
import { type FunctionImport, mergeModules } from '../../wasm/merge/merge.ts';
import { fuelGlobal, growFailedGlobal } from '../../wasm/metering/reserved.ts';
import { reservedPrefix } from '../../wasm/policy.ts';
import type { RewrittenModule } from '../../wasm/rewrite.ts';
import type { MemoryType } from '../../wasm/types.ts';
import { kernelBytes, kernelControls, memoryModule } from './kernel.ts';

/** A guest with its kernel, ready to be compiled, and what a thread has to know of it. Plain data. */
export interface ComposedModule {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Exports to be called before any other, in order. */
  readonly lifecycle: readonly string[];
  /** The memories that it imports, in order: the guest's, and last the kernel's. */
  readonly memories: readonly MemoryType[];
  /** The host functions that it imports. */
  readonly imports: readonly FunctionImport[];
  /** From its code to that of the module as published. */
  readonly offsets: CodeOrigin;
}

/** What guests may import of the kernel; what is exported for the host alone is not among it. */
const importable: ReadonlySet<string> = new Set([
  ...Object.keys(kernelFunctions),
  ...Object.values(capabilities).flatMap(({ module, functions }) =>
    module === kernelModule ? Object.keys(functions) : [],
  ),
]);

/**
 * `kernelExports` come beside those that the host needs of every kernel. Throws a
 * WasmError if the guest imports from the kernel what is not there for it.
 */
export function composeWithKernel(
  { bytes, exports, lifecycle, metering }: RewrittenModule & Required<Pick<RewrittenModule, 'metering'>>,
  kernelExports: readonly { readonly name: string; readonly as: string }[] = [],
): ComposedModule {
  const needed = new Set([fuelGlobal, growFailedGlobal, ...lifecycle]);
  const merged = mergeModules(bytes, kernelBytes, {
    moduleName: kernelModule,
    memoryModule,
    importable,
    guestExports: exports.filter((entry) => needed.has(entry.name) || isExecutable(entry)),
    hostExports: [...kernelControls, ...kernelExports],
  });
  return {
    // A buffer of its own, which can be handed from thread to thread.
    bytes: merged.bytes.slice(),
    lifecycle,
    memories: merged.memories,
    imports: merged.imports,
    offsets: { firstFunction: merged.firstFunction, merged: merged.offsets, metered: metering.offsets },
  };
}

function isExecutable({ name, type }: ExportInfo): boolean {
  if (type.kind !== 'function' || name.startsWith(reservedPrefix) || type.parameters.length > 0) return false;
  return type.results.length === 0 || (type.results.length === 1 && type.results[0] === 'i32');
}

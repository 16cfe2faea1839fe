/**
 * The kernel as a compiled module, and the part of it that the host uses. What
 * the kernel does stands in kernel.wat.
 */

import type { AdapterExport } from '../../wasm/adapter.ts';
import { kernelBase64 } from './kernel-bytes.ts';

/** Import module of the kernel's own host functions. No guest may name it. */
export const hostModule = 'caisson:host';

/** The kernel's name in stack traces. */
export const kernelName = 'caisson-kernel';

/** What the host uses, by the kernel's own names. */
export interface KernelExports {
  readonly memory: WebAssembly.Memory;
  /** Bytes that the blocks may take together, headers included. */
  readonly limit: WebAssembly.Global<'i64'>;
  readonly output_offset: WebAssembly.Global<'i64'>;
  readonly output_length: WebAssembly.Global<'i64'>;
  readonly error_offset: WebAssembly.Global<'i64'>;
  readonly error_length: WebAssembly.Global<'i64'>;
  try_alloc(length: bigint): bigint;
  length(address: bigint): bigint;
  free(address: bigint): void;
  set_input(offset: bigint, length: bigint): void;
}

/** Name under which the adapter exports what the kernel exports as `name`. */
export function adapterName(name: string): string {
  return `caisson:kernel_${name}`;
}

const i64Global = { kind: 'global', valueType: 'i64', mutable: true } as const;
const kernelTypes: Readonly<Record<keyof KernelExports, AdapterExport['type']>> = {
  memory: { kind: 'memory', minPages: 0, is64: false, shared: false, pageBytes: 65_536 },
  limit: i64Global,
  output_offset: i64Global,
  output_length: i64Global,
  error_offset: i64Global,
  error_length: i64Global,
  try_alloc: { kind: 'function', parameters: ['i64'], results: ['i64'] },
  length: { kind: 'function', parameters: ['i64'], results: ['i64'] },
  free: { kind: 'function', parameters: ['i64'], results: [] },
  set_input: { kind: 'function', parameters: ['i64', 'i64'], results: [] },
};

/** KernelExports, as every adapter hands them on. */
export const kernelControls: readonly AdapterExport[] = Object.entries(kernelTypes).map(([name, type]) => ({
  name,
  as: adapterName(name),
  type,
}));

let compiled: WebAssembly.Module | undefined;

/** The kernel, compiled once per process and shared by all threads. */
export function kernelModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(Buffer.from(kernelBase64, 'base64'));
  return compiled;
}

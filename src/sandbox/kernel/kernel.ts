/**
 * The kernel as bytes, which are merged into every guest, and the part of it that
 * the host uses. What the kernel does stands in kernel.wat.
 */

import { kernelBase64 } from './kernel-bytes.ts';

/** Import module of the kernel's own host functions. No guest may name it. */
export const hostModule = 'caisson:host';

/** Import module of the memories, named by their indices. */
export const memoryModule = 'caisson:memory';

/** What the host uses, by the kernel's own names. */
export interface KernelExports {
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
  reset(): void;
}

/** Name under which an instance exports what the kernel exports as `name`. */
export function controlName(name: keyof KernelExports): string {
  return `caisson:kernel_${name}`;
}

const controls: Readonly<Record<keyof KernelExports, true>> = {
  limit: true,
  output_offset: true,
  output_length: true,
  error_offset: true,
  error_length: true,
  try_alloc: true,
  length: true,
  free: true,
  set_input: true,
  reset: true,
};

/** KernelExports, as every instance exports them. */
export const kernelControls: readonly { readonly name: keyof KernelExports; readonly as: string }[] = (
  Object.keys(controls) as readonly (keyof KernelExports)[]
).map((name) => ({ name, as: controlName(name) }));

/** The kernel; whoever takes it must not change it. */
export const kernelBytes: Uint8Array<ArrayBuffer> = new Uint8Array(Buffer.from(kernelBase64, 'base64'));

let compiled: WebAssembly.Module | undefined;

/** The kernel alone, compiled. */
export function kernelModule(): WebAssembly.Module {
  compiled ??= new WebAssembly.Module(kernelBytes);
  return compiled;
}

/**
 * The kernel of one instance seen from the host: blocks, input, output, error.
 * Nothing that it reads there is believed before the kernel has checked it.
 */

import type { GuestBlocks } from '../../capabilities/call-context.ts';
import { controlName, type KernelExports } from '../kernel/kernel.ts';

export class KernelMemory implements GuestBlocks {
  readonly #kernel: KernelExports;
  readonly #memory: WebAssembly.Memory;

  /** `exports` are those of an instance, `memory` is the kernel's. */
  constructor(exports: WebAssembly.Exports, memory: WebAssembly.Memory) {
    this.#memory = memory;
    const get = <Name extends keyof KernelExports>(name: Name): KernelExports[Name] =>
      exports[controlName(name)] as unknown as KernelExports[Name];
    this.#kernel = {
      limit: get('limit'),
      output_offset: get('output_offset'),
      output_length: get('output_length'),
      error_offset: get('error_offset'),
      error_length: get('error_length'),
      try_alloc: get('try_alloc'),
      length: get('length'),
      free: get('free'),
      set_input: get('set_input'),
      reset: get('reset'),
    };
  }

  setLimit(bytes: number): void {
    this.#kernel.limit.value = BigInt(bytes);
  }

  /** Forgets all blocks, input, output and error, bytes included. */
  reset(): void {
    this.#kernel.reset();
  }

  /** Whether there was room for it. */
  setInput(input: Uint8Array): boolean {
    const address = this.write(input);
    if (address === undefined) return false;
    this.#kernel.set_input(address, BigInt(input.length));
    return true;
  }

  get outputBytes(): number {
    return Number(this.#kernel.output_length.value);
  }

  /** A copy. */
  readOutput(): Uint8Array<ArrayBuffer> {
    return this.#bytes(this.#kernel.output_offset.value, this.#kernel.output_length.value).slice();
  }

  /** The guest's error, valid until the next call into the kernel; undefined if it set none. */
  get error(): Uint8Array | undefined {
    const { error_offset: offset, error_length: length } = this.#kernel;
    return offset.value === 0n ? undefined : this.#bytes(offset.value, length.value);
  }

  view(address: bigint): Uint8Array | undefined {
    if (address === 0n) return new Uint8Array();
    const length = this.#kernel.length(address);
    return length === 0n ? undefined : this.#bytes(address, length);
  }

  write(bytes: Uint8Array): bigint | undefined {
    if (bytes.length === 0) return 0n;
    const address = this.#kernel.try_alloc(BigInt(bytes.length));
    if (address === 0n) return undefined;
    this.#bytes(address, BigInt(bytes.length)).set(bytes);
    return address;
  }

  free(address: bigint): void {
    this.#kernel.free(address);
  }

  #bytes(address: bigint, length: bigint): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#memory.buffer as ArrayBuffer, Number(address), Number(length));
  }
}

/**
 * The guest's memory as functions of WASI reach it. Every pointer and length is
 * hostile: what is not wholly inside is refused with FAULT. No view is kept, as the
 * memory may have grown by the next access.
 */

import { wasi } from '@bjorn3/browser_wasi_shim';
import type { CallContext } from '../call-context.ts';
import { refuse } from './refusal.ts';

/** Pieces of memory that one read or write may have. */
export const vectorsMax = 1_024;

const vectorBytes = 8;

/** A piece of memory, found to be inside. */
export interface Vector {
  readonly pointer: number;
  readonly length: number;
}

export class GuestMemory {
  readonly #call: CallContext;

  constructor(call: CallContext) {
    this.#call = call;
  }

  /** The bytes there, valid until the guest runs again. */
  view(pointer: number, length: number): Uint8Array {
    const memory = this.#call.memory;
    if (memory === undefined || pointer + length > memory.length) refuse(wasi.ERRNO_FAULT);
    return memory.subarray(pointer, pointer + length);
  }

  data(pointer: number, length: number): DataView {
    const { buffer, byteOffset, byteLength } = this.view(pointer, length);
    return new DataView(buffer, byteOffset, byteLength);
  }

  write(pointer: number, bytes: Uint8Array): void {
    this.view(pointer, bytes.length).set(bytes);
  }

  /** Refuses unless there is room for a result, so that nothing is done whose result cannot be told. */
  expectRoom(pointer: number, length: number): void {
    this.view(pointer, length);
  }

  setU32(pointer: number, value: number): void {
    this.data(pointer, 4).setUint32(0, value, true);
  }

  setU64(pointer: number, value: bigint): void {
    this.data(pointer, 8).setBigUint64(0, value, true);
  }

  /** The pieces of an array of iovec or ciovec, each inside; they may overlap. */
  vectors(pointer: number, count: number): readonly Vector[] {
    if (count > vectorsMax) refuse(wasi.ERRNO_INVAL);
    const data = this.data(pointer, count * vectorBytes);
    this.#call.chargeBytes(count * vectorBytes);
    return Array.from({ length: count }, (_, index) => {
      const vector = {
        pointer: data.getUint32(index * vectorBytes, true),
        length: data.getUint32(index * vectorBytes + 4, true),
      };
      this.expectRoom(vector.pointer, vector.length);
      return vector;
    });
  }
}

/**
 * Memories for instances. Making one and giving it back to the system costs about
 * 20 us of processor time each, most of what an instance takes, and its pages are
 * found anew at first touch; so small ones are used again by later instances, of
 * whoever they are, every byte set to zero before. What has grown, or is large, is
 * left to V8.
 */

import type { MemoryType } from '../../wasm/types.ts';

/** Larger ones are faster made than zeroed. */
export const reusedBytesMax = 1_048_576;
/** Those that come back zeroed may be larger. */
export const zeroedBytesMax = 4 * 1_048_576;
/** Memories that wait to be used again. */
export const waitingMax = 64;
/** Their bytes together. */
export const waitingBytesMax = 16 * 1_048_576;

export class Memories {
  /** By type. */
  readonly #waiting = new Map<string, WebAssembly.Memory[]>();
  #count = 0;
  #bytes = 0;

  /** A memory that is as if new: of its least size, all zero. Throws a RangeError if there is no room for another. */
  take(type: MemoryType): WebAssembly.Memory {
    const waiting = this.#waiting.get(keyOf(type));
    const memory = waiting?.pop();
    if (memory === undefined) return createMemory(type);
    this.#count--;
    this.#bytes -= memory.buffer.byteLength;
    return memory;
  }

  /** To be called when nothing can reach the memory any more but through the caller. Answers whether it will be used again. */
  giveBack(type: MemoryType, memory: WebAssembly.Memory): boolean {
    const { byteLength } = memory.buffer;
    const hasGrown = byteLength !== type.minPages * type.pageBytes;
    if (hasGrown || byteLength > reusedBytesMax || !this.#hasRoom(byteLength)) return false;
    new Uint8Array(memory.buffer).fill(0);
    this.#keep(type, memory);
    return true;
  }

  /** The same of a memory that is all zero, and whose size its user does not mind. */
  giveBackZeroed(type: MemoryType, memory: WebAssembly.Memory): void {
    const { byteLength } = memory.buffer;
    if (byteLength <= zeroedBytesMax && this.#hasRoom(byteLength)) this.#keep(type, memory);
  }

  #hasRoom(bytes: number): boolean {
    return this.#count < waitingMax && this.#bytes + bytes <= waitingBytesMax;
  }

  #keep(type: MemoryType, memory: WebAssembly.Memory): void {
    const key = keyOf(type);
    const waiting = this.#waiting.get(key) ?? [];
    this.#waiting.set(key, waiting);
    waiting.push(memory);
    this.#count++;
    this.#bytes += memory.buffer.byteLength;
  }
}

function keyOf({ minPages, maxPages, is64 }: MemoryType): string {
  return `${minPages}/${maxPages}/${is64}`;
}

/** What the type definitions do not know of memories with 64-bit addresses. */
type MemoryConstructor = new (descriptor: {
  readonly initial: number | bigint;
  readonly maximum?: number | bigint;
  readonly address?: 'i32' | 'i64';
}) => WebAssembly.Memory;

export function createMemory({ minPages, maxPages, is64 }: MemoryType): WebAssembly.Memory {
  const Memory = WebAssembly.Memory as unknown as MemoryConstructor;
  const sized = (pages: number): number | bigint => (is64 ? BigInt(pages) : pages);
  return new Memory({
    initial: sized(minPages),
    ...(maxPages !== undefined && { maximum: sized(maxPages) }),
    ...(is64 && { address: 'i64' }),
  });
}

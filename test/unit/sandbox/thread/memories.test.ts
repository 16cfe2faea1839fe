import { describe, expect, test } from 'vitest';
import {
  createMemory,
  Memories,
  reusedBytesMax,
  waitingBytesMax,
  waitingMax,
  zeroedBytesMax,
} from '../../../../src/sandbox/thread/memories.ts';
import type { MemoryType } from '../../../../src/wasm/types.ts';

const page = 65_536;

function typeOf(minPages: number, more: Partial<MemoryType> = {}): MemoryType {
  return { kind: 'memory', minPages, maxPages: 1_000, is64: false, shared: false, pageBytes: page, ...more };
}

const bytesOf = (memory: WebAssembly.Memory): Uint8Array => new Uint8Array(memory.buffer);

describe('Memories', () => {
  test('gives a memory that comes back to the next who wants its type, all zero', () => {
    const memories = new Memories();
    const memory = memories.take(typeOf(2));
    bytesOf(memory).fill(0xff);
    expect(memories.giveBack(typeOf(2), memory)).toBe(true);
    const again = memories.take(typeOf(2));
    expect(again).toBe(memory);
    expect(bytesOf(again).every((byte) => byte === 0)).toBe(true);
    expect(memories.take(typeOf(2))).not.toBe(memory);
  });

  test.each([
    ['another least size', typeOf(1)],
    ['another maximum', typeOf(2, { maxPages: 999 })],
    ['wide addresses', typeOf(2, { is64: true })],
  ])('gives none to who wants %s', (_what, other) => {
    const memories = new Memories();
    const memory = memories.take(typeOf(2));
    memories.giveBack(typeOf(2), memory);
    expect(memories.take(other)).not.toBe(memory);
    expect(memories.take(typeOf(2))).toBe(memory);
  });

  test('keeps none that has grown', () => {
    const memories = new Memories();
    const memory = memories.take(typeOf(1));
    memory.grow(1);
    expect(memories.giveBack(typeOf(1), memory)).toBe(false);
    expect(memories.take(typeOf(1)).buffer.byteLength).toBe(page);
  });

  test('keeps one of the largest size, and none above', () => {
    const memories = new Memories();
    const pages = reusedBytesMax / page;
    const [fits, large] = [typeOf(pages), typeOf(pages + 1)];
    expect(memories.giveBack(fits, memories.take(fits))).toBe(true);
    expect(memories.giveBack(large, memories.take(large))).toBe(false);
  });

  test('keeps one that comes back zeroed as it is, grown or not, up to a size', () => {
    const memories = new Memories();
    const memory = memories.take(typeOf(1));
    memory.grow(zeroedBytesMax / page - 1);
    memories.giveBackZeroed(typeOf(1), memory);
    expect(memories.take(typeOf(1))).toBe(memory);
    memory.grow(1);
    memories.giveBackZeroed(typeOf(1), memory);
    expect(memories.take(typeOf(1))).not.toBe(memory);
  });

  test('keeps so many, and no more', () => {
    const memories = new Memories();
    const taken = Array.from({ length: waitingMax + 1 }, () => memories.take(typeOf(1)));
    const kept = taken.map((memory) => memories.giveBack(typeOf(1), memory));
    expect(kept.filter(Boolean)).toHaveLength(waitingMax);
    expect(kept.at(-1)).toBe(false);
  });

  test('keeps so many bytes, and no more', () => {
    const memories = new Memories();
    const largest = typeOf(reusedBytesMax / page);
    const taken = Array.from({ length: waitingBytesMax / reusedBytesMax + 1 }, () => memories.take(largest));
    const kept = taken.map((memory) => memories.giveBack(largest, memory));
    expect(kept).toEqual([...taken.slice(1).map(() => true), false]);
    memories.take(largest);
    expect(memories.giveBack(largest, taken[0] as WebAssembly.Memory)).toBe(true);
  });
});

describe('createMemory', () => {
  test('makes a memory within its limits, also of 64 bits', () => {
    for (const is64 of [false, true]) {
      const memory = createMemory(typeOf(1, { maxPages: 2, is64 }));
      expect(memory.buffer.byteLength).toBe(page);
      const grow = (): unknown => (memory.grow as (pages: number | bigint) => unknown)(is64 ? 1n : 1);
      grow();
      expect(memory.buffer.byteLength).toBe(2 * page);
      expect(grow).toThrow(RangeError);
    }
  });
});

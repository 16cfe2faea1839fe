/** Memories for merged modules, which import them. */

import { createMemory } from '../../src/sandbox/thread/memories.ts';
import type { MemoryType } from '../../src/wasm/types.ts';

export const memoryModule = 'memories';

/** The imports, and new memories of these types. */
export function withMemories(memories: readonly MemoryType[], imports: WebAssembly.Imports = {}): WebAssembly.Imports {
  return { ...imports, [memoryModule]: Object.fromEntries(memories.map((type, index) => [index, createMemory(type)])) };
}

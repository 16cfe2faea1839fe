/**
 * The arithmetic of memory limits: how far each memory and table may grow so
 * that all together stay within a number of bytes. No bytes of modules here.
 */

import type { MemoryInfo, TableInfo } from './inspect.ts';
import { type WasmProblem, WasmError } from './problem.ts';
import { wasmPageBytes } from './types.ts';

/** What one table element is reckoned to take. */
export const tableElementBytes = 16;
/** A table may grow to this part of the memory budget. */
const tableShare = 64;
/** Pages beyond which no 32-bit memory can be declared. */
const pagesMax32 = 65_536;
const elementsMax32 = 2 ** 32 - 1;

export interface Clamps {
  /** The maximum of each memory in pages, in the order of their indices. */
  readonly memoryPages: readonly number[];
  /** The maximum of each table in elements. */
  readonly tableElements: readonly number[];
}

/** New maxima for all memories and tables; throws MEMORY_OVER_LIMIT if they do not fit even at their minimum. */
export function clampLimits(
  memories: readonly MemoryInfo[],
  tables: readonly TableInfo[],
  memoryBytesMax: number,
): Clamps {
  const tableElements = tables.map((table) => clampTable(table, memoryBytesMax));
  const tableBytes = tables.reduce((sum, table, place) => sum + bytesReserved(table, tableElements[place] ?? 0), 0);
  const pages = Math.floor((memoryBytesMax - tableBytes) / wasmPageBytes);
  return { memoryPages: sharePages(memories, pages, { memoryBytesMax, tableBytes }), tableElements };
}

function clampTable(table: TableInfo, memoryBytesMax: number): number {
  const share = Math.floor(memoryBytesMax / tableShare / tableElementBytes);
  return Math.min(table.max ?? elementsMax32, Math.max(table.min, share));
}

/** A table that cannot grow takes nothing of the budget: its minimum is bounded by the policy. */
function bytesReserved(table: TableInfo, elements: number): number {
  return elements > table.min ? elements * tableElementBytes : 0;
}

interface Budget {
  readonly memoryBytesMax: number;
  readonly tableBytes: number;
}

/** Gives every memory its minimum and an equal part of what is left, as far as its own maximum goes. */
function sharePages(memories: readonly MemoryInfo[], pages: number, budget: Budget): readonly number[] {
  const needed = memories.reduce((sum, memory) => sum + memory.minPages, 0);
  if (needed > Math.max(pages, 0)) throw new WasmError(overLimit(memories, needed, budget));
  let left = pages - needed;
  const shares = memories.map((memory, place) => ({ place, min: memory.minPages, room: growthOf(memory) }));
  const result = memories.map((memory) => memory.minPages);
  for (const [done, { place, min, room }] of shares.toSorted((a, b) => a.room - b.room).entries()) {
    const taken = Math.min(room, Math.floor(left / (shares.length - done)));
    result[place] = min + taken;
    left -= taken;
  }
  return result;
}

function growthOf(memory: MemoryInfo): number {
  const declared = memory.maxPages ?? Number.MAX_SAFE_INTEGER;
  return (memory.is64 ? declared : Math.min(declared, pagesMax32)) - memory.minPages;
}

function overLimit(memories: readonly MemoryInfo[], needed: number, budget: Budget): WasmProblem {
  const tables = budget.tableBytes === 0 ? '' : `, of which ${budget.tableBytes} are set aside for tables`;
  const what =
    memories.length === 1 ? 'memory of the module begins' : `${memories.length} memories of the module begin`;
  return {
    reason: 'MEMORY_OVER_LIMIT',
    location: 'memory 0',
    message:
      `The ${what} with ${needed} pages (${needed * wasmPageBytes} bytes), ` +
      `but the memory limit is ${budget.memoryBytesMax} bytes${tables}: raise the limit or build with less initial memory`,
  };
}

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clampLimits, tableElementBytes } from '../../../src/wasm/clamp.ts';
import type { MemoryInfo, TableInfo } from '../../../src/wasm/inspect.ts';
import { problemOf } from './bytes.ts';

const pageBytes = 65_536;

function memory(minPages: number, maxPages?: number, is64 = false): MemoryInfo {
  const max = maxPages === undefined ? {} : { maxPages };
  return { kind: 'memory', minPages, ...max, is64, shared: false, pageBytes, imported: false };
}

function table(min: number, max?: number): TableInfo {
  const most = max === undefined ? {} : { max };
  return { kind: 'table', min, ...most, is64: false, elementType: 'funcref', imported: false };
}

function pagesOf(memories: readonly MemoryInfo[], pages: number): readonly number[] {
  return clampLimits(memories, [], pages * pageBytes).memoryPages;
}

describe('clampLimits', () => {
  it('gives a single memory all pages, but no more than it declares', () => {
    expect(pagesOf([memory(1)], 100)).toEqual([100]);
    expect(pagesOf([memory(1, 7)], 100)).toEqual([7]);
    expect(pagesOf([memory(100, 200)], 100)).toEqual([100]);
    expect(pagesOf([], 100)).toEqual([]);
  });

  it('shares what is left equally and hands on what a memory cannot take', () => {
    expect(pagesOf([memory(0), memory(10)], 30)).toEqual([10, 20]);
    expect(pagesOf([memory(1), memory(1, 3), memory(2)], 34)).toEqual([15, 3, 16]);
    expect(pagesOf([memory(0, 1), memory(0, 1), memory(0, 1)], 100)).toEqual([1, 1, 1]);
    expect(pagesOf([memory(0), memory(0)], 3)).toEqual([1, 2]);
  });

  it('knows what a memory of 32 bits can declare', () => {
    expect(pagesOf([memory(1)], 100_000)).toEqual([65_536]);
    expect(pagesOf([memory(1, undefined, true)], 100_000)).toEqual([100_000]);
  });

  it('does not count a part of a page', () => {
    expect(clampLimits([memory(1)], [], 3 * pageBytes - 1).memoryPages).toEqual([2]);
  });

  it('clamps tables that can grow and sets their bytes aside', () => {
    const bytes = 64 * 1024 * 1024;
    const clamps = clampLimits([memory(1)], [table(10), table(5, 5), table(0, 100), table(70_000)], bytes);
    expect(clamps.tableElements).toEqual([65_536, 5, 100, 70_000]);
    const reserved = (65_536 + 100) * tableElementBytes;
    expect(clamps.memoryPages).toEqual([Math.floor((bytes - reserved) / pageBytes)]);
  });

  it('refuses memories that are too large from the start, with the figures', () => {
    const problem = problemOf(() => clampLimits([memory(7), memory(4)], [], 10 * pageBytes));
    expect(problem).toEqual({
      reason: 'MEMORY_OVER_LIMIT',
      location: 'memory 0',
      message:
        'The 2 memories of the module begin with 11 pages (720896 bytes), but the memory limit is 655360 bytes: ' +
        'raise the limit or build with less initial memory',
    });
    const withTable = problemOf(() => clampLimits([memory(10)], [table(1)], 10 * pageBytes));
    expect(withTable.message).toContain('of which 10240 are set aside for tables');
  });

  it('keeps every memory between its minimum and its maximum, and all within the budget', () => {
    const memories = fc.array(fc.tuple(fc.nat(200), fc.option(fc.nat(500), { nil: undefined })), { maxLength: 16 });
    const tables = fc.array(fc.tuple(fc.nat(1_000), fc.option(fc.nat(100_000), { nil: undefined })), { maxLength: 4 });
    fc.assert(
      fc.property(memories, tables, fc.nat(5_000), (memoryLimits, tableLimits, pages) => {
        const given = memoryLimits.map(([min, room]) => memory(min, room === undefined ? undefined : min + room));
        const givenTables = tableLimits.map(([min, room]) => table(min, room === undefined ? undefined : min + room));
        const needed = given.reduce((sum, { minPages }) => sum + minPages, 0);
        if (needed > pages - 4 * 65) return;
        const { memoryPages, tableElements } = clampLimits(given, givenTables, pages * pageBytes);
        let bytes = 0;
        for (const [index, { minPages, maxPages }] of given.entries()) {
          const clamped = memoryPages[index] ?? Number.NaN;
          expect(clamped).toBeGreaterThanOrEqual(minPages);
          expect(clamped).toBeLessThanOrEqual(maxPages ?? 65_536);
          bytes += clamped * pageBytes;
        }
        for (const [index, { min, max }] of givenTables.entries()) {
          const clamped = tableElements[index] ?? Number.NaN;
          expect(clamped).toBeGreaterThanOrEqual(min);
          expect(clamped).toBeLessThanOrEqual(max ?? 2 ** 32 - 1);
          if (clamped > min) bytes += clamped * tableElementBytes;
        }
        expect(bytes).toBeLessThanOrEqual(pages * pageBytes);
      }),
    );
  });
});

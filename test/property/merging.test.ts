/**
 * Random valid modules, metered: merged with a host module they do, return and
 * count what they do when linked with it, and every instruction leads back to
 * where it stood.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readBody } from '../../src/wasm/code.ts';
import { inspectModule } from '../../src/wasm/inspect.ts';
import { InstructionReader } from '../../src/wasm/instructions.ts';
import { openSection, readLayout } from '../../src/wasm/layout.ts';
import { type MergedModule, mergeModules } from '../../src/wasm/merge/merge.ts';
import { branchHintSection } from '../../src/wasm/metering/branch-hints.ts';
import { originalOffset } from '../../src/wasm/metering/offset-map.ts';
import { rewriteModule } from '../../src/wasm/rewrite.ts';
import { createContext } from '../../src/wasm/types.ts';
import { ByteReader } from '../../src/wasm/reader.ts';
import { FuelHost } from '../helpers/fuel-host.ts';
import { memoryModule, withMemories } from '../helpers/memories.ts';
import { randomModule } from '../helpers/random-module.ts';
import { wat } from '../helpers/wat.ts';

const modules = process.env['CAISSON_TEST_FULL'] === '1' ? 3_000 : 300;
const batch = 100;
const slices = [1n, 97n, 10_000n, 2_000_000n];

/** So many functions of the host come before those of the guest, whose indices then take more bytes. */
const crowd = Array.from({ length: 140 }, (_, place) => `crowd${place}`);

const hostText = (imported: readonly string[]): string => `(module
  (import "real" "log0" (func $log0 (param i32)))
  (import "real" "log1" (func $log1 (param i64 i32) (result i32)))
  ${imported.map((name) => `(import "real" "${name}" (func $${name}))(export "${name}" (func $${name}))`).join('')}
  (memory (export "memory") 1) (global $n (export "n") (mut i32) (i32.const 0))
  (func $count (global.set $n (i32.add (global.get $n) (i32.const 1))) (i32.store (global.get $n) (global.get $n)))
  (func (export "log0") (param i32) (call $count) (call $log0 (local.get 0)))
  (export "log1" (func $log1)))`;

const hosts = [
  { name: 'a small host', imported: [], bytes: wat(hostText([])) },
  { name: 'a host with many imports', imported: crowd, bytes: wat(hostText(crowd)) },
] as const;

type Host = (typeof hosts)[number];

interface Pair {
  readonly metered: Uint8Array<ArrayBuffer>;
  readonly merged: MergedModule;
}

function pairOf(bytes: Uint8Array<ArrayBuffer>, host: Host): Pair {
  const { bytes: metered, exports } = rewriteModule(bytes, inspectModule(bytes), {
    memoryBytesMax: 1 << 23,
    metering: {},
  });
  const merged = mergeModules(metered, host.bytes, {
    moduleName: 'host',
    memoryModule,
    importable: new Set(['log0', 'log1']),
    guestExports: exports,
    hostExports: host.imported.map((name) => ({ name, as: `host:${name}` })),
  });
  return { metered, merged };
}

/** What a module does when all its functions are called one after the other. */
function behaviour(
  { bytes, memories }: Pick<MergedModule, 'bytes' | 'memories'>,
  names: readonly string[],
  slice: bigint,
  link: Link,
): readonly string[] {
  const seen: string[] = [];
  const real = {
    log0: (value: number) => void seen.push(`log0 ${value}`),
    log1: (wide: bigint, value: number) => {
      seen.push(`log1 ${wide} ${value}`);
      return value ^ 5;
    },
  };
  const fuel = new FuelHost({ slice });
  const module = new WebAssembly.Module(bytes);
  const instance = new WebAssembly.Instance(module, withMemories(memories, fuel.imports(link(real))));
  fuel.attach(instance);
  for (const name of names) {
    const run = instance.exports[name];
    if (typeof run !== 'function') continue;
    seen.push(`${name} ${attempt(run as (...values: unknown[]) => unknown, run.length)} ${fuel.used} ${fuel.refuels}`);
  }
  const memory = new Uint8Array((instance.exports['memory'] as WebAssembly.Memory).buffer);
  return [...seen, Buffer.from(memory.subarray(0, 4_096)).toString('base64')];
}

type Link = (real: Readonly<Record<string, WebAssembly.ImportValue>>) => WebAssembly.Imports;

function attempt(run: (...values: unknown[]) => unknown, parameters: number): string {
  // The types of parameters are not to be seen here: whatever does not convert makes the call fail alike.
  for (const value of [5, 5n]) {
    try {
      return String(run(...Array.from({ length: parameters }, () => value)));
    } catch (error) {
      if (error instanceof RangeError) return 'overflows';
      if (!(error instanceof TypeError)) return error instanceof Error ? error.message : 'exception';
    }
  }
  return 'not called';
}

interface Place {
  readonly opcode: number;
  readonly position: number;
}

/** Every instruction of the first `count` bodies, and where the bodies begin. */
function instructionsOf(
  bytes: Uint8Array,
  count: number,
): { readonly places: readonly Place[]; readonly starts: readonly number[] } {
  const section = readLayout(bytes).find(({ name }) => name === 'code');
  if (section === undefined) throw new Error('The module has no code');
  const reader = openSection(bytes, section);
  reader.u32();
  const places: Place[] = [];
  const starts: number[] = [];
  for (let left = count; left > 0; left--) {
    const { start, codeStart, end } = readBody(reader, createContext());
    starts.push(start);
    const instructions = new InstructionReader(
      new ByteReader(bytes, { start: codeStart, end }, 'body'),
      createContext(),
    );
    while (instructions.next()) places.push({ opcode: instructions.opcode, position: instructions.start });
  }
  return { places, starts };
}

/** Function, offset and value of every branch hint. */
function hintsOf(bytes: Uint8Array): readonly (readonly [number, number])[] {
  const section = readLayout(bytes).find(({ customName }) => customName === branchHintSection);
  if (section === undefined) return [];
  const reader = openSection(bytes, section);
  const hints: (readonly [number, number])[] = [];
  for (let left = reader.u32(); left > 0; left--) {
    const index = reader.u32();
    for (let rest = reader.u32(); rest > 0; rest--) {
      hints.push([index, reader.u32()]);
      reader.skip(2);
    }
  }
  return hints;
}

const seeds = Array.from({ length: modules / batch }, (_, index) => index * batch);

describe.each(hosts)('Merging with $name', (host) => {
  test.each(seeds)(
    'changes nothing that can be seen of modules from seed %i on, fuel included',
    (first) => {
      let calls = 0;
      for (let seed = first; seed < first + batch; seed++) {
        const { metered, merged } = pairOf(randomModule(seed), host);
        const slice = slices[seed % slices.length] ?? 1n;
        const names = WebAssembly.Module.exports(new WebAssembly.Module(metered)).map(({ name }) => name);
        const crowded = Object.fromEntries(host.imported.map((name) => [name, () => {}]));
        const linked = behaviour({ bytes: metered, memories: [] }, names, slice, (real) => ({ host: real }));
        const together = behaviour(merged, names, slice, (real) => ({ real: { ...real, ...crowded } }));
        expect(together, `seed ${seed}`).toEqual(linked);
        calls += linked.length;
      }
      expect(calls).toBeGreaterThan(batch);
    },
    120_000,
  );

  test('leads every instruction and every branch hint back to where it stood', () => {
    let changed = 0;
    for (let seed = 0; seed < batch; seed++) {
      changed += compareCode(pairOf(randomModule(seed), host));
    }
    expect(changed > 0).toBe(host.imported.length > 0);
  });

  test('does so with a program of half a megabyte', () => {
    const path = join(import.meta.dirname, '../../node_modules/quickjs-wasi/quickjs.wasm');
    const pair = pairOf(new Uint8Array(readFileSync(path)), host);
    expect(WebAssembly.validate(pair.merged.bytes)).toBe(true);
    compareCode(pair);
  });
});

/** Asserts that the code is the same but for indices; returns how much the map says of what has changed. */
function compareCode({ metered, merged }: Pair): number {
  const count = inspectModule(metered).sizes.functions;
  const [before, after] = [instructionsOf(metered, count), instructionsOf(merged.bytes, count)];
  expect(sameNumbers(after.places, before.places, ({ opcode }) => opcode)).toBe(true);
  const back = after.places.map(({ opcode, position }) => ({
    opcode,
    position: originalOffset(merged.offsets, position) ?? -1,
  }));
  expect(sameNumbers(back, before.places, ({ position }) => position)).toBe(true);
  const opcodes = new Map(after.places.map(({ position, opcode }) => [position, opcode]));
  const hinted = hintsOf(merged.bytes).map(([index, offset]) =>
    opcodes.get((after.starts[index - merged.firstFunction] ?? 0) + offset),
  );
  expect(hinted).toHaveLength(hintsOf(metered).length);
  expect(hinted.every((opcode) => opcode === 0x04 || opcode === 0x0d)).toBe(true);
  return merged.offsets.changes.length;
}

/** Comparing by hand, because there can be half a million. */
function sameNumbers(some: readonly Place[], others: readonly Place[], numberOf: (place: Place) => number): boolean {
  return some.length === others.length && some.every((place, at) => numberOf(place) === numberOf(others[at] as Place));
}

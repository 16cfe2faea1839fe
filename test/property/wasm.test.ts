import { compileString } from 'assemblyscript/asc';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { inspectModule, type ModuleInfo } from '../../src/wasm/inspect.ts';
import { WasmError } from '../../src/wasm/problem.ts';
import { type RewrittenModule, rewriteModule } from '../../src/wasm/rewrite.ts';
import { moduleOf, type Part, section } from '../unit/wasm/bytes.ts';
import { fixtures } from '../unit/wasm/fixtures.ts';

const program = `
  const counts = new Map<string, i32>();
  export function count(text: string): i32 {
    const words = text.split(" ");
    for (let i = 0; i < words.length; i++) counts.set(words[i], (counts.has(words[i]) ? counts.get(words[i]) : 0) + 1);
    return counts.size;
  }
  export function mean(values: Float64Array): f64 { return values.reduce((a, b) => a + b, 0.0) / values.length; }`;

/** Valid modules to damage: those written by hand and one that a compiler made. */
const modules: Uint8Array<ArrayBuffer>[] = Object.values(fixtures);

beforeAll(async () => {
  const compiled = await compileString({ 'program.ts': program }, { optimizeLevel: 2 });
  if (compiled.binary === null) throw new Error(`The program does not compile: ${compiled.error}`);
  modules.push(new Uint8Array(compiled.binary));
}, 60_000);

const problemReasons = /^(WASM_|IMPORT_|MEMORY_OVER_LIMIT)/;
const slowMs = 5_000;

/** What the decoder makes of bytes; whatever it throws must be a WasmError that says where. */
function attempt<T>(run: () => T): { readonly value?: T; readonly error?: WasmError } {
  const startMs = performance.now();
  try {
    return { value: run() };
  } catch (error) {
    if (!(error instanceof WasmError)) throw error;
    expect(error.problem.reason).toMatch(problemReasons);
    expect(error.problem.location).not.toBe('');
    return { error };
  } finally {
    expect(performance.now() - startMs).toBeLessThan(slowMs);
  }
}

/** V8 reads only the lowest byte of how many types a select names; the decoder refuses what V8 should refuse. */
const v8Lenience = /A select names \d+ types/;
const memoryBytesMax = 1 << 30;

function checkBytes(bytes: Uint8Array<ArrayBuffer>): void {
  const valid = WebAssembly.validate(bytes);
  const inspected = attempt(() => inspectModule(bytes));
  const { value: info } = inspected;
  if (info === undefined) {
    if (!v8Lenience.test(inspected.error?.message ?? '')) expect(valid, inspected.error?.message).toBe(false);
    return;
  }
  const rewritten = attempt(() => rewriteModule(bytes, info, { memoryBytesMax }));
  if (valid) checkAgainstV8(bytes, info, rewritten);
}

const mayRefuse = ['MEMORY_OVER_LIMIT', 'IMPORT_UNKNOWN', 'WASM_RESERVED_NAME'];

function checkAgainstV8(
  bytes: Uint8Array<ArrayBuffer>,
  info: ModuleInfo,
  { value: rewritten, error }: { readonly value?: RewrittenModule; readonly error?: WasmError },
): void {
  const module = new WebAssembly.Module(bytes);
  expect(info.imports.map(({ module, name, kind }) => ({ module, name, kind }))).toEqual(
    WebAssembly.Module.imports(module),
  );
  expect(info.exports.map(({ name, kind }) => ({ name, kind }))).toEqual(WebAssembly.Module.exports(module));
  if (rewritten === undefined) expect(mayRefuse).toContain(error?.problem.reason);
  else expect(WebAssembly.validate(rewritten.bytes)).toBe(true);
}

const meaningfulBytes = [
  0x00, 0x01, 0x0b, 0x3f, 0x40, 0x60, 0x63, 0x64, 0x6f, 0x70, 0x7f, 0x80, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
];
const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const edits = fc.array(
  fc.record({ at: position, value: fc.oneof(fc.constantFrom(...meaningfulBytes), fc.nat(0xff)), flip: fc.boolean() }),
  { minLength: 1, maxLength: 4 },
);

function damaged(
  original: Uint8Array,
  changes: readonly { at: number; value: number; flip: boolean }[],
): Uint8Array<ArrayBuffer> {
  const bytes = original.slice();
  for (const { at, value, flip } of changes) {
    const place = Math.floor(at * bytes.length);
    bytes[place] = flip ? (bytes[place] ?? 0) ^ (1 << (value % 8)) : value;
  }
  return new Uint8Array(bytes);
}

describe('a damaged module', () => {
  it('gives facts or a WasmError, and facts whenever V8 accepts it', () => {
    const runs = fc.property(position, edits, (which, changes) => {
      const original = modules[Math.floor(which * modules.length)] as Uint8Array;
      checkBytes(damaged(original, changes));
    });
    fc.assert(runs, { numRuns: 10_000 });
  }, 120_000);

  it('is called cut off if it was cut off anywhere within a section', () => {
    for (const module of modules) {
      const step = Math.max(1, Math.floor(module.length / 700));
      for (let length = 1; length < module.length; length += step) {
        const cut = module.slice(0, length);
        const { error } = attempt(() => inspectModule(cut));
        if (error === undefined) checkBytes(cut);
        else expect(error.problem.reason, `cut to ${length} bytes: ${error.message}`).toBe('WASM_TRUNCATED');
      }
    }
  });

  it('gives facts or a WasmError even if nothing but its header is right', () => {
    const anything = fc.uint8Array({ maxLength: 200 });
    fc.assert(
      fc.property(anything, (bytes) => checkBytes(moduleOf(new Uint8Array(bytes)))),
      { numRuns: 3_000 },
    );
    fc.assert(fc.property(anything, (bytes) => checkBytes(new Uint8Array(bytes))));
  });

  it('gives facts or a WasmError if the content of one section is anything', () => {
    const name = fc.constantFrom('type', 'import', 'table', 'memory', 'global', 'export', 'element', 'code', 'data');
    const content = fc.array(fc.oneof(fc.constantFrom(...meaningfulBytes), fc.nat(8)), { maxLength: 40 });
    fc.assert(
      fc.property(name, content, (which, bytes) => checkBytes(moduleOf(section(which, bytes)))),
      { numRuns: 5_000 },
    );
  });
});

interface GivenMemory {
  readonly imported: boolean;
  readonly min: number;
  readonly room: number | undefined;
}

const givenMemory: fc.Arbitrary<GivenMemory> = fc.record({
  imported: fc.boolean(),
  min: fc.nat(6),
  room: fc.option(fc.nat(20), { nil: undefined }),
});

function limitsOf({ min, room }: GivenMemory): Part {
  return room === undefined ? [0, min] : [1, min, min + room];
}

/** The module and its memories in the order of their indices. */
function moduleWith(given: readonly GivenMemory[]): {
  bytes: Uint8Array<ArrayBuffer>;
  memories: readonly GivenMemory[];
} {
  const imported = given.filter((memory) => memory.imported);
  const defined = given.filter((memory) => !memory.imported);
  const imports = imported.map((memory, place) => ['env', `memory${place}`, 2, limitsOf(memory)]);
  const bytes = moduleOf(
    section('import', imported.length, imports),
    section('memory', defined.length, defined.map(limitsOf)),
  );
  return { bytes, memories: [...imported, ...defined] };
}

function pagesOf(memory: WebAssembly.Memory): number {
  return memory.buffer.byteLength / 65_536;
}

describe('a rewritten module', () => {
  it('keeps to the memory limit, however its memories are declared', () => {
    const runs = fc.property(fc.array(givenMemory, { maxLength: 5 }), fc.nat(64), (given, pagesMax) => {
      const { bytes, memories } = moduleWith(given);
      const needed = memories.reduce((sum, { min }) => sum + min, 0);
      const info = inspectModule(bytes);
      const { value, error } = attempt(() => rewriteModule(bytes, info, { memoryBytesMax: pagesMax * 65_536 }));
      expect(error?.problem.reason).toBe(needed > pagesMax ? 'MEMORY_OVER_LIMIT' : undefined);
      if (value === undefined) return;
      const { exports } = new WebAssembly.Instance(new WebAssembly.Module(value.bytes));
      let total = 0;
      for (const [index, { name, clampedPages }] of value.memories.entries()) {
        const memory = exports[name] as WebAssembly.Memory;
        expect(pagesOf(memory)).toBe(memories[index]?.min);
        memory.grow(clampedPages - pagesOf(memory));
        expect(() => memory.grow(1)).toThrow(RangeError);
        total += pagesOf(memory);
      }
      expect(total).toBeLessThanOrEqual(pagesMax);
    });
    fc.assert(runs, { numRuns: 200 });
  }, 60_000);
});

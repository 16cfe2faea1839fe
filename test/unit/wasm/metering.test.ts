import { describe, expect, test } from 'vitest';
import { inspectModule } from '../../../src/wasm/inspect.ts';
import type { ImportPrice } from '../../../src/wasm/metering/added-functions.ts';
import { originalFunctionIndex, originalOffset } from '../../../src/wasm/metering/offset-map.ts';
import { rewriteModule } from '../../../src/wasm/rewrite.ts';
import { FuelHost, type FuelHostOptions, hasGrowFailed } from '../../helpers/fuel-host.ts';
import { compareForms } from '../../helpers/differential.ts';
import { wat } from '../../helpers/wat.ts';

interface RunOptions extends FuelHostOptions {
  readonly imports?: WebAssembly.Imports;
  readonly importPrices?: readonly ImportPrice[];
  readonly memoryBytesMax?: number;
  readonly argument?: number | bigint;
}

interface Ran {
  readonly fuel: bigint;
  readonly exhausted: boolean;
  readonly trapped: boolean;
  readonly growFailed: boolean;
}

function run(text: string, options: RunOptions = {}): Ran {
  const { imports = {}, importPrices = [], memoryBytesMax = 1 << 24, argument, ...fuel } = options;
  const bytes = wat(text);
  const rewritten = rewriteModule(bytes, inspectModule(bytes), { memoryBytesMax, metering: { importPrices } });
  const host = new FuelHost(fuel);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(rewritten.bytes), host.imports(imports));
  host.attach(instance);
  let trapped = false;
  try {
    for (const name of [...rewritten.lifecycle, 'run'])
      (instance.exports[name] as (value?: unknown) => unknown)(argument);
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError)) throw error;
    trapped = true;
  }
  return { fuel: host.used, exhausted: host.exhausted, trapped, growFailed: hasGrowFailed(instance) };
}

const body = (code: string, before = ''): string => `(module ${before} (func (export "run") ${code}))`;
const fuelOf = (code: string, before = ''): bigint => run(body(code, before)).fuel;

/** What an instruction costs more than nothing at all, its operands being constants of one unit each. */
const priceOf = (code: string, before = ''): bigint => fuelOf(code, before) - fuelOf('', before);

describe('The price', () => {
  test.each([
    ['a constant and a drop', '(drop (i32.const 1))', 1n],
    ['an addition', '(drop (i32.add (i32.const 1) (i32.const 2)))', 3n],
    ['a division', '(drop (i32.div_s (i32.const 1) (i32.const 2)))', 10n],
    ['a square root', '(drop (f64.sqrt (f64.const 2)))', 7n],
    ['a block that is left at its end', '(block (drop (i32.const 1)))', 1n],
    ['nothing', '(nop)', 0n],
  ])('of %s is that of the table', (_what, code, units) => {
    expect(priceOf(code)).toBe(units);
  });

  test.each([
    ['memory.fill', (n: number) => `(memory.fill (i32.const 0) (i32.const 1) (i32.const ${n}))`],
    ['memory.copy', (n: number) => `(memory.copy (i32.const 0) (i32.const 8) (i32.const ${n}))`],
  ])('of %s is 32 and one unit for each 16 bytes', (_name, code) => {
    expect(priceOf(code(0), '(memory 1)')).toBe(35n);
    expect(priceOf(code(1_600), '(memory 1)')).toBe(135n);
    expect(priceOf(code(1_616), '(memory 1)')).toBe(136n);
  });

  test.each([
    ['table.fill', (n: number) => `(table.fill (i32.const 0) (ref.null func) (i32.const ${n}))`],
    ['table.copy', (n: number) => `(table.copy (i32.const 0) (i32.const 1) (i32.const ${n}))`],
  ])('of %s is 16 and 12 units for each element', (_name, code) => {
    const none = priceOf(code(0), '(table 100 funcref)');
    expect(priceOf(code(10), '(table 100 funcref)') - none).toBe(120n);
  });

  test('of memory.grow is 256, and 2,048 for each page that is given', () => {
    const grow = (pages: number): string => `(drop (memory.grow (i32.const ${pages})))`;
    const none = priceOf(grow(0), '(memory 1)');
    expect(none).toBe(257n);
    expect(priceOf(grow(3), '(memory 1)') - none).toBe(3n * 2_048n);
    expect(priceOf(grow(60_000), '(memory 1)')).toBe(none);
  });

  test('of a call of an import is 50 and what is declared', () => {
    const imported = '(import "host" "f" (func $f (param i64)))';
    const imports = { host: { f: () => {} } };
    const price = (importPrices: readonly ImportPrice[], operand: number): bigint =>
      run(body(`(call $f (i64.const ${operand}))`, imported), { imports, importPrices }).fuel -
      run(body('', imported), { imports }).fuel;
    expect(price([], 1)).toBe(51n);
    expect(price([{ module: 'host', name: 'f', units: 7 }], 1)).toBe(58n);
    const perOperand = { operand: 0, amount: 16 };
    expect(
      price([{ module: 'host', name: 'f', units: 0, perOperand }], 1_600) -
        price([{ module: 'host', name: 'f', units: 0, perOperand }], 0),
    ).toBe(100n);
  });

  test('of a turn of a loop does not depend on how often it has turned', () => {
    const turns = (n: number): string =>
      `(local i32) (local.set 0 (i32.const ${n})) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))`;
    const [one, two, many] = [1, 2, 1_000_001].map((n) => fuelOf(turns(n))) as [bigint, bigint, bigint];
    expect(many - one).toBe((two - one) * 1_000_000n);
  });
});

const guests: readonly (readonly [string, string])[] = [
  [
    'a loop',
    body(
      '(local i32) (local.set 0 (i32.const 500)) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))',
    ),
  ],
  [
    'recursion',
    '(module (func $fib (param i32) (result i32) (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0)) (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2))))))) (func (export "run") (drop (call $fib (i32.const 12)))))',
  ],
  [
    'a start function',
    '(module (func $s (local i32) (local.set 0 (i32.const 50)) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))) (start $s) (func (export "run")))',
  ],
  [
    'bulk operations',
    body(
      '(memory.fill (i32.const 0) (i32.const 1) (i32.const 60000)) (memory.copy (i32.const 0) (i32.const 1) (i32.const 50000))',
      '(memory 1)',
    ),
  ],
  [
    'a tail call',
    '(module (func $down (param i32) (if (local.get 0) (then (return_call $down (i32.sub (local.get 0) (i32.const 1)))))) (func (export "run") (call $down (i32.const 300))))',
  ],
];

describe('The limit', () => {
  test.each(guests)('is sharp for %s, whatever the slice', (_what, text) => {
    for (const slice of [1n, 97n, 10_000n, 2_000_000n]) {
      const { fuel } = run(text, { slice });
      expect(fuel).toBe(run(text).fuel);
      expect(run(text, { slice, limit: fuel }), `slice ${slice}`).toMatchObject({ exhausted: false, fuel });
      expect(run(text, { slice, limit: fuel - 1n }).exhausted, `slice ${slice}`).toBe(true);
    }
  });

  test.each([
    ['an endless loop', body('(loop (br 0))')],
    ['an endless start function', '(module (func $s (loop (br 0))) (start $s) (func (export "run")))'],
    ['endless tail calls', '(module (func $f (export "run") (return_call $f)))'],
    [
      'a loop of huge fills',
      body('(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br 0))', '(memory 1)'),
    ],
    ['a loop that catches everything', body('(loop $l (try (do (loop (br 0))) (catch_all)) (br $l))')],
    ['a loop of exceptions', body('(loop $l (try (do (throw $t)) (catch_all)) (br $l))', '(tag $t)')],
    [
      'a bulk operation of an impossible length',
      body('(memory.fill (i32.const 0) (i32.const 0) (i32.const -1))', '(memory 1)'),
    ],
  ])('stops %s', (_what, text) => {
    expect(run(text, { limit: 1_000_000n })).toMatchObject({ trapped: true });
    expect(run(text, { limit: 1_000_000n }).exhausted).toBe(true);
  });
});

describe('A guest', () => {
  test('is heeded soon in a function that does nothing but call what does not check', () => {
    const busy = '(local.set 0 (i32.add (local.get 0) (i32.const 1)))'.repeat(3_000);
    const calls = '(call $busy (i32.const 1))'.repeat(10_000);
    const text = `(module (func $busy (param i32) (if (local.get 0) (then ${busy}))) (func (export "run") ${calls}))`;
    const limit = 1_000_000n;
    const { fuel, exhausted } = run(text, { limit, slice: 10_000n });
    expect(exhausted).toBe(true);
    expect(fuel).toBeLessThan(limit + 2_000_000n);
  });

  test('tells when it was refused memory, and only then', () => {
    const grow = (pages: number): string => body(`(drop (memory.grow (i32.const ${pages})))`, '(memory 1)');
    expect(run(grow(1), { memoryBytesMax: 4 * 65_536 }).growFailed).toBe(false);
    expect(run(grow(4), { memoryBytesMax: 4 * 65_536 }).growFailed).toBe(true);
  });

  test('can neither import nor export the names that belong to metering', () => {
    const refused = (text: string): void => {
      const bytes = wat(text);
      rewriteModule(bytes, inspectModule(bytes), { memoryBytesMax: 1 << 20, metering: {} });
    };
    expect(() => refused('(module (global (export "caisson:fuel") (mut i64) (i64.const 0)))')).toThrow(/caisson:/);
  });

  test.each(guests)('with %s behaves and counts alike in every way of keeping the counter', (_what, text) => {
    expect(compareForms(wat(text)).fuel).toBeGreaterThan(0);
  });
});

describe('The offset map', () => {
  test('leads from every instruction that is left back to where it stood', () => {
    const bytes = wat(
      body('(local i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 0x123456))))) unreachable'),
    );
    const { metering, bytes: rewritten } = rewriteModule(bytes, inspectModule(bytes), {
      memoryBytesMax: 1 << 20,
      metering: {},
    });
    const needle = Buffer.from('41d6e8c800', 'hex');
    const original = Buffer.from(bytes).indexOf(needle);
    const moved = Buffer.from(rewritten).indexOf(needle);
    expect(original).toBeGreaterThan(0);
    expect(moved).not.toBe(original);
    expect(metering && originalOffset(metering.offsets, moved)).toBe(original);
    expect(metering && originalFunctionIndex(metering.offsets, 1)).toBe(0);
    expect(metering && originalFunctionIndex(metering.offsets, 0)).toBe(undefined);
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CompiledPlugin } from '../../src/sandbox/compiler.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { analyseModule } from '../../src/sandbox/thread/compile.ts';
import { fuelSliceUnits } from '../../src/wasm/metering/costs.ts';
import { modulePolicyDefault } from '../../src/wasm/policy.ts';
import { compileText, guest, runIn, SandboxSet } from '../helpers/sandbox.ts';
import { wat } from '../helpers/wat.ts';
import { Arena } from './arena.ts';

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.open();
});
afterAll(() => arena[Symbol.asyncDispose]());

/** Does something so many times, with the number of the round in $i. */
const times = (count: number, code: string): string =>
  `(local $i i32) (loop $l ${code} (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${count}))))`;
const run = (code: string, more = ''): string => guest(`${more} (func $run (export "run") ${code})`);
const tick = '(func $tick (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))';

/** Guests that end, each after work of another kind. */
const guests: readonly (readonly [string, string])[] = [
  ['does next to nothing', run('(drop (call $input_length))')],
  ['loops over many slices', run(times(5_000_000, ''))],
  ['calls functions', run(times(100_000, '(drop (call $tick (local.get $i)))'), tick)],
  [
    'calls itself',
    run(
      '(drop (call $fib (i32.const 20)))',
      `(func $fib (param i32) (result i32) (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
        (then (local.get 0))
        (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))`,
    ),
  ],
  [
    'calls itself last',
    run(
      '(return_call $down (i32.const 500000))',
      '(func $down (param i32) (if (local.get 0) (then (return_call $down (i32.sub (local.get 0) (i32.const 1))))))',
    ),
  ],
  [
    'fills and copies memory',
    run(
      times(
        100,
        '(memory.fill (i32.const 0) (i32.const 7) (i32.const 60000)) (memory.copy (i32.const 0) (i32.const 9) (i32.const 50000))',
      ),
    ),
  ],
  ['grows until it is refused', run('(loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))')],
  [
    'throws and catches',
    run(times(5_000, '(try (do (throw $t (i64.const 1))) (catch $t (drop)))'), '(tag $t (param i64))'),
  ],
  ['takes blocks and frees them', run(times(1_000, '(call $free (call $alloc (i64.extend_i32_u (local.get $i))))'))],
  ['logs', run(times(1_500, '(call $log_info (call $alloc (i64.extend_i32_u (local.get $i))))'))],
  [
    'reports progress, some of it merged',
    run(
      times(
        2_000,
        '(call $progress (f64.const 0.5) (call $alloc (i64.const 99)) (call $alloc (i64.extend_i32_u (local.get $i))))',
      ),
    ),
  ],
  [
    'keeps variables',
    run(
      times(
        300,
        `(call $var_set (call $block (i32.const 0) (i32.const 3)) (call $alloc (i64.extend_i32_u (i32.mul (local.get $i) (i32.const 100)))))
      (call $free (call $var_get (call $block (i32.const 0) (i32.const 3))))`,
      ),
    ),
  ],
  [
    'works in its start function',
    guest(
      `(func $s ${times(500_000, '')}) (start $s) (func (export "_initialize") ${times(500_000, '')}) (func (export "run"))`,
    ),
  ],
];

async function fuelOf(sandbox: Sandbox, plugin: CompiledPlugin | string): Promise<number> {
  const { outcome } = await runIn(sandbox, plugin);
  expect(outcome).toMatchObject({ name: 'OK', usage: { fuelIsLowerBound: false } });
  return outcome.usage.fuel;
}

describe('A guest that', () => {
  test.each(guests)('%s runs with just the fuel that it needs, and not with a unit less', async (_what, text) => {
    const plugin = compileText(text);
    const fuel = await arena.withSandbox((sandbox) => fuelOf(sandbox, plugin));
    expect(fuel).toBeGreaterThan(0);
    const { outcome } = await arena.withstand({ guest: plugin, ends: 'OK', limits: { fuel } });
    expect(outcome.usage.fuel).toBe(fuel);
    await arena.withstand({ guest: plugin, ends: 'FUEL', limits: { fuel: fuel - 1 } });
  });

  test('catches everything runs with just the fuel that it needs, too', async () => {
    const plugin = compileText(run('(try (do (call $work)) (catch_all))', `(func $work ${times(1_000_000, '')})`));
    const fuel = await arena.withSandbox((sandbox) => fuelOf(sandbox, plugin));
    await arena.withstand({ guest: plugin, ends: 'OK', limits: { fuel } });
    await arena.withstand({ guest: plugin, ends: 'FUEL', limits: { fuel: fuel - 1 } });
  });
});

describe('Fuel', () => {
  test.each(guests)('of a guest that %s is the same on any thread, whatever ran there before', async (_what, text) => {
    await using sandboxes = new SandboxSet();
    const [first, second] = [await sandboxes.start(), await sandboxes.start()];
    const plugin = compileText(text);
    const fuel = await fuelOf(first, plugin);
    expect(await fuelOf(second, plugin)).toBe(fuel);
    for (const [, other] of guests.slice(0, 8)) await runIn(second, other, { limits: { fuel: 1_000_000 } });
    expect(await fuelOf(second, plugin)).toBe(fuel);
  });

  test('is the same in 50 runs, while the code of the guest is optimized', async () => {
    const text = run(
      times(20_000, '(i32.store (i32.and (local.get $i) (i32.const 0xfffc)) (call $tick (local.get $i)))'),
      tick,
    );
    const plugin = compileText(text);
    await arena.withSandbox(async (sandbox) => {
      const seen = new Set<number>();
      for (let round = 0; round < 50; round++) seen.add(await fuelOf(sandbox, plugin));
      expect(seen.size).toBe(1);
    });
  });

  test('is the same with a share of a processor', async () => {
    const plugin = compileText(run(times(3_000_000, '')));
    const { outcome } = await arena.withstand({ guest: plugin, ends: 'OK', limits: { cpuPercent: 50 } });
    expect(outcome.usage.fuel).toBe(await arena.withSandbox((sandbox) => fuelOf(sandbox, plugin)));
  });

  test('is more for larger blocks of the kernel, though a guest runs none of its code', async () => {
    const taking = (bytes: number): string => run(times(10, `(call $free (call $alloc (i64.const ${bytes})))`));
    await arena.withSandbox(async (sandbox) => {
      const [small, large] = [await fuelOf(sandbox, taking(1_000)), await fuelOf(sandbox, taking(1_000_000))];
      expect(large - small).toBeGreaterThan(10 * 50_000);
    });
  });

  test.each([
    ['alloc of more than there is', '(drop (call $alloc (i64.const -1)))'],
    ['a memory that grows by far too much', '(drop (memory.grow (i32.const -1)))'],
  ])('does not wrap around for %s', async (_what, code) => {
    const { outcome } = await arena.withSandbox((sandbox) => runIn(sandbox, run(code)));
    expect(outcome.usage.fuel).toBeGreaterThan(0);
    const limited = await arena.withSandbox((sandbox) =>
      runIn(sandbox, run(code + '(loop (br 0))'), { limits: { fuel: 1 } }),
    );
    expect(limited.outcome.name).toBe('FUEL_EXHAUSTED');
  });

  test('of a guest that overflows its stack is told as a lower bound, and the thread lives on', async () => {
    const { outcome } = await arena.withstand({ guest: run('(call $run)'), ends: 'STACK_OVERFLOW' });
    expect(outcome.usage.fuelIsLowerBound).toBe(true);
    const late = run(`${times(fuelSliceUnits, '')} (call $deep)`, '(func $deep (call $deep))');
    const { usage } = (await arena.withstand({ guest: late, ends: 'STACK_OVERFLOW' })).outcome;
    expect(usage.fuel).toBeGreaterThan(fuelSliceUnits);
  });
});

describe('A guest that would meter itself', () => {
  const reasonsFor = (bytes: Uint8Array<ArrayBuffer>): readonly string[] =>
    analyseModule({ bytes, memoryBytes: 1 << 20, policy: modulePolicyDefault }).problems.map(({ reason }) => reason);

  test.each([
    ['imports the meter', '(import "caisson:meter" "refuel" (func (param i64) (result i64)))'],
    ['imports anything from the meter', '(import "caisson:meter" "other" (global i64))'],
    ['imports the counter', '(import "caisson:fuel" "" (global (mut i64)))'],
    ['exports a counter', '(global (export "caisson:fuel") (mut i64) (i64.const 0))'],
    ['exports a flag', '(global (export "caisson:grow_failed") (mut i32) (i32.const 0))'],
  ])('and %s is not let in', (_what, text) => {
    expect(reasonsFor(wat(`(module ${text} (func (export "run")))`))).toEqual(['WASM_RESERVED_NAME']);
  });

  test('and writes to the global behind its last is not let in', () => {
    const bytes = wat('(module (global (mut i64) (i64.const 0)) (func (export "run") (global.set 0 (i64.const 77))))');
    const at = Buffer.from(bytes).indexOf(Buffer.of(0x24, 0x00, 0x0b));
    bytes[at + 1] = 1;
    expect(reasonsFor(bytes)).toEqual(['WASM_INVALID']);
  });

  test('and calls the function behind its last is not let in', () => {
    const bytes = wat('(module (func (export "run") (call 0)))');
    const at = Buffer.from(bytes).indexOf(Buffer.of(0x10, 0x00, 0x0b));
    bytes[at + 1] = 1;
    expect(reasonsFor(bytes)).toEqual(['WASM_INVALID']);
  });
});

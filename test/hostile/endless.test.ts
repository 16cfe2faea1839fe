import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guest } from '../helpers/sandbox.ts';
import { Arena } from './arena.ts';

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.open();
});
afterAll(() => arena[Symbol.asyncDispose]());

const loop = '(loop (br 0))';
const run = (code: string, more = ''): string => guest(`${more} (func $run (export "run") ${code})`);
const forever = (code: string): string => `(loop $l ${code} (br $l))`;
const manyPages = '(memory 1000)';
const mebi = 1_048_576;
/** A variable of a mebibyte, in blocks $name and $value. */
const bigVariable = `(local $name i64) (local $value i64)
  (local.set $name (call $block (i32.const 0) (i32.const 1)))
  (local.set $value (call $alloc (i64.const ${mebi - 1})))`;

const endless: readonly (readonly [string, string])[] = [
  ['in its function', run(loop)],
  ['in its start function', guest(`(func $s ${loop}) (start $s) (func (export "run"))`)],
  ['in _initialize', guest(`(func (export "_initialize") ${loop}) (func (export "run"))`)],
  ['in _start', guest(`(func (export "_start") ${loop}) (func (export "run"))`)],
  ['in hs_init', guest(`(func (export "hs_init") (param i32 i32) ${loop}) (func (export "run"))`)],
  ['in a loop that does nothing dear', run('(loop $l (block) (nop) (br_if $l (i32.const 1)))')],
  ['in a branch table', run('(loop $l (br_table $l $l $l (i32.const 1)))')],
  ['in a table of loops', run('(loop $a (loop $b (br_table $a $b (i32.const 0))))')],
  ['in calls of empty functions', run(forever('(call $nothing)'), '(func $nothing)')],
  ['in calls of the kernel', run(forever('(drop (call $load_u64 (i64.const 2000)))'))],
  ['in calls of the host', run(forever('(drop (call $get_log_level))'))],
  ['in blocks taken and freed', run(forever(`(call $free (call $alloc (i64.const ${16 * mebi})))`))],
  ['in huge memory fills', guest(fills('memory.fill'), manyPages)],
  ['in huge memory copies', guest(fills('memory.copy'), manyPages)],
  [
    'in table fills',
    run(
      forever('(table.fill $t (i32.const 0) (ref.null func) (i32.const 10000))'),
      '(table $t 10000 10000 funcref) (elem declare func $run)',
    ),
  ],
  [
    'in table copies',
    run(forever('(table.copy (i32.const 0) (i32.const 1) (i32.const 9999))'), '(table 10000 funcref)'),
  ],
  ['in memory that does not grow', run(forever('(drop (memory.grow (i32.const 65536)))'))],
  ['in memory that grows by nothing', run(forever('(drop (memory.grow (i32.const 0)))'))],
  [
    'in a table that does not grow',
    run(forever('(drop (table.grow (ref.null func) (i32.const -1)))'), '(table 1 funcref)'),
  ],
  ['in lines of log', run(forever('(call $log_info (call $alloc (i64.const 8000)))(call $log_info (i64.const 0))'))],
  [
    'in large variables',
    run(`${bigVariable} (call $var_set (local.get $name) (local.get $value))
      (loop $l (local.set $name (call $block (i32.const 0) (i32.const 1)))
        (call $free (call $var_get (local.get $name))) (br $l))`),
  ],
  ['in names as long as mebibytes', run(forever(`(drop (call $var_get (call $alloc (i64.const ${mebi}))))`))],
  [
    'in progress',
    run(forever('(call $progress (f64.const 0) (call $alloc (i64.const 1000)) (call $alloc (i64.const 4000)))')),
  ],
  ['in a tail call of itself', run('(return_call $run)')],
  ['in tail calls of each other', run('(return_call $other)', '(func $other (return_call $run))')],
  [
    'in tail calls through a table',
    run('(return_call_indirect (type $t) (i32.const 0))', '(type $t (func)) (table funcref (elem $run))'),
  ],
  [
    'in tail calls with parameters',
    run(
      '(return_call $count (i64.const 0))',
      '(func $count (param i64) (return_call $count (i64.add (local.get 0) (i64.const 1))))',
    ),
  ],
  ['in exceptions', run(forever('(try (do (throw $t)) (catch_all))'), '(tag $t)')],
  ['in exceptions of its functions', run(forever('(try (do (call $f)) (catch_all))'), '(tag $t) (func $f (throw $t))')],
  [
    'in exceptions thrown again',
    run(forever('(try (do (try (do (throw $t)) (catch $t (rethrow 0)))) (catch_all))'), '(tag $t)'),
  ],
  ['in a handler', run(`(try (do (throw $t)) (catch_all ${loop}))`, '(tag $t)')],
  ['and catches everything', run(forever(`(try (do ${loop}) (catch_all))`))],
  ['and catches everything around its calls', run(forever('(try (do (call $f)) (catch_all))'), `(func $f ${loop})`)],
  [
    'and catches everything around its tail calls',
    run(forever('(try (do (call $f)) (catch_all))'), '(func $f (return_call $f))'),
  ],
];

function fills(instruction: string): string {
  const code = `(${instruction} (i32.const 0) (i32.const 1) (i32.const 60_000_000))`;
  return `(func (export "run") ${forever(code)})`;
}

describe('A guest that never ends', () => {
  test.each(endless)('%s is stopped by its time limit', async (_where, text) => {
    const { outcome } = await arena.withstand({ guest: text, ends: 'TIMEOUT', stopAfterMs: 60 });
    expect(outcome.name).toBe('TIMED_OUT');
    expect(outcome.usage.fuelIsLowerBound).toBe(false);
    expect(outcome.usage.fuel).toBeGreaterThan(0);
  });

  test.each(endless)('%s is stopped by its limit of fuel', async (_where, text) => {
    const fuel = 5_000_001;
    const { outcome } = await arena.withstand({ guest: text, ends: 'FUEL', limits: { fuel } });
    expect(outcome.name).toBe('FUEL_EXHAUSTED');
    // A guest stops before the step that it cannot pay for, or after it; the dearest here is a fill of 60 MB.
    expect(outcome.usage.fuel).toBeGreaterThan(fuel - 100);
    expect(outcome.usage.fuel).toBeLessThan(2 * fuel);
  });

  test('is stopped by the caller just the same', async () => {
    await arena.withstand({ guest: run(loop), ends: 'CANCELED', stopAfterMs: 20, stopKind: 'CANCELED' });
  });

  test('is stopped the same while it waits for its share of a processor', async () => {
    const { outcome } = await arena.withstand({
      guest: run(loop),
      ends: 'TIMEOUT',
      limits: { cpuPercent: 1 },
      stopAfterMs: 60,
    });
    expect(outcome.usage.fuel).toBeGreaterThan(0);
  });
});

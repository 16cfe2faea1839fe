import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modulePolicyDefault } from '../../src/wasm/policy.ts';
import type { Sandbox } from '../../src/sandbox/sandbox.ts';
import { analyseModule } from '../../src/sandbox/thread/compile.ts';
import { callOf, compileText, guest } from '../helpers/sandbox.ts';
import { Arena } from './arena.ts';

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.open();
});
afterAll(() => arena[Symbol.asyncDispose]());

const holdOn = (code: string): string => `(try (do ${code}) (catch_all))`;

describe('A guest that catches everything', () => {
  test.each([
    ['its own trap', 'unreachable', 'UNREACHABLE'],
    ['a load out of bounds', '(drop (i32.load (i32.const -1)))', 'OUT_OF_BOUNDS'],
    ['a division by zero', '(drop (i32.div_u (i32.const 1) (i32.const 0)))', 'ARITHMETIC'],
    ['a full kernel', '(drop (call $alloc (i64.const -1)))', 'KERNEL_MEMORY'],
    ['full variables', '(call $var_set (call $alloc (i64.const 1)) (call $alloc (i64.const 2000000)))', 'GUEST_ERROR'],
    ['a misuse of variables', '(call $var_set (i64.const 5) (i64.const 7))', 'TRAP'],
  ] as const)('cannot catch %s', async (_what, code, ends) => {
    await arena.withstand({ guest: guest(`(func (export "run") ${holdOn(code)})`), ends });
  });

  test('catches nothing that a host function throws, because none does', async () => {
    const calls = `(drop (call $config_get (i64.const -1))) (drop (call $var_get (i64.const 4294967296)))
      (call $log_info (i64.const -9)) (call $progress (f64.const nan) (i64.const -1) (i64.const 1))
      (drop (call $get_log_level)) (call $var_set (call $alloc (i64.const 1)) (i64.const 0))`;
    const text = guest(`(func (export "run") (result i32)
      (try (result i32) (do ${calls} (i32.const 0)) (catch_all (i32.const 1))))`);
    const { outcome } = await arena.withstand({ guest: text, ends: 'OK' });
    expect(outcome.usage.hostCalls).toBe(6);
  });
});

describe('A guest that throws', () => {
  test('300,000 times, and catches, ends', async () => {
    const text = guest(`(tag $t (param i64)) (func (export "run") (local $i i32)
      (loop $l (try (do (throw $t (i64.const 1))) (catch $t (drop)))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300000)))))`);
    await arena.withstand({ guest: text, ends: 'OK' });
  });

  test('what nobody catches has failed', async () => {
    await arena.withstand({ guest: guest('(tag $t) (func (export "run") (throw $t))'), ends: 'UNCAUGHT_EXCEPTION' });
  });

  test('in its start function has failed', async () => {
    const text = guest('(tag $t) (func $s (throw $t)) (start $s) (func (export "run"))');
    await arena.withstand({ guest: text, ends: 'UNCAUGHT_EXCEPTION' });
  });
});

describe('A guest that fills the heap of its thread', () => {
  test('with exceptions loses its thread, and others run on', async () => {
    const values = '(i64.const 1) '.repeat(500);
    const text = `(module (tag $t (param ${'i64 '.repeat(500)})) (func $deeper (export "run")
      (try (do ${values} (throw $t)) (catch_all (call $deeper) (rethrow 0)))))`;
    const plugin = compileText(text);
    await arena.withSandbox(async (sandbox: Sandbox) => {
      const run = { signal: new AbortController().signal, report: () => {} };
      await expect(sandbox.run(callOf(plugin), run)).rejects.toMatchObject({ reason: 'SANDBOX_CRASHED' });
      await sandbox.ended;
    });
    await arena.expectSound();
  });

  test('with garbage-collected arrays is not let in: it would end the process', () => {
    // (type (array (mut i64))) and nothing else.
    const bytes = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x5e, 0x7e, 1);
    const { problems } = analyseModule({ bytes, memoryBytes: 1 << 20, policy: modulePolicyDefault });
    expect(problems).toMatchObject([{ reason: 'WASM_FEATURE_NOT_ALLOWED' }]);
  });
});

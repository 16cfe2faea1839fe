import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { analyseModule } from '../../src/sandbox/thread/compile.ts';
import { modulePolicyDefault } from '../../src/wasm/policy.ts';
import { guest } from '../helpers/sandbox.ts';
import { wat } from '../helpers/wat.ts';
import { Arena } from './arena.ts';

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.open();
});
afterAll(() => arena[Symbol.asyncDispose]());

const loop = '(loop (br 0))';

describe('A guest that never ends', () => {
  test.each([
    ['in its function', guest(`(func (export "run") ${loop})`)],
    ['in its start function', guest(`(func $s ${loop}) (start $s) (func (export "run"))`)],
    ['in _initialize', guest(`(func (export "_initialize") ${loop}) (func (export "run"))`)],
    ['in _start', guest(`(func (export "_start") ${loop}) (func (export "run"))`)],
    ['in hs_init', guest(`(func (export "hs_init") (param i32 i32) ${loop}) (func (export "run"))`)],
    ['in calls of the kernel', guest('(func (export "run") (loop (drop (call $load_u64 (i64.const 2000))) (br 0)))')],
    ['in calls of the host', guest('(func (export "run") (loop (drop (call $get_log_level)) (br 0)))')],
    [
      'in huge memory fills',
      guest(
        '(func (export "run") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 60_000_000)) (br 0)))',
        '(memory 1000)',
      ),
    ],
    ['in exceptions', guest('(tag $t) (func (export "run") (loop $l (try (do (throw $t)) (catch_all)) (br $l)))')],
  ])('%s is stopped by its time limit', async (_where, text) => {
    const { outcome } = await arena.withstand({ guest: text, ends: 'TIMEOUT', stopAfterMs: 150 });
    expect(outcome.name).toBe('TIMED_OUT');
    expect(outcome.usage.runMs).toBeGreaterThan(0);
  });

  test('by tail calls is not let in: nothing could stop it', () => {
    const bytes = wat('(module (func $again (export "run") (return_call $again)))');
    const { problems } = analyseModule({ bytes, memoryBytes: 1 << 20, policy: modulePolicyDefault });
    expect(problems).toMatchObject([{ reason: 'WASM_FEATURE_NOT_ALLOWED' }]);
  });

  test('is stopped by the caller just the same', async () => {
    await arena.withstand({
      guest: guest(`(func (export "run") ${loop})`),
      ends: 'CANCELED',
      stopAfterMs: 20,
      stopKind: 'CANCELED',
    });
  });
});

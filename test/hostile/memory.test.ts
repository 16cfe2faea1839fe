import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { wasmPageBytes } from '../../src/model/limits.ts';
import { modulePolicyDefault } from '../../src/wasm/policy.ts';
import { compileText, guest, outputText } from '../helpers/sandbox.ts';
import { Arena } from './arena.ts';

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.open();
});
afterAll(() => arena[Symbol.asyncDispose]());

const memoryBytes = 32 * wasmPageBytes;
const limits = { memoryBytes };
const limited = (text: string) => compileText(text, { memoryBytes });

/** Grows a memory page by page until it is refused. */
const growAll = (memory = ''): string =>
  `(loop $l (br_if $l (i32.ne (memory.grow ${memory} (i32.const 1)) (i32.const -1))))`;

describe('A guest that grows its memory without end', () => {
  test('gets as far as its limit, and lives with it', async () => {
    const { outcome } = await arena.withstand({
      guest: limited(guest(`(func (export "run") ${growAll()})`)),
      limits,
      ends: 'OK',
    });
    expect(outcome.usage.memoryPeakBytes).toBe(memoryBytes);
  });

  test('and traps there has run out of memory', async () => {
    const text = guest(`(func (export "run") ${growAll()} unreachable)`);
    const { outcome } = await arena.withstand({ guest: limited(text), limits, ends: 'GUEST_MEMORY' });
    expect(outcome).toMatchObject({ name: 'MEMORY_EXHAUSTED' });
  });

  test('in its start function gets no further', async () => {
    const text = guest(`(func $s ${growAll()} unreachable) (start $s) (func (export "run"))`);
    const { outcome } = await arena.withstand({ guest: limited(text), limits, ends: 'GUEST_MEMORY' });
    expect(outcome.usage.memoryPeakBytes).toBe(memoryBytes);
  });

  test('in one step gets nothing', async () => {
    const text = guest('(func (export "run") (result i32) (memory.grow (i32.const 65535)))');
    const { outcome } = await arena.withstand({ guest: limited(text), limits, ends: 'NONZERO_EXIT' });
    expect(outcome).toMatchObject({ error: { message: 'The function returned -1' } });
  });

  test('in several memories gets no more than in one', async () => {
    const policy = { ...modulePolicyDefault, allowedFeatures: ['multi-memory' as const] };
    const text = `(module (memory $a 1) (memory $b 1) (memory $c 1)
      (func (export "run") ${['$a', '$b', '$c'].map(growAll).join(' ')}))`;
    const plugin = compileText(text, { memoryBytes, policy });
    const { outcome } = await arena.withstand({ guest: plugin, limits, ends: 'OK' });
    expect(outcome.usage.memoryPeakBytes).toBe(memoryBytes);
  });

  test('that it touches, call after call, leaves the process no bigger', async () => {
    const mebibytes = 48;
    const text = guest(
      `(func (export "run") (memory.fill (i32.const 0) (i32.const 1) (i32.const ${mebibytes << 20})))`,
      `(memory ${mebibytes * 16})`,
    );
    const plugin = compileText(text);
    const calls = async (count: number): Promise<void> => {
      for (let call = 0; call < count; call++) await arena.withstand({ guest: plugin, ends: 'OK' });
    };
    await calls(10);
    const before = process.memoryUsage.rss();
    await calls(30);
    expect(process.memoryUsage.rss() - before).toBeLessThan(10 * mebibytes * 1_048_576);
  });
});

describe('A guest that grows its tables without end', () => {
  test.each(['funcref', 'externref'])('of %s gets as far as their part of the limit', async (type) => {
    const text = guest(`(table $t 1 ${type}) (func (export "run") (result i32)
      (loop $l (br_if $l (i32.ne (table.grow $t (ref.null ${type === 'funcref' ? 'func' : 'extern'}) (i32.const 1)) (i32.const -1))))
      (call $output_set (call $alloc (i64.extend_i32_u (table.size $t))) (i64.extend_i32_u (table.size $t)))
      (i32.const 0))`);
    const { outcome } = await arena.withstand({ guest: limited(text), limits, ends: 'OK' });
    expect(outputText(outcome)).toHaveLength(memoryBytes / 64 / 16);
  });
});

describe('A guest that nests its calls without end', () => {
  test.each([
    ['plainly', '(func $f (export "run") (call $f))'],
    ['with many locals', `(func $f (export "run") (local ${'v128 '.repeat(1_000)}) (call $f))`],
    [
      'through a table',
      '(table funcref (elem $f)) (type $t (func)) (func $f (export "run") (call_indirect (type $t) (i32.const 0)))',
    ],
    [
      'and calls the host all the way down',
      '(func $f (export "run") (drop (call $config_get (call $alloc (i64.const 1)))) (call $f))',
    ],
    ['and tries to catch it', '(func $f (export "run") (try (do (call $f)) (catch_all)))'],
    [
      'and tries to catch it in the host',
      '(func $f (export "run") (try (do (call $log_info (i64.const 0))) (catch_all)) (call $f))',
    ],
  ])('%s overflows its stack, and nothing else', async (_how, body) => {
    const { outcome } = await arena.withstand({ guest: guest(body), ends: 'STACK_OVERFLOW' });
    const stack = outcome.name === 'OK' ? [] : outcome.error.guestStack;
    expect(stack.length).toBeGreaterThan(0);
    expect(stack.length).toBeLessThanOrEqual(64);
  });
});

describe('A guest that puts out too much', () => {
  const putsOut = (bytes: number): string =>
    guest(`(func (export "run") (call $output_set (call $alloc (i64.const ${bytes})) (i64.const ${bytes})))`);

  test('is refused its output, to the byte', async () => {
    await arena.withstand({ guest: putsOut(4 << 20), ends: 'OK' });
    const { outcome } = await arena.withstand({ guest: putsOut((4 << 20) + 1), ends: 'OUTPUT_TOO_LARGE' });
    expect(outcome.usage.outputBytes).toBe(0);
  });

  test('has no room for what is far too much', async () => {
    await arena.withstand({ guest: putsOut(1 << 30), ends: 'KERNEL_MEMORY' });
  });
});

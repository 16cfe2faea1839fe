import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { guest, outputText } from '../helpers/sandbox.ts';
import { Arena } from './arena.ts';

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.open();
});
afterAll(() => arena[Symbol.asyncDispose]());

/** Addresses and lengths chosen to overflow, to wrap, or to lie just outside. */
const wild = [
  '-1',
  '-8',
  '0',
  '1',
  '1023',
  '2147483648',
  '4294967295',
  '4294967296',
  '4294968352',
  '9223372036854775807',
  '-9223372036854775808',
];

describe('A guest that forges headers of blocks', () => {
  test('harms only its own blocks', async () => {
    // Every 8 bytes of the heap become a header of a used block, then of free ones whose links point anywhere.
    const text = guest(`(func $forge (param $value i64) (local $at i64)
        (local.set $at (i64.const 1024))
        (loop $l (call $store_u64 (local.get $at) (local.get $value))
          (br_if $l (i64.lt_u (local.tee $at (i64.add (local.get $at) (i64.const 8))) (i64.const 70000)))))
      (func $use (local $i i64)
        (loop $l
          (call $free (i64.add (i64.const 1024) (local.get $i)))
          (drop (call $length (i64.add (i64.const 1024) (local.get $i))))
          (call $store_u64 (call $alloc (i64.add (local.get $i) (i64.const 1))) (i64.const -1))
          (br_if $l (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 8))) (i64.const 2000)))))
      (func (export "run") (local $c i64)
        (drop (call $alloc (i64.const 60000)))
        (call $forge (i64.const 0x43415355_7fffffff)) (call $use)
        (call $forge (i64.const 0x43415355_00000010)) (call $use)
        (loop $l
          (call $forge (i64.or (i64.shl (i64.add (i64.const 0x43414600) (local.get $c)) (i64.const 32)) (i64.const 0xfffffff8)))
          (call $use)
          (call $forge (i64.or (i64.shl (i64.add (i64.const 0x43414600) (local.get $c)) (i64.const 32)) (i64.const 1048)))
          (call $use)
          (br_if $l (i64.lt_u (local.tee $c (i64.add (local.get $c) (i64.const 1))) (i64.const 40))))
        (call $output (call $alloc (i64.const 3))))`);
    const { outcome } = await arena.withstand({ guest: text, ends: 'OK' });
    expect(outputText(outcome)).toBe('\0\0\0');
  });

  test('and has the host read and write through them harms nothing', async () => {
    const text = guest(`(func (export "run") (local $at i64)
      (local.set $at (call $alloc (i64.const 64)))
      (call $store_u64 (local.get $at) (i64.const 0x43415355_fffffff0))
      (call $log_info (i64.add (local.get $at) (i64.const 8)))
      (call $store_u64 (local.get $at) (i64.const 0x43415355_00000030))
      (call $log_info (i64.add (local.get $at) (i64.const 8)))
      (call $var_set (i64.add (local.get $at) (i64.const 8)) (i64.add (local.get $at) (i64.const 8)))
      (drop (call $config_get (i64.add (local.get $at) (i64.const 8))))
      (call $progress (f64.const 0) (i64.add (local.get $at) (i64.const 8)) (i64.add (local.get $at) (i64.const 8))))`);
    const { outcome } = await arena.withstand({ guest: text, ends: 'TRAP' });
    expect(outcome.usage.hostCalls).toBe(3);
  });
});

describe('A guest that passes wild addresses', () => {
  const each = (code: (value: string) => string): string =>
    wild.map((value) => code(`(i64.const ${value})`)).join('\n');

  test('to the kernel reads zeros and writes nothing', async () => {
    const text = guest(`(func $expect (param i64) (if (i64.ne (local.get 0) (i64.const 0)) (then unreachable)))
      (func (export "run") ${each(
        (at) => `
        (call $store_u8 ${at} (i32.const 255)) (call $store_u64 ${at} (i64.const -1)) (call $free ${at})
        (call $expect (call $length ${at})) (call $expect (call $length_unsafe ${at}))
        (call $expect (i64.extend_i32_u (call $input_load_u8 ${at}))) (call $expect (call $input_load_u64 ${at}))`,
      )})`);
    await arena.withstand({ guest: text, ends: 'OK' });
  });

  test('as input offsets reads nothing beyond the input', async () => {
    const text = guest(`(func $expect (param i64) (if (i64.ne (local.get 0) (i64.const 0)) (then unreachable)))
      (func (export "run")
        (call $expect (call $input_load_u64 (i64.const 5)))
        (call $expect (i64.extend_i32_u (call $input_load_u8 (i64.const 12))))
        (call $expect (call $input_load_u64 (i64.const -4)))
        (if (i32.ne (call $input_load_u8 (i64.const 11)) (i32.const 108)) (then unreachable))
        (call $output_set (call $input_offset) (i64.const 12)))`);
    const { outcome } = await arena.withstand({ guest: text, ends: 'OK', input: 'all and zeal' });
    expect(outputText(outcome)).toBe('all and zeal');
  });

  test('as output has none', async () => {
    const text = guest(`(func (export "run") (drop (call $alloc (i64.const 100)))
      ${each((value) => `(call $output_set ${value} (i64.const 8)) (call $output_set (i64.const 2000000) ${value})`)}
      (call $output_set (i64.const 1048) (i64.const 4294967296)))`);
    expect(outputText((await arena.withstand({ guest: text, ends: 'OK' })).outcome)).toBe('');
  });

  test('as error has none', async () => {
    const text = guest(`(func (export "run") ${each((value) => `(call $error_set ${value})`)})`);
    await arena.withstand({ guest: text, ends: 'OK' });
  });

  test('to the host gets nothing, and loses nothing', async () => {
    const text = guest(`(func $expect (param i64) (if (i64.ne (local.get 0) (i64.const 0)) (then unreachable)))
      (func (export "run") ${each(
        (at) => `
        (call $expect (call $config_get ${at})) (call $expect (call $var_get ${at})) (call $log_error ${at})
        (call $progress (f64.const 0.1) ${at} ${at})`,
      )})`);
    const { outcome } = await arena.withstand({ guest: text, ends: 'OK', config: { key: 'value' } });
    expect(outcome.usage).toMatchObject({ hostCalls: 4 * wild.length, logLinesDropped: wild.length - 1 });
  });
});

describe('A guest whose error is garbage', () => {
  test.each([
    ['bytes that are no text', '(call $store_u64 (local.get $at) (i64.const -1))', /^\ufffd{8}\0/],
    ['control characters', '(call $store_u64 (local.get $at) (i64.const 0x0a0d1b5b324a0700))', /^\0.J2/s],
  ])('has it made well-formed and bounded: %s', async (_what, store, expected) => {
    const text = guest(`(func (export "run") (local $at i64)
      (local.set $at (call $alloc (i64.const 100000))) ${store} (call $error_set (local.get $at)))`);
    const { outcome } = await arena.withstand({ guest: text, ends: 'GUEST_ERROR' });
    const message = outcome.name === 'OK' ? '' : outcome.error.message;
    expect(message).toMatch(expected);
    expect(message.isWellFormed()).toBe(true);
    expect(Buffer.byteLength(message)).toBeLessThanOrEqual(4_096);
  });

  test('inside a block has no text', async () => {
    const text = guest('(func (export "run") (call $error_set (i64.add (call $alloc (i64.const 100)) (i64.const 5))))');
    await arena.withstand({ guest: text, ends: 'GUEST_ERROR' });
  });
});

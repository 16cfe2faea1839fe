/** Functions that are passed the counter: which they are, and that nothing but their type changes. */

import { describe, expect, test } from 'vitest';
import { inspectModule } from '../../../src/wasm/inspect.ts';
import { originalOffset } from '../../../src/wasm/metering/offset-map.ts';
import { rewriteModule } from '../../../src/wasm/rewrite.ts';
import { ByteWriter } from '../../../src/wasm/writer.ts';
import { compareForms } from '../../helpers/differential.ts';
import { FuelHost } from '../../helpers/fuel-host.ts';
import { wat, watWithNames } from '../../helpers/wat.ts';

const options = { memoryBytesMax: 1 << 24, metering: {} };

function rewritten(bytes: Uint8Array<ArrayBuffer>): Buffer<ArrayBuffer> {
  const result = rewriteModule(bytes, inspectModule(bytes), options).bytes;
  expect(WebAssembly.validate(result)).toBe(true);
  return Buffer.from(result);
}

const codes: Readonly<Record<string, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };

/** Whether the module has the type of a function that takes and gives these and the counter. */
function passesWith(
  bytes: Uint8Array<ArrayBuffer>,
  parameters: readonly string[],
  results: readonly string[],
): boolean {
  const writer = new ByteWriter().u8(0x60);
  for (const types of [parameters, results]) {
    writer.vector([...types, 'i64'], (type, to) => to.u8(codes[type] ?? 0));
  }
  return rewritten(bytes).includes(Buffer.from(writer.finish()));
}

/** A function that is passed the counter unless something stands against it: what it does depends on its argument. */
const plain = '(if (local.get 0) (then (global.set $g (i32.add (global.get $g) (i32.const 1)))))';
const global = '(global $g (mut i32) (i32.const 0))';

function moduleOf(signature: string, body: string, rest = ''): Uint8Array<ArrayBuffer> {
  const call = '(call $f (i32.const 1))';
  const drop = signature.includes('result') ? '(drop' : '(block';
  return wat(`(module ${global} (func $f (param i32) ${signature} ${body}) ${rest}
    (func (export "run") ${drop} ${call}) ${drop} ${call})))`);
}

describe('A function is passed the counter', () => {
  test.each(['i32', 'i64', 'f32', 'f64'])('if all of its callers are known and it has a result of type %s', (type) => {
    const bytes = moduleOf(`(result ${type})`, `${plain} (${type}.const 0)`);
    expect(passesWith(bytes, ['i32'], [type])).toBe(true);
    expect(compareForms(bytes)).toEqual({ calls: 1, fuel: 1 });
  });

  test('if it is exported as well: callers from outside get a function of the type that it had', () => {
    const bytes = moduleOf('(result i32)', `${plain} (i32.const 5)`, '(export "f" (func $f))');
    expect(passesWith(bytes, ['i32'], ['i32'])).toBe(true);
    const host = new FuelHost();
    const instance = new WebAssembly.Instance(new WebAssembly.Module(rewritten(bytes)), host.imports());
    host.attach(instance);
    expect((instance.exports['f'] as (value: number) => unknown)(1)).toBe(5);
    expect(compareForms(bytes)).toEqual({ calls: 2, fuel: 2 });
  });
});

/** Turns as often as its parameter says. */
const loop = '(loop (br_if 0 (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 1))) (i32.const 0))))';

describe('A function keeps its type', () => {
  test.each([
    ['it is in a table', '', plain, '(table funcref (elem $f))'],
    ['the code refers to it', '', plain, '(elem declare func $f) (func (export "g") (drop (ref.func $f)))'],
    ['it takes a reference', '(param externref)', plain, ''],
    ['it gives two results', '(result i32 i32)', `${plain} (i32.const 1) (i32.const 2)`, ''],
    ['it gives a reference', '(result funcref)', `${plain} (ref.null func)`, ''],
    ['it handles exceptions', '', `(try (do ${plain}) (catch_all))`, ''],
    ['it makes a tail call', '', `${plain} (return_call $other)`, '(func $other)'],
    ['it is called in place of a return', '', plain, '(func $other (return_call $f (i32.const 0)))'],
    ['it leaves the counter alone', '', '(drop (local.get 0))', ''],
  ])('if %s', (_why, signature, body, rest) => {
    const extra = signature === '(param externref)' ? '(ref.null extern)' : '';
    const results = signature === '(result i32 i32)' ? '(drop) (drop)' : signature.includes('result') ? '(drop)' : '';
    const bytes = wat(`(module ${global} (func $f (param i32) ${signature} ${body}) ${rest}
      (func (export "run") (call $f (i32.const 1) ${extra}) ${results}))`);
    for (const given of [[], ['i32'], ['i32', 'i32']]) expect(passesWith(bytes, ['i32'], given)).toBe(false);
    expect(passesWith(bytes, ['i32', 'i32'], [])).toBe(false);
    expect(compareForms(bytes).fuel).toBeGreaterThan(0);
  });

  test('if V8 allows it no other parameter', () => {
    const withParameters = (count: number): Uint8Array<ArrayBuffer> =>
      wat(`(module ${global} (func $f (param ${'i32 '.repeat(count)}) ${plain})
        (func (export "run") (call $f ${'(i32.const 1)'.repeat(count)})))`);
    const most = Array.from({ length: 999 }, () => 'i32');
    expect(passesWith(withParameters(999), most, [])).toBe(true);
    expect(passesWith(withParameters(1_000), [...most, 'i32'], [])).toBe(false);
  });

  test('if V8 allows it no other local', () => {
    const withLocals = (count: number): Uint8Array<ArrayBuffer> => {
      const bytes = wat(`(module ${global} (func $f (param i32) (local ${'i64 '.repeat(count)}) ${plain})
        (func (export "run") (call $f (i32.const 1))))`);
      expect(WebAssembly.validate(bytes)).toBe(true);
      return bytes;
    };
    expect(passesWith(withLocals(49_998), ['i32'], [])).toBe(true);
    expect(passesWith(withLocals(49_999), ['i32'], [])).toBe(false);
  });
});

describe('A function that is passed the counter', () => {
  const add = '(local.set 1 (i32.add (local.get 1) (i32.const 1)))';
  test.each([
    ['returns early', `(if (local.get 0) (then (return (i32.const 1)))) ${add} (local.get 1)`],
    ['branches to its end', `(br_if 0 (i32.const 7) (local.get 0)) (drop) ${add} (local.get 1)`],
    [
      'branches to its end from a loop',
      `(loop ${add} (br_if 1 (local.get 1) (local.get 0)) (drop) (br_if 0 (i32.lt_s (local.get 1) (i32.const 5)))) (i32.const 3)`,
    ],
    [
      'returns from a loop',
      `(loop ${add} (if (i32.gt_s (local.get 1) (i32.const 4)) (then (return (local.get 1)))) (br 0)) (i32.const 3)`,
    ],
    ['chooses between its end and others', `(block (result i32) (br_table 0 1 (i32.const 4) (local.get 0)))`],
    ['returns where nothing is reached', `(local.get 0) (return) (return (i32.const 2))`],
    ['branches where nothing is reached', `(local.get 0) (return) (drop) (br 0 (i32.const 2))`],
    ['calls where nothing is reached', `(local.get 0) (return) (drop) (call $g (i32.const 2))`],
    ['ends with a call', `${add} (call $g (local.get 1))`],
    [
      'calls one after the other',
      `(drop (call $g (i32.const 1))) (drop (call $g (i32.const 2))) (call $g (local.get 0))`,
    ],
    [
      'calls what is in a table between others',
      `(drop (call $g (i32.const 1))) (drop (call_indirect (param i32) (result i32) (i32.const 1) (i32.const 0))) (call $g (local.get 0))`,
    ],
    ['traps', `(if (local.get 0) (then (drop (call $g (i32.const 1))) (unreachable))) (i32.const 1)`],
    [
      'grows memory',
      `(drop (memory.grow (i32.const 1))) (drop (call $g (i32.const 1))) (drop (memory.grow (i32.const 1))) (local.get 1)`,
    ],
  ])('%s, and all is as it was', (_what, body) => {
    const bytes = wat(`(module (memory 1 4) ${global}
      (table funcref (elem $h))
      (func $h (param i32) (result i32) ${loop} (local.get 0))
      (func $g (param i32) (result i32) (if (local.get 0) (then (global.set $g (i32.const 3)))) ${loop} (global.get $g))
      (func $f (param i32) (result i32) (local i32) ${plain} ${body})
      (func (export "zero") (result i32) (call $f (i32.const 0)))
      (func (export "one") (result i32) (call $f (i32.const 1))))`);
    expect(passesWith(bytes, ['i32'], ['i32'])).toBe(true);
    expect(compareForms(bytes, { slice: 7n }).calls).toBe(2);
  });

  test('brings back the counter when an exception passes it', () => {
    const bytes = wat(`(module ${global} (tag $e)
      (func $f (param i32) ${plain} (if (i32.gt_s (global.get $g) (i32.const 20)) (then (throw $e))) (call $f (i32.const 1)))
      (func (export "run") (result i32)
        (try (do (call $f (i32.const 1))) (catch_all (nop)))
        (call $after (i32.const 100)) (global.get $g))
      (func $after (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))`);
    expect(passesWith(bytes, ['i32'], [])).toBe(true);
    expect(compareForms(bytes)).toEqual({ calls: 1, fuel: 1 });
  });

  test('finds its locals where they have moved, also beyond the first 128', () => {
    const locals = Array.from({ length: 300 }, (_, place) => place + 1);
    const sets = locals.map((local) => `(local.set ${local} (i32.const ${local}))`).join('');
    const sum = locals.map((local) => `(i32.add (local.get ${local}))`).join('');
    const bytes = wat(`(module ${global} (func $f (param i32) (result i32) (local ${'i32 '.repeat(300)})
      ${plain} ${sets} (local.get 0) ${sum}) (func (export "run") (result i32) (call $f (i32.const 4))))`);
    expect(passesWith(bytes, ['i32'], ['i32'])).toBe(true);
    const host = new FuelHost();
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(rewritten(bytes)), host.imports());
    expect((exports['run'] as () => number)()).toBe(4 + (300 * 301) / 2);
  });

  test('leads every position back to where it stood', () => {
    const needle = Buffer.from('41d6e8c800', 'hex');
    const locals = `(local ${'i32 '.repeat(200)})`;
    const uses = Array.from({ length: 200 }, (_, place) => `(local.set ${place + 1} (i32.const 1))`).join('');
    const bytes = wat(`(module ${global} (func $f (param i32) (result i32) ${locals}
      ${plain} ${uses} (i32.const 0x123456)) (func (export "run") (result i32) (call $f (i32.const 4))))`);
    const { metering, bytes: metered } = rewriteModule(bytes, inspectModule(bytes), options);
    const original = Buffer.from(bytes).indexOf(needle);
    const moved = Buffer.from(metered).indexOf(needle);
    expect(original).toBeGreaterThan(0);
    expect(moved - original).toBeGreaterThan(73);
    expect(metering && originalOffset(metering.offsets, moved)).toBe(original);
  });

  test('keeps the names of its locals', () => {
    const bytes = watWithNames(`(module ${global} (func $f (param $first i32) (local $second i64) ${plain})
      (func (export "run") (call $f (i32.const 1))))`);
    const nameOf = (local: number, name: string): Buffer => Buffer.from([local, name.length, ...Buffer.from(name)]);
    expect(Buffer.from(bytes).includes(nameOf(1, 'second'))).toBe(true);
    expect(rewritten(bytes).includes(nameOf(0, 'first'))).toBe(true);
    expect(rewritten(bytes).includes(nameOf(2, 'second'))).toBe(true);
  });

  test.each([
    [
      'by a loop around a call',
      `(loop (if (i32.gt_s (local.get 0) (i32.const 1)) (then
      (call $f (i32.sub (local.get 0) (i32.const 1))) (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br 1))))`,
    ],
    [
      'by calls alone',
      `(if (i32.gt_s (local.get 0) (i32.const 1)) (then
      (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 1)))))`,
    ],
    [
      'by way of another function',
      `(if (i32.gt_s (local.get 0) (i32.const 1)) (then
      (call $g (i32.sub (local.get 0) (i32.const 1))) (call $g (i32.sub (local.get 0) (i32.const 1)))))`,
    ],
    [
      'by way of a table in a loop',
      `(loop (if (i32.gt_s (local.get 0) (i32.const 1)) (then
      (call_indirect (param i32) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)) (local.set 0 (i32.sub (local.get 0) (i32.const 1))) (br 1))))`,
    ],
  ])('stops at the limit if it recurs %s', (_how, body) => {
    const bytes = wat(`(module ${global} (table funcref (elem $h)) (func $h (param i32) (call $f (local.get 0)))
      (func $f (param i32) ${plain} ${body}) (func $g (param i32) (call $f (local.get 0)))
      (func (export "run") (call $f (i32.const 1000))))`);
    const host = new FuelHost({ limit: 5_000_000n, slice: 100_000n });
    const instance = new WebAssembly.Instance(new WebAssembly.Module(rewritten(bytes)), host.imports());
    host.attach(instance);
    expect(() => (instance.exports['run'] as () => void)()).toThrow(WebAssembly.RuntimeError);
    expect(host.stopped).toBe(true);
    expect(host.used).toBeLessThan(5_100_000n);
  });
});

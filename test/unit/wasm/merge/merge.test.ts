import { describe, expect, test } from 'vitest';
import { inspectModule } from '../../../../src/wasm/inspect.ts';
import { functionNameOf } from '../../../../src/wasm/names.ts';
import { rewriteModule } from '../../../../src/wasm/rewrite.ts';
import { memoryModule } from '../../../helpers/memories.ts';
import { wat } from '../../../helpers/wat.ts';
import { body, moduleOf, type Part, problemOf, section } from '../bytes.ts';
import { instantiate, memoryOf, merge } from './merging.ts';

/** Keeps bytes of its own at address 0, and hands on one import. */
const store = `(module
  (import "outside" "log" (func $log (param i32)))
  (import "outside" "never" (func $never))
  (memory (export "memory") 1)
  (global $writes (export "writes") (mut i32) (i32.const 0))
  (export "log" (func $log))
  (func $count (global.set $writes (i32.add (global.get $writes) (i32.const 1))))
  (func (export "put") (param i32 i32) (call $count) (i32.store8 (local.get 0) (local.get 1)))
  (func (export "get") (param i32) (result i32) (i32.load8_u (local.get 0)))
  (func (export "stop") (call $never)))`;

const importPut = '(import "host" "put" (func $put (param i32 i32)))';
const importGet = '(import "host" "get" (func $get (param i32) (result i32)))';

const storeExports = [
  { name: 'memory', as: 'host:memory' },
  { name: 'writes', as: 'host:writes' },
];

describe('mergeModules', () => {
  test('makes calls of the guest reach the host module, whose memory is another than the guest’s', () => {
    const merged = merge(
      `(module ${importPut} ${importGet} (memory (export "own") 1)
        (func (export "run") (result i32)
          (i32.store8 (i32.const 5) (i32.const 1)) (call $put (i32.const 5) (i32.const 2)) (call $get (i32.const 5))))`,
      store,
      { hostExports: storeExports },
    );
    const exports = instantiate(merged);
    expect(merged.imports).toEqual([]);
    expect(exports['run']?.()).toBe(2);
    expect([memoryOf(exports, 'own')[5], memoryOf(exports, 'host:memory')[5]]).toEqual([1, 2]);
    expect((exports['host:writes'] as unknown as WebAssembly.Global).value).toBe(1);
    expect(Object.keys(exports)).toEqual(['own', 'run', 'host:memory', 'host:writes']);
  });

  test('gives a guest without a memory none', () => {
    const merged = merge(`(module ${importGet} (func (export "run") (result i32) (call $get (i32.const 0))))`, store);
    expect(inspectModule(merged.bytes).memories).toHaveLength(1);
    expect(instantiate(merged)['run']?.()).toBe(0);
  });

  test('leaves out functions and imports that neither the guest nor the host needs', () => {
    const merged = merge('(module (func (export "run")))', store);
    expect(inspectModule(merged.bytes)).toMatchObject({ imports: [{ kind: 'memory' }], sizes: { functions: 1 } });
    const stopping = merge('(module (import "host" "stop" (func $stop)) (func (export "run") (call $stop)))', store);
    expect(stopping.imports).toEqual([{ module: 'outside', name: 'never' }]);
    expect(inspectModule(stopping.bytes).sizes.functions).toBe(2);
    const kept = merge('(module)', store, { hostExports: [{ name: 'put', as: 'put' }] });
    expect(inspectModule(kept.bytes).sizes.functions).toBe(2);
  });

  test('resolves what the host module hands on to its import, and keeps the guest’s other imports', () => {
    const merged = merge(
      `(module (import "a" "first" (func $first (result i32))) (import "host" "log" (func $log (param i32)))
        (import "a" "global" (global i32)) (import "host" "log" (func $again (param i32)))
        (import "b" "last" (func $last (result i32)))
        (func (export "run") (call $log (call $first)) (call $again (i32.add (call $last) (global.get 0)))))`,
      store,
    );
    expect(merged.imports).toEqual([
      { module: 'a', name: 'first' },
      { module: 'b', name: 'last' },
      { module: 'outside', name: 'log' },
    ]);
    const logged: unknown[] = [];
    const exports = instantiate(merged, {
      a: { first: () => 7, global: 100 },
      b: { last: () => 8 },
      outside: { log: (value: number) => void logged.push(value) },
    });
    exports['run']?.();
    expect(logged).toEqual([7, 108]);
  });

  test('moves functions wherever the guest refers to them', () => {
    const merged = merge(
      `(module ${importPut} ${importGet} (type $i (func (result i32)))
        (func $one (result i32) (i32.const 1)) (func $two (result i32) (i32.const 2))
        (func $three (result i32) (i32.const 3)) (func $start (call $put (i32.const 0) (i32.const 9)))
        (table $t (export "table") 10 funcref) (table $u 3 funcref)
        (global $g funcref (ref.func $two))
        (elem (table $t) (i32.const 0) func $one $two) (elem (table $u) (i32.const 1) funcref (ref.func $three))
        (elem $passive func $three $one) (elem declare func $two)
        (start $start)
        (func (export "tail") (result i32) (return_call $three))
        (func (export "taken") (result i32)
          (table.set $t (i32.const 5) (ref.func $two)) (call_indirect $t (type $i) (i32.const 5)))
        (func (export "global") (result i32)
          (table.set $t (i32.const 6) (global.get $g)) (call_indirect $t (type $i) (i32.const 6)))
        (func (export "initialised") (result i32)
          (table.init $t $passive (i32.const 7) (i32.const 0) (i32.const 2)) (call_indirect $t (type $i) (i32.const 7)))
        (func (export "listed") (result i32) (call_indirect $t (type $i) (i32.const 1)))
        (func (export "other") (result i32) (call_indirect $u (type $i) (i32.const 1)))
        (func (export "stored") (result i32) (call $get (i32.const 0)))
        (export "direct" (func $one)))`,
      store,
    );
    const exports = instantiate(merged);
    const results = ['tail', 'taken', 'global', 'initialised', 'listed', 'other', 'stored', 'direct'].map((name) =>
      exports[name]?.(),
    );
    expect(results).toEqual([3, 2, 2, 3, 2, 3, 9, 1]);
  });

  test('moves functions in the initial value of a table', () => {
    // A table of (ref null func) whose elements are function 0 of the guest.
    const guest = moduleOf(
      section('type', 1, [0x60, 0, 1, 0x7f]),
      section('function', 2, 0, 0),
      section('table', 1, [0x40, 0, 0x70, 0, 1, 0xd2, 1, 0x0b]),
      section('export', 1, 'run', 0, 0),
      section('code', 2, body(0x41, 0, 0x11, 0, 0), body(0x41, 42)),
    );
    const merged = merge(guest, '(module (func (export "f")))', { hostExports: [{ name: 'f', as: 'f' }] });
    expect(instantiate(merged)['run']?.()).toBe(42);
  });

  test('exports imports of the host module', () => {
    const merged = merge('(module)', store, { hostExports: [{ name: 'log', as: 'run' }] });
    let logged: unknown;
    instantiate(merged, { outside: { log: (value: number) => (logged = value) } })['run']?.(5);
    expect(logged).toBe(5);
  });
});

describe('What the host module has', () => {
  /** Uses every kind of index that there is. */
  const rich = `(module
    (type $i (func (result i32))) (type $pair (func (param i32) (result i32 i32)))
    (memory $a (export "a") 1) (memory $b i64 1)
    (table $t 4 funcref) (table $u 4 funcref) (table $x 2 externref)
    (global $base i32 (i32.const 16)) (global $f funcref (ref.func $five))
    (data $active (memory $a) (i32.const 8) "active") (data $passive "passive") (data $wide "wide")
    (elem $e (table $t) (i32.const 1) func $five) (elem $p func $six)
    (elem (table $u) (i32.const 2) funcref (ref.func $six)) (elem $q funcref (ref.func $five)) (elem declare func $six)
    (func $five (result i32) (i32.const 5)) (func $six (result i32) (i32.const 6))
    (func (export "active") (result i32) (i32.load8_u offset=8 (i32.const 0)))
    (func (export "wide") (result i32)
      (memory.init $b $wide (i64.const 3) (i32.const 0) (i32.const 4)) (i32.load8_u $b offset=3 (i64.const 0)))
    (func (export "passive") (result i32)
      (memory.init $a $passive (global.get $base) (i32.const 0) (i32.const 7)) (data.drop $passive)
      (memory.copy $a $a (i32.const 32) (i32.const 16) (i32.const 7))
      (memory.fill $b (i64.const 0) (i32.const 7) (i64.const 1))
      (i32.add (i32.load8_u $b (i64.const 0)) (i32.load8_u (i32.const 38))))
    (func (export "grow") (result i32) (drop (memory.grow $a (i32.const 1))) (memory.size $a))
    (func (export "first") (result i32) (call_indirect $t (type $i) (i32.const 1)))
    (func (export "second") (result i32) (call_indirect $u (type $i) (i32.const 2)))
    (func (export "tables") (result i32)
      (table.init $t $p (i32.const 2) (i32.const 0) (i32.const 1)) (elem.drop $p)
      (table.copy $u $t (i32.const 3) (i32.const 2) (i32.const 1))
      (table.fill $x (i32.const 0) (ref.null extern) (i32.const 1))
      (drop (table.grow $t (global.get $f) (i32.const 1)))
      (drop (table.get $t (i32.const 0))) (table.set $t (i32.const 0) (ref.func $six))
      (i32.add (table.size $t) (return_call_indirect $u (type $i) (i32.const 3))))
    (func (export "init") (result i32)
      (table.init $u $q (i32.const 0) (i32.const 0) (i32.const 1)) (call_indirect $u (type $i) (i32.const 0)))
    (func (export "blocks") (result i32) (local $n i32)
      (i32.const 2) (block (param i32) (result i32 i32) (i32.const 3)) (i32.mul)
      (local.set $n) (loop $l (br_if $l (i32.gt_u (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 4))))
      (block $d (block $c (br_table $c $d (local.get $n))) ) (select (result i32) (local.get $n) (i32.const 0) (i32.const 1)))
    (func (export "lane") (result i32)
      (i32x4.extract_lane 0 (v128.load8_lane $a 0 (i32.const 8) (v128.const i32x4 0 0 0 0)))))`;

  const names = ['active', 'wide', 'passive', 'grow', 'first', 'second', 'tables', 'init', 'blocks', 'lane'];
  const results = [0x61, 0x77, 0x65 + 7, 2, 5, 6, 6, 5, 4, 0x61];

  test('is what the text says, unmerged', () => {
    const exports = instantiate({ bytes: wat(rich), memories: [] });
    expect(names.map((name) => exports[name]?.())).toEqual(results);
  });

  test.each([
    ['has nothing', '(module)'],
    [
      'has some of everything',
      `(module (type (func (param i64) (result f32))) (memory 1 1) (memory i64 1 2) (table 1 1 funcref)
        (global (mut i32) (i32.const 3)) (global i64 (i64.const 3)) (data (i32.const 8) "mine") (data "more")
        (func $f) (elem (i32.const 0) func $f) (func (export "use") (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 0))))`,
    ],
    ['has data but does not count it', '(module (memory 1 1) (data (i32.const 8) "mine"))'],
  ])('works beside a guest that %s', (_what, guest) => {
    const merged = merge(guest, rich, { hostExports: names.map((name) => ({ name, as: `host:${name}` })) });
    const exports = instantiate(merged);
    expect(names.map((name) => exports[`host:${name}`]?.())).toEqual(results);
  });

  test('fills a memory other than its first', () => {
    const host = moduleOf(
      section('memory', 2, [0, 1], [4, 1]),
      section('export', 1, 'wide', 2, 1),
      section('data', 1, [2, 1, 0x42, 3, 0x0b, 'wide']),
    );
    const exports = instantiate(merge('(module (memory 1))', host, { hostExports: [{ name: 'wide', as: 'wide' }] }));
    expect(Buffer.from(memoryOf(exports, 'wide').subarray(2, 8)).toString()).toBe('\0wide\0');
  });

  test('leaves data and tables of the guest alone', () => {
    const merged = merge(
      `(module (memory (export "memory") 1) (data (i32.const 8) "mine") (table (export "table") 2 funcref)
        (func $f (export "f")) (elem (i32.const 1) func $f))`,
      rich,
      { hostExports: names.map((name) => ({ name, as: `host:${name}` })) },
    );
    const exports = instantiate(merged);
    for (const name of names) exports[`host:${name}`]?.();
    expect(Buffer.from(memoryOf(exports, 'memory').subarray(8, 13)).toString()).toBe('mine\0');
    const table = exports['table'] as unknown as WebAssembly.Table;
    expect([table.length, table.get(0), table.get(1)]).toEqual([2, null, exports['f']]);
  });

  const withType = (type: Part, code: Uint8Array): Uint8Array =>
    moduleOf(
      section('type', 1, type),
      section('function', 1, 0),
      section('export', 1, 'x', 0, 0),
      section('code', 1, code),
    );

  test.each<[string, string | Uint8Array, RegExp]>([
    ['a start function', '(module (func $s) (start $s))', /section "start"/],
    ['tags', '(module (tag))', /section "tag"/],
    ['imports other than functions', '(module (import "a" "m" (memory 1)))', /other than functions/],
    ['types that are no functions', moduleOf(section('type', 1, [0x5f, 0])), /no plain function type/],
    ['references to its types', withType([0x60, 1, 0x63, 0, 0], body()), /references to types/],
    ['null of a type of its own', withType([0x60, 0, 0], body(0xd0, 0, 0x1a)), /type of its own/],
    ['a test of a type of its own', withType([0x60, 0, 0], body(0xd0, 0x70, 0xfb, 20, 0, 0x1a)), /type of its own/],
    ['calls by reference', withType([0x60, 0, 0], body(0xd0, 0x73, 0x14, 0)), /index of unknown kind, 0x14/],
    ['catches', withType([0x60, 0, 0], body(0x1f, 0x40, 1, 2, 0, 0x0b)), /0x1f that cannot be merged/],
  ])('cannot be %s', (_what, host, message) => {
    expect(() => merge('(module)', host, { hostExports: [{ name: 'x', as: 'x' }] })).toThrow(TypeError);
    expect(() => merge('(module)', host, { hostExports: [{ name: 'x', as: 'x' }] })).toThrow(message);
  });

  test('must export what is asked of it', () => {
    expect(() => merge('(module)', '(module)', { hostExports: [{ name: 'x', as: 'x' }] })).toThrow(
      /does not export "x"/,
    );
  });
});

describe('An import that the host module does not satisfy', () => {
  const problem = (imported: string, importable?: ReadonlySet<string>) =>
    problemOf(() => merge(`(module (import "host" ${imported}))`, store, importable && { importable }));

  test('is refused if there is nothing of that name', () => {
    expect(problem('"post" (func)')).toEqual({
      reason: 'IMPORT_UNKNOWN',
      location: 'import host.post',
      message: '"host" provides no function "post": remove the import',
    });
  });

  test('is refused if it is not for guests, and if it is no function', () => {
    expect(problem('"get" (func (param i32) (result i32))', new Set(['put'])).reason).toBe('IMPORT_UNKNOWN');
    expect(problem('"writes" (global (mut i32))').reason).toBe('IMPORT_UNKNOWN');
    expect(problem('"memory" (func)').reason).toBe('IMPORT_UNKNOWN');
  });

  test.each(['(func)', '(func (param i64) (result i32))', '(func (param i32))', '(func (param i32) (result i32 i32))'])(
    'is refused with the type %s',
    (type) => {
      expect(problem(`"get" ${type}`)).toMatchObject({ reason: 'IMPORT_TYPE_MISMATCH', location: 'import host.get' });
    },
  );
});

describe('The limits of V8', () => {
  const importPut: Part = ['host', 'f', 0, 0];
  const host = '(module (func $helper) (func (export "f") (call $helper)))';

  test('on functions are known to the function', () => {
    const defining = (count: number): Uint8Array => {
      const content = new Uint8Array(count);
      const bodies = new Uint8Array(count * 3);
      for (let at = 0; at < bodies.length; at += 3) bodies.set([2, 0, 0x0b], at);
      const counted = Uint8Array.of((count & 0x7f) | 0x80, ((count >> 7) & 0x7f) | 0x80, count >> 14);
      return moduleOf(
        section('type', 1, [0x60, 0, 0]),
        section('import', 1, importPut),
        section('function', counted, content),
        section('code', counted, bodies),
      );
    };
    expect(merge(defining(999_998), host).firstFunction).toBe(0);
    expect(problemOf(() => merge(defining(999_999), host))).toEqual({
      reason: 'WASM_OVER_LIMIT',
      location: 'module',
      message: 'The rewritten module has 1000001 functions; at most 1000000 are possible',
    });
  });

  test('on the bytes of a function are known to the byte', () => {
    // The call of function 0 becomes one of function 129, which takes a byte more.
    const calling = (bytes: number): Uint8Array => {
      const nops = new Uint8Array(bytes - 4).fill(0x01);
      const empty = Array.from({ length: 128 }, () => body());
      return moduleOf(
        section('type', 1, [0x60, 0, 0]),
        section('import', 1, importPut),
        section('function', [0x81, 1], new Uint8Array(129)),
        section('code', [0x81, 1], body(0x10, 0, nops), empty),
      );
    };
    const most = 7_654_321;
    expect(WebAssembly.validate(merge(calling(most - 1), host).bytes)).toBe(true);
    expect(problemOf(() => merge(calling(most), host))).toMatchObject({
      reason: 'WASM_OVER_LIMIT',
      message: `Function 1 of the rewritten module has ${most + 1} bytes; at most ${most} are possible; split it`,
    });
  });
});

describe('Names', () => {
  const named = merge(
    `(module $plugin (import "host" "put" (func $imported (param i32 i32))) (import "a" "b" (func $kept))
      (func $first (export "first") (param $size i32)) (func $second (call $imported (i32.const 0) (i32.const 0))))`,
    store,
    { names: true },
  );

  test('of functions move with them, those of resolved imports go, and the host module’s come with its functions', () => {
    const { functionNames } = inspectModule(named.bytes);
    expect([0, 1, 2, 3, 4, 5].map((index) => functionNameOf(functionNames, index))).toEqual(
      ['kept', 'first', 'second', 'host.count', 'host.4', undefined].map((name, index) =>
        index === 4 ? expect.stringMatching(/^host\./) : name,
      ),
    );
  });

  test('are what V8 shows', () => {
    const trapping = merge(
      '(module (import "host" "get" (func $i (param i32) (result i32))) (func $boom (export "boom") (drop (call $i (i32.const -1)))))',
      store,
      { names: true },
    );
    let stack = '';
    try {
      instantiate(trapping)['boom']?.();
    } catch (error) {
      stack = String((error as Error).stack);
    }
    expect(stack).toContain(`boom (wasm://wasm/`);
    expect(stack).toContain('wasm-function[0]');
  });
});

describe('A merged guest that was rewritten', () => {
  const merged = (text: string, memoryBytesMax = 1 << 20) => {
    const bytes = wat(text);
    const rewritten = rewriteModule(bytes, inspectModule(bytes), { memoryBytesMax });
    return { ...rewritten, ...merge(rewritten.bytes, store, { hostExports: storeExports }) };
  };

  test('keeps the limits of its memories, and the host module’s memory its own', () => {
    const text = `(module ${importPut} (import "env" "memory" (memory 1)) (memory 2) (memory i64 1)
      (func (export "grow") (param i32) (result i32) (memory.grow 0 (local.get 0)))
      (func (export "put") (call $put (i32.const 1) (i32.const 1))))`;
    const { bytes, memories } = merged(text, 10 * 65_536);
    const { imports } = inspectModule(bytes);
    expect(imports.map(({ module, name, kind }) => [module, name, kind])).toEqual(
      [0, 1, 2, 3].map((index) => [memoryModule, String(index), 'memory']),
    );
    expect(memories.map(({ minPages, maxPages, is64 }) => [minPages, maxPages, is64])).toEqual([
      [1, 3, false],
      [2, 4, false],
      [1, 3, true],
      [1, undefined, false],
    ]);
    const exports = instantiate({ bytes, memories });
    expect([exports['grow']?.(2), exports['grow']?.(1)]).toEqual([1, -1]);
    exports['put']?.();
    expect([memoryOf(exports, 'caisson:memory0')[1], memoryOf(exports, 'host:memory')[1]]).toEqual([0, 1]);
  });
});

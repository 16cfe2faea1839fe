import { describe, expect, it } from 'vitest';
import { inspectModule } from '../../../src/wasm/inspect.ts';
import { type RewrittenModule, rewriteModule } from '../../../src/wasm/rewrite.ts';
import { wat, watWithNames } from '../../helpers/wat.ts';
import { moduleOf, problemOf, section } from './bytes.ts';
import { fixture, fixtures } from './fixtures.ts';

const mebibyte = 1024 * 1024;

function rewrite(bytes: Uint8Array, memoryBytesMax = 64 * mebibyte): RewrittenModule {
  return rewriteModule(bytes, inspectModule(bytes), { memoryBytesMax });
}

type Callable = (...values: readonly (number | bigint)[]) => number | bigint;

function instantiate(bytes: Uint8Array<ArrayBuffer>, imports: WebAssembly.Imports = {}): Record<string, Callable> {
  return new WebAssembly.Instance(new WebAssembly.Module(bytes), imports).exports as Record<string, Callable>;
}

function call(exports: Record<string, Callable>, name: string, ...values: readonly (number | bigint)[]): unknown {
  const callable = exports[name];
  if (callable === undefined) throw new Error(`No export is called "${name}"`);
  return callable(...values);
}

const exportsOf = (bytes: Uint8Array): readonly string[] => inspectModule(bytes).exports.map(({ name }) => name);

describe('rewriteModule', () => {
  it.each(Object.entries(fixtures))(
    'gives a valid module without start, memory and table imports for "%s"',
    (_, bytes) => {
      const rewritten = rewrite(bytes);
      const info = inspectModule(rewritten.bytes);
      expect(WebAssembly.validate(rewritten.bytes)).toBe(true);
      expect(info.startFunction).toBeUndefined();
      expect(info.imports.map(({ kind }) => kind)).not.toEqual(expect.arrayContaining(['memory']));
      expect(info.imports.map(({ kind }) => kind)).not.toEqual(expect.arrayContaining(['table']));
      expect(info.exports.map(({ name, kind, index }) => ({ name, kind, index }))).toEqual(
        rewritten.exports.map(({ name, kind, index }) => ({ name, kind, index })),
      );
    },
  );

  it('leaves functions, globals, code and data as they were', () => {
    const before = inspectModule(fixture('everyday'));
    const after = inspectModule(rewrite(fixture('everyday')).bytes);
    expect(after.sizes).toEqual({ ...before.sizes, moduleBytes: after.sizes.moduleBytes });
    expect(after.features).toEqual(before.features);
    expect(after.imports.filter(({ kind }) => kind === 'function' || kind === 'global')).toEqual(after.imports);
    expect(after.functionNames).toEqual(before.functionNames);
  });

  it('lets functions behave as before', () => {
    const outside = (): WebAssembly.Imports => ({
      env: {
        log: () => [0, 0],
        memory: new WebAssembly.Memory({ initial: 1, maximum: 4 }),
        table: new WebAssembly.Table({ initial: 3, maximum: 9, element: 'anyfunc' }),
        base: 1,
        count: new WebAssembly.Global({ value: 'i64', mutable: true }, 0n),
      },
    });
    const results = [fixture('everyday'), rewrite(fixture('everyday')).bytes].map((bytes) => {
      const exports = instantiate(bytes, outside());
      call(exports, 'bulk');
      return ['twice', 'switch', 'tail', 'atomics', 'atomics'].map((name) => call(exports, name, 16));
    });
    // "data" lies at byte 16; the first atomic addition returns it as a little-endian integer.
    expect(results[1]).toEqual([0x0101_0110, 1, 0x0101_0110, 0x6174_6164, 0x6174_6165]);
    expect(results[1]).toEqual(results[0]);
  });

  it('makes imported memories and tables its own at the same index', () => {
    const { bytes, memories } = rewrite(fixture('memories'));
    const exports = instantiate(bytes, { a: { f: () => 9, g: () => undefined } });
    // Bytes 1, 2 and 4 lie in the three memories: the sum tells that each segment went where it should.
    expect(call(exports, 'read', 0)).toBe(7);
    expect(call(exports, 'seven', 3)).toBe(7);
    expect(call(exports, 'imported', 1)).toBe(9);
    expect(() => call(exports, 'seven', 1)).toThrow(WebAssembly.RuntimeError);
    expect(memories.map(({ name, is64 }) => [name, is64])).toEqual([
      ['caisson:memory0', false],
      ['caisson:memory1', true],
      ['caisson:memory2', false],
    ]);
  });

  it('lets each memory grow to its clamped size and no further', () => {
    const { bytes, memories } = rewrite(fixture('memories'), 2 * mebibyte);
    const exports = instantiate(bytes, { a: { f: () => 9, g: () => undefined } });
    const clamped = memories.map(({ clampedPages }) => clampedPages);
    expect(clamped).toEqual([3, 14, 14]);
    expect(call(exports, 'grow0', 2)).toBe(1);
    expect(call(exports, 'grow0', 1)).toBe(-1);
    expect(call(exports, 'grow1', 13n)).toBe(1n);
    expect(call(exports, 'grow1', 1n)).toBe(-1n);
    expect(call(exports, 'grow2', 12)).toBe(2);
    expect(call(exports, 'grow2', 1)).toBe(-1);
  });

  it('lets tables grow to their clamped size and no further', () => {
    const module = wat(`(module (table $a 1 funcref) (table $b 2 4 externref) (table $c 3 3 funcref)
      (func (export "a") (param i32) (result i32) (table.grow $a (ref.null func) (local.get 0)))
      (func (export "b") (param i32) (result i32) (table.grow $b (ref.null extern) (local.get 0)))
      (func (export "c") (param i32) (result i32) (table.grow $c (ref.null func) (local.get 0))))`);
    const { bytes, tables } = rewrite(module, mebibyte);
    expect(tables).toEqual([{ clampedElements: 1_024 }, { clampedElements: 4 }, { clampedElements: 3 }]);
    const exports = instantiate(bytes);
    expect(call(exports, 'a', 1_024)).toBe(-1);
    expect(call(exports, 'a', 1_023)).toBe(1);
    expect(call(exports, 'b', 3)).toBe(-1);
    expect(call(exports, 'b', 2)).toBe(2);
    expect(call(exports, 'c', 1)).toBe(-1);
  });

  it('clamps tables of 64 bits and tables with an initialiser', () => {
    const wide = inspectModule(rewrite(fixture('padded'), mebibyte).bytes);
    expect(wide.tables).toMatchObject([{ min: 1, max: 1_024, is64: true }]);
    const typed = inspectModule(rewrite(fixture('garbageCollected'), mebibyte).bytes);
    expect(typed.tables).toMatchObject([
      { min: 2, max: 1_024, elementType: '(ref i31)' },
      { min: 1, max: 3, elementType: '(ref null 0)' },
    ]);
  });

  it('refuses a module that begins with more memory than the limit', () => {
    const module = wat('(module (import "env" "memory" (memory 3)))');
    expect(rewrite(module, 3 * 65_536).memories).toMatchObject([{ clampedPages: 3 }]);
    expect(problemOf(() => rewrite(module, 3 * 65_536 - 1)).reason).toBe('MEMORY_OVER_LIMIT');
  });

  it('exports the start function instead of running it', () => {
    const module = wat(`(module (global $n (export "n") (mut i32) (i32.const 0))
      (func $begin (global.set $n (i32.const 5))) (start $begin))`);
    const { bytes, lifecycle } = rewrite(module);
    const exports = instantiate(bytes);
    const global = exports['n'] as unknown as WebAssembly.Global<'i32'>;
    expect(lifecycle).toEqual(['caisson:start']);
    expect(global.value).toBe(0);
    call(exports, 'caisson:start');
    expect(global.value).toBe(5);
  });

  it('exports an imported start function', () => {
    const module = wat('(module (import "env" "f" (func $f)) (start $f))');
    let calls = 0;
    call(instantiate(rewrite(module).bytes, { env: { f: () => calls++ } }), 'caisson:start');
    expect(calls).toBe(1);
  });

  it.each([
    [['_start'], ['caisson:_start']],
    [['_start', '_initialize'], ['caisson:_initialize']],
    [['_start', 'hs_init'], ['caisson:hs_init']],
    [
      ['_start', 'hs_init', '_initialize'],
      ['caisson:_initialize', 'caisson:hs_init'],
    ],
    [['other'], []],
  ])('renames of %j what loaders would call, and lists what to call', (names, lifecycle) => {
    const module = wat(`(module ${names.map((name) => `(func (export "${name}"))`).join('')})`);
    const rewritten = rewrite(module);
    expect(rewritten.lifecycle).toEqual(lifecycle);
    expect(exportsOf(rewritten.bytes)).toEqual(names.map((name) => (name === 'other' ? name : `caisson:${name}`)));
  });

  it('runs start before the initialiser', () => {
    const module = wat('(module (func (export "_initialize")) (func $s) (start $s))');
    expect(rewrite(module).lifecycle).toEqual(['caisson:start', 'caisson:_initialize']);
  });

  it('lists what can be called without arguments only, but renames all', () => {
    const module = wat(`(module (func (export "hs_init") (param i32 i32)) (func (export "_initialize") (param i64))
      (global (export "_start") i32 (i32.const 0)))`);
    const rewritten = rewrite(module);
    expect(rewritten.lifecycle).toEqual(['caisson:hs_init']);
    expect(exportsOf(rewritten.bytes)).toEqual(['caisson:hs_init', 'caisson:_initialize', 'caisson:_start']);
    expect(call(instantiate(rewritten.bytes), 'caisson:hs_init')).toBeUndefined();
  });

  it('creates the sections that are missing, in their order', () => {
    const module = wat('(module (import "env" "memory" (memory 1)) (import "env" "table" (table 1 funcref)))');
    const rewritten = rewrite(module);
    expect(inspectModule(rewritten.bytes)).toMatchObject({
      imports: [],
      memories: [{ imported: false }],
      tables: [{ imported: false }],
      exports: [{ name: 'caisson:memory0', kind: 'memory', index: 0 }],
    });
  });

  it('drops custom sections whose offsets no longer hold and keeps the others where they were', () => {
    const stale = [
      '.debug_info',
      'sourceMappingURL',
      'external_debug_info',
      'linking',
      'reloc.CODE',
      'metadata.code.branch_hint',
    ];
    const kept = ['name', 'producers', 'target_features', 'sourceMappingURLs', 'debug_'];
    const customs = [...stale, ...kept].map((name) => section('custom', name, 1, 2));
    const module = moduleOf(...customs, section('memory', 1, [0, 1]), section('custom', 'last', 3));
    expect(inspectModule(rewrite(module).bytes).customSections).toEqual([...kept, 'last']);
  });

  it('keeps names right for stacks', () => {
    const module = watWithNames('(module (import "env" "f" (func)) (func $boom (export "boom") unreachable))');
    const exports = instantiate(rewrite(module).bytes, { env: { f: () => undefined } });
    let stack = '';
    try {
      call(exports, 'boom');
    } catch (error) {
      stack = String((error as Error).stack);
    }
    expect(stack).toMatch(/wasm-function\[1\]|boom/);
  });

  it('refuses an imported table that cannot be empty', () => {
    const module = moduleOf(section('import', 1, 'env', 'table', 1, [0x64, 0x70, 0, 1]));
    expect(WebAssembly.validate(module)).toBe(true);
    expect(problemOf(() => rewrite(module))).toEqual({
      reason: 'IMPORT_UNKNOWN',
      location: 'import env.table',
      message:
        'The import env.table is a table of (ref func), which cannot be empty, and nobody provides it: ' +
        'define the table with an initial value in the module',
    });
  });

  it('refuses names and page sizes that the policy should have refused', () => {
    expect(problemOf(() => rewrite(wat('(module (memory (export "caisson:memory0") 1))'))).reason).toBe(
      'WASM_RESERVED_NAME',
    );
    expect(problemOf(() => rewrite(moduleOf(section('memory', 1, [8, 1, 0])))).reason).toBe('WASM_FEATURE_NOT_ALLOWED');
  });

  it('leaves imported globals and tags to be refused', () => {
    const { bytes } = rewrite(fixture('exceptions'));
    expect(inspectModule(bytes).imports).toMatchObject([{ module: 'env', name: 'tag', kind: 'tag' }]);
  });
});

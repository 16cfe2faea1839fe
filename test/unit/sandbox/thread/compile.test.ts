import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../../src/base/digest.ts';
import { ExecError } from '../../../../src/model/exec-error.ts';
import { wasmPageBytes } from '../../../../src/model/limits.ts';
import type { Reason } from '../../../../src/model/reasons.ts';
import { importPrices } from '../../../../src/sandbox/import-prices.ts';
import { controlName, memoryModule, kernelControls } from '../../../../src/sandbox/kernel/kernel.ts';
import type { CompiledPlugin } from '../../../../src/sandbox/protocol.ts';
import { createMemory } from '../../../../src/sandbox/thread/memories.ts';
import { analyseModule } from '../../../../src/sandbox/thread/compile.ts';
import { publishedFunctionIndex } from '../../../../src/wasm/merge/code-origin.ts';
import { modulePolicyDefault } from '../../../../src/wasm/policy.ts';
import { compileModule } from '../../../helpers/compile-module.ts';
import { FuelHost } from '../../../helpers/fuel-host.ts';
import { wat } from '../../../helpers/wat.ts';

const memoryBytes = 10 * wasmPageBytes;
const policy = modulePolicyDefault;

function problemsOf(bytes: Uint8Array<ArrayBuffer>, limit = memoryBytes) {
  return analyseModule({ bytes, memoryBytes: limit, policy }).problems;
}

/** Replaces the one place where these bytes stand. */
function patched(
  bytes: Uint8Array<ArrayBuffer>,
  from: readonly number[],
  to: readonly number[],
): Uint8Array<ArrayBuffer> {
  const at = Buffer.from(bytes).indexOf(Buffer.from(from));
  expect(at).toBeGreaterThan(0);
  const copy = bytes.slice();
  copy.set(to, at);
  return copy;
}

const bad: readonly (readonly [string, Reason, Uint8Array<ArrayBuffer>])[] = [
  ['bytes that are no module', 'WASM_NOT_WASM', Uint8Array.from(Buffer.from('not a module'))],
  ['a component', 'WASM_COMPONENT', Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0)],
  ['a name of ours', 'WASM_RESERVED_NAME', wat('(module (func (export "caisson:start")))')],
  [
    'an import of the meter',
    'WASM_RESERVED_NAME',
    wat('(module (import "caisson:meter" "refuel" (func (param i64) (result i64))))'),
  ],
  [
    'a counter of its own',
    'WASM_RESERVED_NAME',
    wat('(module (global (export "caisson:fuel") (mut i64) (i64.const 0)))'),
  ],
  ['too much memory', 'MEMORY_OVER_LIMIT', wat('(module (memory 11))')],
  ['a feature that is not allowed', 'WASM_FEATURE_NOT_ALLOWED', wat('(module (memory i64 1))')],
  [
    'a _start that cannot be called',
    'IMPORT_TYPE_MISMATCH',
    wat('(module (func (export "_start") (result funcref) (ref.null func)))'),
  ],
  // A type section with an array type.
  [
    'garbage-collected arrays',
    'WASM_FEATURE_NOT_ALLOWED',
    Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x5e, 0x7e, 1),
  ],
];

/** Of each index space, one past its end: what rewriting and merging append would be there. */
const onePastTheEnd: readonly (readonly [string, string])[] = [
  ['a function', '(func (export "run") (call 2))'],
  ['a function that is tail-called', '(func (export "run") (return_call 2))'],
  ['a function that is referred to', '(func (export "run") (drop (ref.func 2)))'],
  ['a global', '(func (export "run") (global.set 1 (i64.const 1)))'],
  ['a global that is read', '(func (export "run") (drop (global.get 1)))'],
  ['a memory that is read', '(func (export "run") (drop (i32.load8_u 1 (i32.const 0))))'],
  ['a memory that is grown', '(func (export "run") (drop (memory.grow 1 (i32.const 0))))'],
  ['a memory that is copied from', '(func (export "run") (memory.copy 0 1 (i32.const 0) (i32.const 0) (i32.const 0)))'],
  ['a table', '(func (export "run") (drop (table.size 1)))'],
  ['a data segment', '(func (export "run") (data.drop 1))'],
  ['an element segment', '(func (export "run") (elem.drop 1))'],
  ['a type', '(func (export "run") (call_indirect (type 2) (i32.const 0)))'],
  ['an exported function', '(func) (export "run" (func 2))'],
  ['an exported memory', '(func) (export "run" (memory 1))'],
  ['an exported global', '(func) (export "run" (global 1))'],
  ['a function in an element segment', '(func) (elem (i32.const 0) func 2)'],
  ['a memory of a data segment', '(func) (data (memory 1) (i32.const 0) "x")'],
  ['a start function', '(func) (start 2)'],
];

describe('analyseModule', () => {
  test.each(onePastTheEnd)('refuses %s one past the last, where something of ours will be', (_what, body) => {
    const text = (
      rest: string,
    ): string => `(module (type (func)) (import "extism:host/user" "progress" (func (param f64 i64 i64)))
      (global (mut i64) (i64.const 0)) (memory 1) (table 1 funcref) (data "x") (elem func 0) ${rest})`;
    const bytes = wat(text(body));
    const anyPolicy = { ...policy, allowedFeatures: ['multi-memory'] as const };
    const refused = analyseModule({ bytes, memoryBytes, policy: anyPolicy });
    expect(refused.problems).toMatchObject([{ reason: 'WASM_INVALID' }]);
    expect(refused.composed).toBeUndefined();
    const sound = analyseModule({ bytes: wat(text('(func (export "run"))')), memoryBytes, policy: anyPolicy });
    expect(sound.problems).toEqual([]);
  });

  test.each([
    ['the kernel’s memory', '(import "extism:host/env" "memory" (memory 1))'],
    ['what the kernel has for the host', '(import "extism:host/env" "reset" (func))'],
    ['a global of the kernel', '(import "extism:host/env" "limit" (global (mut i64)))'],
    ['what the kernel does not have', '(import "extism:host/env" "no_such" (func))'],
    ['what the kernel has with another type', '(import "extism:host/env" "alloc" (func (param i32)))'],
  ])('gives a guest that imports %s nothing of the kernel', (what, imported) => {
    const { problems, composed, unlinkable } = analyseModule({
      bytes: wat(`(module ${imported})`),
      memoryBytes,
      policy,
    });
    expect(problems).toEqual([]);
    if (what === 'the kernel’s memory') {
      // It gets a memory of its own, as for every imported memory.
      expect(composed?.memories).toMatchObject([{ minPages: 1 }, { minPages: 2, maxPages: 2048 }]);
      return;
    }
    expect(composed).toBeUndefined();
    expect(unlinkable?.location).toMatch(/^import extism:host\/env\./);
  });

  test('refuses what becomes too large, with the figures', () => {
    const bytes = wat(`(module (func ${'(loop)'.repeat(60_000)}))`);
    const { problems, rewrittenBytes = 0 } = analyseModule({ bytes, memoryBytes, policy });
    const bytesMax = Math.floor(bytes.length * 1.4) + 1_048_576;
    expect(rewrittenBytes).toBeGreaterThan(bytesMax);
    expect(problems).toMatchObject([{ reason: 'WASM_OVER_LIMIT', location: 'module' }]);
    expect(problems[0]?.message).toContain(`${rewrittenBytes} bytes; at most ${bytesMax} are allowed`);
  });

  test('finds nothing against a good module, and tells what it becomes', () => {
    const bytes = wat('(module (memory 1) (table 2 funcref) (func (export "run")))');
    const analysis = analyseModule({ bytes, memoryBytes, policy });
    expect(analysis).toMatchObject({
      problems: [],
      info: { exports: [{ name: 'run' }] },
      clamped: { memories: [{ clampedPages: 9 }], tables: [{ clampedElements: 640 }] },
    });
    expect(analysis.rewrittenBytes).toBeGreaterThan(bytes.length);
  });

  test.each(bad)('names %s', (_what, reason, bytes) => {
    expect(problemsOf(bytes)[0]?.reason).toBe(reason);
  });

  test('finds all that the policy refuses', () => {
    const text = '(module (import "caisson:x" "f" (func)) (memory i64 1) (func (export "caisson:start")))';
    expect(
      problemsOf(wat(text))
        .map(({ reason }) => reason)
        .toSorted(),
    ).toEqual(['WASM_FEATURE_NOT_ALLOWED', 'WASM_RESERVED_NAME', 'WASM_RESERVED_NAME']);
  });

  test('names the byte at which code does not validate, and what V8 says', () => {
    // i32.const 7 becomes i64.const 7, where an i32 is due.
    const bytes = patched(
      wat('(module (func (export "run") (result i32) (i32.const 7)))'),
      [0x41, 7, 0x0b],
      [0x42, 7, 0x0b],
    );
    const { problems, info } = analyseModule({ bytes, memoryBytes, policy });
    expect(info).toBeDefined();
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({
      reason: 'WASM_INVALID',
      message: expect.stringContaining('expected i32'),
    });
    expect(problems[0]?.location).toMatch(/^module\+0x[0-9a-f]+$/);
  });

  test('makes names out of the module harmless in what V8 says', () => {
    const name = 'evil\\0aname';
    const bytes = patched(
      wat(`(module (func (export "${name}") (result i32) (i32.const 7)))`),
      [0x41, 7, 0x0b],
      [0x42, 7, 0x0b],
    );
    expect(problemsOf(bytes)[0]?.message).not.toContain('\n');
  });

  test('knows the limit of memory to the page', () => {
    const bytes = wat('(module (memory 3))');
    expect(problemsOf(bytes, 3 * wasmPageBytes)).toEqual([]);
    expect(problemsOf(bytes, 2 * wasmPageBytes)).toMatchObject([{ reason: 'MEMORY_OVER_LIMIT' }]);
  });
});

describe('compileModule', () => {
  const compile = (text: string) => {
    const bytes = wat(text);
    return compileModule({ bytes, memoryBytes, policy }, digestOf(bytes));
  };
  const fuelOf = ({ module, imports, memories }: CompiledPlugin): bigint => {
    const functions: Record<string, Record<string, () => bigint>> = {};
    for (const entry of imports) (functions[entry.module] ??= {})[entry.name] = () => 0n;
    const host = new FuelHost();
    const linked = {
      ...host.imports(functions),
      [memoryModule]: Object.fromEntries(memories.map(createMemory).entries()),
    };
    const instance = new WebAssembly.Instance(module, linked);
    host.attach(instance);
    (instance.exports[controlName('limit')] as WebAssembly.Global<'i64'>).value = 1n << 20n;
    (instance.exports['run'] as () => unknown)();
    return host.used;
  };
  const exportsOf = (module: WebAssembly.Module): readonly string[] =>
    WebAssembly.Module.exports(module).map(({ name }) => name);

  test('gives a module that exports what can be executed and lifecycle, and else only what the host needs', () => {
    const plugin = compile(`(module (memory 1) (start $s) (func $s)
      (func (export "_initialize")) (func (export "nothing")) (func (export "code") (result i32) (i32.const 0))
      (func (export "wide") (result i64) (i64.const 0)) (func (export "taking") (param i32))
      (global (export "global") i32 (i32.const 0)) (table (export "table") 1 funcref) (export "memory" (memory 0)))`);
    expect(exportsOf(plugin.module)).toEqual([
      'caisson:_initialize',
      'nothing',
      'code',
      'caisson:start',
      'caisson:fuel',
      'caisson:grow_failed',
      ...kernelControls.map(({ as }) => as),
    ]);
    expect(plugin).toMatchObject({
      lifecycle: ['caisson:start', 'caisson:_initialize'],
      memories: [{ minPages: 1 }, { minPages: 2, maxPages: 2048 }],
    });
  });

  test('lists the host functions that the module imports, and it imports no others', () => {
    const plugin = compile(`(module (import "extism:host/env" "config_get" (func (param i64) (result i64)))
      (import "extism:host/env" "length" (func (param i64) (result i64)))
      (import "extism:host/user" "progress" (func (param f64 i64 i64))))`);
    expect(plugin.imports).toEqual([
      { module: 'extism:host/user', name: 'progress' },
      { module: 'caisson:meter', name: 'refuel' },
      { module: 'caisson:host', name: 'config_get' },
    ]);
    const imported = WebAssembly.Module.imports(plugin.module);
    const functions = imported.filter(({ kind }) => kind === 'function');
    expect(functions.map(({ module, name }) => ({ module, name }))).toEqual(plugin.imports);
    expect(imported.filter((entry) => !functions.includes(entry))).toEqual([
      { module: memoryModule, name: '0', kind: 'memory' },
    ]);
    expect(compile('(module)').imports).toEqual([{ module: 'caisson:meter', name: 'refuel' }]);
  });

  test('meters the guest, and maps its code to the code as published', () => {
    const bytes = wat(
      '(module (import "extism:host/user" "progress" (func (param f64 i64 i64))) (func (export "run") unreachable))',
    );
    const { module, offsets, imports } = compileModule({ bytes, memoryBytes, policy }, digestOf(bytes));
    expect(exportsOf(module)).toContain('caisson:fuel');
    const first = imports.length;
    expect([first - 1, first, first + 1].map((index) => publishedFunctionIndex(offsets, index))).toEqual([
      undefined,
      1,
      undefined,
    ]);
  });

  test('charges a call of the kernel what a call of an import costs', () => {
    const called = (name: string, type: string, operands: string): bigint =>
      fuelOf(
        compile(
          `(module (import "extism:host/env" "${name}" (func $f ${type})) (func (export "run") (drop (call $f ${operands}))))`,
        ),
      );
    const nothing = fuelOf(compile('(module (func (export "run")))'));
    const price = (name: string): number => importPrices.find((entry) => entry.name === name)?.units ?? 0;
    // A constant costs 1, the call of an import 50.
    expect(called('length', '(param i64) (result i64)', '(i64.const 9)') - nothing).toBe(51n);
    expect(called('input_length', '(result i64)', '') - nothing).toBe(50n);
    expect(called('config_get', '(param i64) (result i64)', '(i64.const 0)') - nothing).toBe(
      BigInt(51 + price('config_get')),
    );
    expect(called('alloc', '(param i64) (result i64)', '(i64.const 1600)') - nothing).toBe(
      BigInt(51 + price('alloc') + 100),
    );
  });

  test('lets tail calls in', () => {
    expect(problemsOf(wat('(module (func $again (export "run") (return_call $again)))'))).toEqual([]);
  });

  test('has a key of digest and limit', () => {
    const bytes = wat('(module)');
    const plugin = compileModule({ bytes, memoryBytes, policy }, digestOf(bytes));
    expect(plugin.key).toBe(`${digestOf(bytes)}/${memoryBytes}`);
  });

  test.each(bad)('refuses %s', (_what, reason, bytes) => {
    const compileBad = (): unknown => compileModule({ bytes, memoryBytes, policy }, digestOf(bytes));
    expect(compileBad).toThrow(ExecError);
    expect(compileBad).toThrow(expect.objectContaining({ reason }));
  });
});

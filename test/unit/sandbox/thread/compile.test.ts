import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../../src/base/digest.ts';
import { ExecError } from '../../../../src/model/exec-error.ts';
import { wasmPageBytes } from '../../../../src/model/limits.ts';
import type { Reason } from '../../../../src/model/reasons.ts';
import { analyseModule, compileModule } from '../../../../src/sandbox/thread/compile.ts';
import { originalFunctionIndex } from '../../../../src/wasm/metering/offset-map.ts';
import { modulePolicyDefault } from '../../../../src/wasm/policy.ts';
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

describe('analyseModule', () => {
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
  const exportsOf = (module: WebAssembly.Module): readonly string[] =>
    WebAssembly.Module.exports(module).map(({ name }) => name);

  test('gives modules whose adapter hands on what can be executed, lifecycle and memories', () => {
    const plugin = compile(`(module (memory 1) (start $s) (func $s)
      (func (export "_initialize")) (func (export "nothing")) (func (export "code") (result i32) (i32.const 0))
      (func (export "wide") (result i64) (i64.const 0)) (func (export "taking") (param i32))
      (global (export "global") i32 (i32.const 0)) (table (export "table") 1 funcref))`);
    expect(exportsOf(plugin.adapter).filter((name) => !name.startsWith('caisson:kernel_'))).toEqual([
      'caisson:_initialize',
      'nothing',
      'code',
      'caisson:memory0',
      'caisson:start',
      'caisson:fuel',
      'caisson:grow_failed',
    ]);
    expect(plugin).toMatchObject({
      lifecycle: ['caisson:start', 'caisson:_initialize'],
      memories: ['caisson:memory0'],
    });
    expect(WebAssembly.Module.imports(plugin.guest)).toEqual([
      { module: 'caisson:meter', name: 'refuel', kind: 'function' },
    ]);
  });

  test('meters the guest, and maps its code to the code as published', () => {
    const bytes = wat('(module (func (export "run") unreachable))');
    const { guest, offsets } = compileModule({ bytes, memoryBytes, policy }, digestOf(bytes));
    expect(WebAssembly.Module.exports(guest).map(({ name }) => name)).toContain('caisson:fuel');
    expect(originalFunctionIndex(offsets, 1)).toBe(0);
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

import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/base/digest.ts';
import type { GrantRefusal } from '../../../src/model/grant.ts';
import { readManifest } from '../../../src/plugins/manifest-schema.ts';
import type { ValidationReport } from '../../../src/plugins/report.ts';
import { refusalOf, validate } from '../../../src/plugins/validation.ts';
import { wat } from '../../helpers/wat.ts';
import { FakeCompiler } from './fakes.ts';
import { manifestOf } from './fixtures.ts';

async function reportOn(
  module: string | Uint8Array,
  fields: object = {},
  text = manifestOf(fields),
  refusals: readonly GrantRefusal[] = [],
): Promise<ValidationReport> {
  const bytes = typeof module === 'string' ? wat(module) : module;
  const manifest = readManifest(text);
  const analysis = await new FakeCompiler().analyse(bytes, manifest.limits.memoryBytes ?? 67_108_864);
  return validate({ manifest, analysis, digest: digestOf(bytes), sizeBytes: bytes.length, refusals });
}

/** Problems as "REASON location". */
function problemsOf(report: ValidationReport): readonly string[] {
  return report.problems.map(({ reason, location }) => `${reason} ${location}`);
}

describe('validate', () => {
  test('reports a module in full', async () => {
    const report = await reportOn(
      `(module
        (import "extism:host/env" "output_set" (func (param i64 i64)))
        (import "extism:host/env" "log_info" (func (param i64)))
        (import "env" "memory" (memory 2 100))
        (table (export "table") 3 funcref)
        (global (export "g") i32 (i32.const 1))
        (func (export "run") (result i32) (i32.const 0))
        (func (export "helper") (param i32)))`,
      { capabilities: ['log'], memory: { max_pages: 4 } },
    );
    expect(report).toMatchObject({
      valid: true,
      problems: [],
      imports: [
        {
          module: 'extism:host/env',
          name: 'output_set',
          kind: 'function',
          type: '(func (param i64 i64))',
          capability: undefined,
          provided: true,
        },
        { name: 'log_info', capability: 'log', provided: true },
        { module: 'env', name: 'memory', kind: 'memory', capability: undefined, provided: true },
      ],
      exports: [
        { name: 'table', kind: 'table', executable: false },
        { name: 'g', kind: 'global', type: '(global i32)', executable: false },
        { name: 'run', kind: 'function', type: '(func (result i32))', executable: true },
        { name: 'helper', executable: false },
      ],
      memories: [{ minPages: 2, maxPages: 100, clampedPages: 3, imported: true, is64: false, shared: false }],
      tables: [{ minElements: 3, maxElements: undefined, elementType: 'funcref', imported: false }],
      sizes: { functions: 2, globals: 1, rewrittenBytes: expect.any(Number) },
      functions: ['run'],
    });
  });

  test('puts problems of manifest, module, imports and functions side by side', async () => {
    const report = await reportOn(
      '(module (import "env" "abort" (func)) (import "extism:host/env" "var_get" (func (param i64) (result i64))) (func (export "caisson:x")) (func (export "run")))',
      { version: 'x', functions: ['run', 'rum'] },
    );
    expect(report.valid).toBe(false);
    expect(problemsOf(report)).toEqual([
      'MANIFEST_INVALID version',
      'WASM_RESERVED_NAME export caisson:x',
      'IMPORT_UNKNOWN env.abort',
      'CAPABILITY_NOT_GRANTED extism:host/env.var_get',
      'MANIFEST_INVALID functions[1]',
    ]);
    expect(report.problems[4]?.message).toBe('The module exports no function "rum" (did you mean "run"?)');
  });

  test('gives every missing capability in one line', async () => {
    const report = await reportOn(
      `(module (import "extism:host/env" "var_get" (func (param i64) (result i64)))
        (import "extism:host/env" "log_info" (func (param i64))) (import "extism:host/env" "log_warn" (func (param i64)))
        (func (export "run")))`,
      { capabilities: ['config'] },
    );
    expect(new Set(report.problems.map(({ manifestLine }) => manifestLine))).toEqual(
      new Set(['"capabilities": ["config", "vars", "log"]']),
    );
    expect(report.problems).toHaveLength(3);
    expect(report.imports.map(({ provided }) => provided)).toEqual([false, false, false]);
  });

  test('judges no capabilities when the manifest’s are not known', async () => {
    const module = '(module (import "extism:host/env" "log_info" (func (param i64))) (func (export "run")))';
    expect(problemsOf(await reportOn(module, {}, '{'))).toEqual(['MANIFEST_INVALID manifest']);
    expect(problemsOf(await reportOn(module, { name: '?' }))).toEqual([
      'MANIFEST_INVALID name',
      'CAPABILITY_NOT_GRANTED extism:host/env.log_info',
    ]);
  });

  test('reports imports with reserved names once, without the word import', async () => {
    const report = await reportOn('(module (import "caisson:env" "x" (func)) (func (export "run")))');
    expect(problemsOf(report)).toEqual(['WASM_RESERVED_NAME caisson:env.x']);
    expect(report.imports[0]?.provided).toBe(false);
  });

  test('reports bytes that are no module', async () => {
    const report = await reportOn(Uint8Array.of(1, 2, 3));
    expect(report).toMatchObject({
      valid: false,
      imports: [],
      exports: [],
      memories: [],
      functions: [],
      sizes: { moduleBytes: 3, rewrittenBytes: undefined },
    });
    expect(report.problems[0]?.reason).toBe('WASM_NOT_WASM');
  });

  test('executes functions without parameters that return nothing or an i32', async () => {
    const report = await reportOn(
      `(module (memory (export "memory") 1)
        (func (export "b")) (func (export "a") (result i32) (i32.const 0))
        (func (export "p") (param i32)) (func (export "r64") (result i64) (i64.const 0)) (func (export "two") (result i32 i32) (i32.const 0) (i32.const 0))
        (func (export "_start")) (func (export "_initialize")) (func (export "hs_init")) (func (export "")) (func (export "line\\0abreak")))`,
    );
    expect(report.functions).toEqual(['a', 'b']);
    expect(report.exports.filter(({ executable }) => executable).map(({ name }) => name)).toEqual(['b', 'a']);
    expect(report.exports.at(-1)?.name).toBe('line\\u000abreak');
  });

  const wasiImport = '(import "wasi_snapshot_preview1" "sched_yield" (func (result i32)))';

  test('executes the start of a program for WASI, which needs no other function', async () => {
    const report = await reportOn(`(module ${wasiImport} (memory (export "memory") 1) (func (export "_start")))`, {
      capabilities: ['wasi'],
    });
    expect(report).toMatchObject({ valid: true, functions: ['_start'], otherFunctions: [] });
    expect(report.exports.find(({ name }) => name === '_start')?.executable).toBe(true);
    const listed = await reportOn(`(module ${wasiImport} (func (export "_start")) (func (export "run")))`, {
      capabilities: ['wasi'],
      functions: ['_start'],
    });
    expect(listed).toMatchObject({ valid: true, functions: ['_start'], otherFunctions: ['run'] });
  });

  test.each([
    ['without imports from WASI', '(func (export "_start")) (func (export "run"))'],
    ['of a library', `${wasiImport} (func (export "_start")) (func (export "_initialize")) (func (export "run"))`],
    ['of Haskell', `${wasiImport} (func (export "_start")) (func (export "hs_init")) (func (export "run"))`],
    ['with parameters', `${wasiImport} (func (export "_start") (param i32)) (func (export "run"))`],
  ])('executes no start %s', async (_name, fields) => {
    const report = await reportOn(`(module ${fields})`, { capabilities: ['wasi'] });
    expect(report.functions).toEqual(['run']);
  });

  test('says of a program that imports something else what stands against it', async () => {
    const report = await reportOn(`(module ${wasiImport} (import "env" "x" (func)) (func (export "_start")))`);
    expect(problemsOf(report)).toEqual([
      'CAPABILITY_NOT_GRANTED wasi_snapshot_preview1.sched_yield',
      'IMPORT_UNKNOWN env.x',
    ]);
    expect(report.problems[0]?.manifestLine).toBe('"capabilities": ["wasi"]');
  });

  const httpRefusal: GrantRefusal = {
    capability: 'http',
    asked: 'http',
    by: 'policy',
    rules: ['all'],
    line: 'add "http" to "capabilities" of a rule',
  };
  const httpText =
    'It needs the capability "http", which no rule of the policy allows (rules that match: "all"): add "http" to "capabilities" of a rule';

  test('refuses imports that the policy does not allow, with the policy’s line and none for the manifest', async () => {
    const report = await reportOn(
      `(module (import "extism:host/env" "http_status_code" (func (result i32)))
        (import "extism:host/env" "log_info" (func (param i64))) (func (export "run")))`,
      {},
      manifestOf({ capabilities: ['http'] }),
      [httpRefusal],
    );
    expect(report.valid).toBe(false);
    expect(report.problems).toEqual([
      {
        reason: 'CAPABILITY_NOT_GRANTED',
        location: 'extism:host/env.http_status_code',
        message: httpText,
        manifestLine: '',
      },
      {
        reason: 'CAPABILITY_NOT_GRANTED',
        location: 'extism:host/env.log_info',
        message: 'It needs the capability "log", which the manifest does not ask for',
        manifestLine: '"capabilities": ["http", "log"]',
      },
    ]);
    expect(report.imports.map(({ provided }) => provided)).toEqual([false, false]);
    expect(refusalOf(report)).toMatchObject({
      reason: 'CAPABILITY_NOT_GRANTED',
      message: `extism:host/env.http_status_code: ${httpText} (and 1 more problem)`,
    });
  });

  test('refuses what the manifest asks for in vain, even if nothing of it is imported', async () => {
    const text = manifestOf({ capabilities: ['log', 'http'] });
    const report = await reportOn('(module (func (export "run")))', {}, text, [httpRefusal]);
    expect(report.problems).toEqual([
      { reason: 'CAPABILITY_NOT_GRANTED', location: 'capabilities[1]', message: httpText, manifestLine: '' },
    ]);
  });

  test('offers only the functions that the manifest lists', async () => {
    const report = await reportOn('(module (func (export "a")) (func (export "b")))', { functions: ['b'] });
    expect(report.functions).toEqual(['b']);
  });

  test.each([
    [
      ['p'],
      'FUNCTION_NOT_EXECUTABLE functions[0]',
      'The export "p" is (func (param i32)); a function that can be executed takes no parameters and returns nothing or an i32',
    ],
    [['memory'], 'FUNCTION_NOT_EXECUTABLE functions[0]', 'The export "memory" is a memory, not a function'],
    [
      ['a', '_start'],
      'FUNCTION_NOT_EXECUTABLE functions[1]',
      'The export "_start" is called by the host before each function and is none to execute',
    ],
    [['zzz'], 'MANIFEST_INVALID functions[0]', 'The module exports no function "zzz"'],
  ])('refuses the list %j', async (functions, problem, message) => {
    const report = await reportOn(
      '(module (memory (export "memory") 1) (func (export "a")) (func (export "p") (param i32)) (func (export "_start")))',
      { functions },
    );
    expect(problemsOf(report)).toEqual([problem]);
    expect(report.problems[0]?.message).toBe(message);
  });

  test('refuses a module without an executable function', async () => {
    const report = await reportOn('(module (func (export "_start")))');
    expect(problemsOf(report)).toEqual(['FUNCTION_NOT_EXECUTABLE module']);
  });

  test('takes a thousand executable functions and no more, unless they are listed', async () => {
    const module = (count: number): string =>
      `(module ${Array.from({ length: count }, (_, i) => `(func (export "f${i}"))`).join('')})`;
    expect((await reportOn(module(1_000))).functions).toHaveLength(1_000);
    const over = await reportOn(module(1_001));
    expect(problemsOf(over)).toEqual(['WASM_OVER_LIMIT functions']);
    expect(over.functions).toHaveLength(1_000);
    expect((await reportOn(module(1_001), { functions: ['f1000'] })).functions).toEqual(['f1000']);
  });

  test('bounds its lists and says how many problems it leaves out', async () => {
    const imports = Array.from({ length: 150 }, (_, i) => `(import "m" "f${i}" (func))`).join('');
    const report = await reportOn(`(module ${imports} (func (export "run")))`);
    expect(report.problems).toHaveLength(100);
    expect(report.problems.at(-1)).toMatchObject({
      reason: 'IMPORT_UNKNOWN',
      location: 'module',
      message: '51 more problems are not listed: mend these first',
    });
    expect(report.imports).toHaveLength(150);
  });

  test('bounds hostile names', async () => {
    const report = await reportOn(`(module (import "m" "${'x'.repeat(5_000)}" (func)) (func (export "run")))`);
    expect(report.problems[0]?.location.length).toBeLessThan(200);
    expect(report.imports[0]?.name.length).toBeLessThan(200);
  });

  test('says that a module needs more memory than its limit', async () => {
    const report = await reportOn('(module (memory 10) (func (export "run")))', { memory: { max_pages: 5 } });
    expect(problemsOf(report).map((text) => text.split(' ')[0])).toEqual(['MEMORY_OVER_LIMIT']);
    expect(report.memories).toMatchObject([{ minPages: 10, clampedPages: undefined }]);
    expect(report.functions).toEqual(['run']);
  });
});

describe('refusalOf', () => {
  test('is the first problem, with all of them as violations', async () => {
    const report = await reportOn('(module (import "extism:host/env" "log_info" (func (param i64))) (func))', {
      name: '?',
    });
    const error = refusalOf(report);
    expect(error.reason).toBe('MANIFEST_INVALID');
    expect(error.message).toMatch(/^name: must have .* \(and 2 more problems\)$/);
    expect(error.violations.map(({ field }) => field)).toEqual(['name', 'extism:host/env.log_info', 'module']);
    expect(error.violations[1]?.description).toMatch(/: set "capabilities": \["log"\]$/);
  });
});

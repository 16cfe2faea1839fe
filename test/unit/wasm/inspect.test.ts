import { describe, expect, it } from 'vitest';
import { inspectModule } from '../../../src/wasm/inspect.ts';
import { functionNameOf } from '../../../src/wasm/names.ts';
import { typeText } from '../../../src/wasm/types.ts';
import { wat } from '../../helpers/wat.ts';
import { body, bytesOf, moduleOf, moduleWithBody, type Part, problemOf, section } from './bytes.ts';
import { fixture, fixtures } from './fixtures.ts';

describe('inspectModule', () => {
  it.each(Object.entries(fixtures))('agrees with V8 on imports and exports of the module "%s"', (_, bytes) => {
    const module = new WebAssembly.Module(bytes);
    const info = inspectModule(bytes);
    const imports = info.imports.map(({ module, name, kind }) => ({ module, name, kind }));
    const exports = info.exports.map(({ name, kind }) => ({ name, kind }));
    expect(imports).toEqual(WebAssembly.Module.imports(module));
    expect(exports).toEqual(WebAssembly.Module.exports(module));
  });

  it('gives the types of imports and exports', () => {
    const info = inspectModule(fixture('everyday'));
    const imports = info.imports.map((entry) => `${entry.module}.${entry.name} ${typeText(entry.type)}`);
    expect(imports).toEqual([
      'env.log (func (param i32 i64) (result f32 f64))',
      'env.memory (memory 1 4)',
      'env.table (table 3 9 funcref)',
      'env.base (global i32)',
      'env.count (global (mut i64))',
    ]);
    const exports = info.exports.map((entry) => `${entry.name} ${entry.index} ${typeText(entry.type)}`);
    expect(exports).toEqual([
      'mine 2 (global (mut i32))',
      'twice 1 (func (param i32) (result i32))',
      'switch 2 (func (param i32) (result i32))',
      'bulk 3 (func)',
      'tail 4 (func (param i32) (result i32))',
      'atomics 5 (func (param i32) (result i32))',
      '_initialize 6 (func)',
    ]);
  });

  it('lists memories and tables, imported ones first', () => {
    const { memories, tables } = inspectModule(fixture('memories'));
    expect(memories.map((memory) => [typeText(memory), memory.imported])).toEqual([
      ['(memory 1 3)', true],
      ['(memory i64 1)', true],
      ['(memory 2)', false],
    ]);
    expect(tables.map((table) => [typeText(table), table.imported])).toEqual([
      ['(table 2 funcref)', true],
      ['(table 1 8 externref)', true],
      ['(table 4 4 funcref)', false],
    ]);
  });

  it('measures the module', () => {
    const info = inspectModule(fixture('everyday'));
    expect(info.startFunction).toBe(6);
    expect(info.customSections).toEqual(['name']);
    expect(info.sizes).toEqual({
      moduleBytes: fixture('everyday').length,
      codeBytes: expect.any(Number),
      customBytes: expect.any(Number),
      dataBytes: 11,
      types: 3,
      functions: 6,
      globals: 2,
      tags: 0,
      elementSegments: 3,
      dataSegments: 2,
      localsMax: 2,
      bodyBytesMax: 61,
      branchTargetsMax: 2,
    });
    expect(functionNameOf(info.functionNames, 1)).toBe('twice');
    expect(functionNameOf(info.functionNames, 5)).toBeUndefined();
  });

  it.each([
    ['everyday', ['extended-const', 'mutable-globals', 'relaxed-simd', 'threads'], ['relaxed-simd']],
    ['memories', ['memory64', 'multi-memory', 'reference-types'], []],
    ['legacyExceptions', ['exception-handling', 'legacy-exceptions'], []],
    ['exceptions', ['exception-handling'], []],
    ['garbageCollected', ['gc', 'reference-types', 'typed-references'], []],
    ['empty', [], []],
  ])('finds the features of the module "%s"', (name, present, absent) => {
    const { features } = inspectModule(fixture(name));
    expect([...features, ...absent]).toEqual(expect.arrayContaining(present));
    expect(features.filter((feature) => absent.includes(feature))).toEqual([]);
    expect(features).toEqual([...features].toSorted());
  });

  it.each<[string, Uint8Array]>([
    ['shared-memory', wat('(module (memory 1 2 shared))')],
    ['custom-page-sizes', moduleOf(section('memory', 1, [8, 1, 0]))],
    ['dynamic-linking', moduleOf(section('custom', 'dylink.0', 1))],
    ['memory64', moduleOf(section('table', 1, [0x70, 4, 1]))],
    ['relaxed-simd', moduleWithBody(0x00, [0xfd, 0x80, 0x02], 0x1a)],
    ['mutable-globals', wat('(module (global (export "g") (mut i32) (i32.const 0)))')],
    ['bulk-memory', moduleOf(section('data', 1, [1, 0]))],
    ['multi-value', moduleWithBody([0x02, 0], 0x0b)],
  ])('finds the feature %s', (feature, bytes) => {
    expect(inspectModule(bytes).features).toContain(feature);
  });

  it('can be posted between threads', () => {
    const info = inspectModule(fixture('everyday'));
    expect(structuredClone(info)).toEqual(info);
  });

  const functionType = section('type', 1, [0x60, 0, 0]);
  const oneFunction = section('function', 1, 0);
  const oneBody = section('code', 1, body());
  it.each<[string, readonly Uint8Array[], RegExp]>([
    ['an import of an unknown kind', [section('import', 1, 'a', 'b', 5, 0)], /Unknown kind 0x5 of the import a\.b/],
    ['compact imports', [section('import', 1, 'a', '', 0x7f, 1, 'b', 0, 0)], /Unknown kind 0x7f/],
    ['an imported function without a type', [section('import', 1, 'a', 'b', 0, 0)], /Type 0 is not a function type/],
    ['a function of a struct type', [section('type', 1, [0x5f, 0]), oneFunction], /Type 0 is not a function type/],
    [
      'an exported function that does not exist',
      [section('export', 1, 'x', 0, 0)],
      /"x" names a function that does not/,
    ],
    [
      'two exports of one name',
      [functionType, oneFunction, section('export', 2, ['x', 0, 0], ['x', 0, 0]), oneBody],
      /Two exports/,
    ],
    ['a start function that does not exist', [section('start', 0)], /start function 0 does not exist/],
    [
      'a start function with results',
      [section('type', 1, [0x60, 0, 1, 0x7f]), oneFunction, section('start', 0), oneBody],
      /parameters or results/,
    ],
    ['more bodies than functions', [oneBody], /0 functions but 1 bodies/],
    [
      'a body that is longer than its section',
      [functionType, oneFunction, section('code', 1, 9, 0, 0x0b)],
      /only 2 bytes follow/,
    ],
    [
      'data that were announced otherwise',
      [section('dataCount', 2), section('data', 1, [1, 0])],
      /2 data segments are announced, 1 follow/,
    ],
    ['bytes after the last entry', [section('memory', 1, [0, 1], 7)], /1 bytes too many/],
    [
      'a table with an unknown form',
      [section('table', 1, 0x40, 1, 0x70, 0, 1, 0xd0, 0x70, 0x0b)],
      /Unknown form of a table/,
    ],
    ['a shared memory without a maximum', [section('memory', 1, [2, 1])], /no maximum/],
    ['an unknown form of data', [section('data', 1, [3, 0])], /Unknown form 3 of a data segment/],
    ['an unknown form of elements', [section('element', 1, [8, 0])], /Unknown form 8 of an element segment/],
    ['elements of an unknown kind', [section('element', 1, [1, 1, 0])], /Unknown kind 0x1/],
    ['a tag with an unknown attribute', [functionType, section('tag', 1, [1, 0])], /Unknown attribute/],
  ])('refuses %s', (_, sections, message) => {
    const problem = problemOf(() => inspectModule(moduleOf(...sections)));
    expect(problem.reason).toBe('WASM_INVALID');
    expect(problem.location).toMatch(/^module\+0x[0-9a-f]+$/);
    expect(problem.message).toMatch(message);
  });

  it('calls a module cut off whose code or data are missing altogether', () => {
    expect(problemOf(() => inspectModule(moduleOf(functionType, oneFunction))).reason).toBe('WASM_TRUNCATED');
    expect(problemOf(() => inspectModule(moduleOf(section('dataCount', 1)))).reason).toBe('WASM_TRUNCATED');
  });

  it.each<[string, Uint8Array]>([
    ['imports', section('import', [0xa1, 0x8d, 0x06], new Uint8Array(200_000))],
    ['memories', section('memory', [0xe9, 0x07], new Uint8Array(2_002))],
    ['locals', section('code', 1, 7, 1, [0xd1, 0x86, 0x03], 0x7f, 0x01, 0x0b)],
  ])('bounds the number of %s', (_, last) => {
    const sections = last[0] === 10 ? [functionType, oneFunction, last] : [last];
    expect(problemOf(() => inspectModule(moduleOf(...sections))).reason).toBe('WASM_OVER_LIMIT');
  });

  it.each<[string, Part]>([
    ['0: functions for table 0', [0, [0x41, 0, 0x0b], 1, 0]],
    ['1: passive functions', [1, 0, 1, 0]],
    ['2: functions for a table', [2, 1, [0x41, 0, 0x0b], 0, 1, 0]],
    ['3: declared functions', [3, 0, 1, 0]],
    ['4: expressions for table 0', [4, [0x41, 0, 0x0b], 1, [0xd2, 0, 0x0b]]],
    ['5: passive expressions', [5, 0x70, 1, [0xd0, 0x70, 0x0b]]],
    ['6: expressions for a table', [6, 1, [0x41, 0, 0x0b], 0x63, 0, 1, [0xd2, 0, 0x0b]]],
    ['7: declared expressions', [7, 0x64, 0x70, 1, [0xd2, 0, 0x0b]]],
  ])('reads element segments of form %s', (_, segment) => {
    const tables = section('table', 2, [0x70, 0, 1], [0x70, 0, 1]);
    const bytes = moduleOf(functionType, oneFunction, tables, section('element', 1, segment), oneBody);
    expect(WebAssembly.validate(bytes)).toBe(true);
    expect(inspectModule(bytes).sizes.elementSegments).toBe(1);
  });

  it('ends soon with a clear problem on counts that promise far more than follows', () => {
    const huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
    const names = [
      'type',
      'import',
      'function',
      'table',
      'memory',
      'tag',
      'global',
      'export',
      'element',
      'code',
      'data',
    ] as const;
    for (const name of names) {
      expect(problemOf(() => inspectModule(moduleOf(section(name, huge)))).message).toContain('4294967295');
    }
    const inBody = bytesOf([0], [0x0e, huge], 0x0b);
    const module = moduleOf(functionType, oneFunction, section('code', 1, inBody.length, inBody));
    expect(problemOf(() => inspectModule(module)).message).toContain('4294967295 branch targets');
  });
});

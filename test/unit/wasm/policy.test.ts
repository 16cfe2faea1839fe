import { describe, expect, it } from 'vitest';
import { inspectModule } from '../../../src/wasm/inspect.ts';
import {
  type ModuleBounds,
  type ModulePolicy,
  moduleBoundsDefault,
  modulePolicyDefault,
  scanPolicy,
} from '../../../src/wasm/policy.ts';
import type { WasmProblem } from '../../../src/wasm/problem.ts';
import { wat } from '../../helpers/wat.ts';
import { body, moduleOf, section } from './bytes.ts';
import { fixture } from './fixtures.ts';

function scan(bytes: Uint8Array, policy: ModulePolicy = modulePolicyDefault): readonly WasmProblem[] {
  return scanPolicy(inspectModule(bytes), policy);
}

/** Has two, three, … of everything that is bounded. */
const sample = wat(`(module
  (import "a" "f" (func (param i32)))
  (import "a" "m" (memory 1))
  (table 5 funcref) (table 6 funcref) (table 7 9 funcref)
  (memory 1)
  (global i32 (i32.const 0)) (global i32 (i32.const 0)) (global i32 (i32.const 0))
  (func (export "x") (local i32 i32 f64 i32) (block (block (br_table 0 1 0 1 (i32.const 0)))))
  (func (export "y")) (func (export "z")) (func)
  (elem func) (elem func) (data "") (data "") (data "") (data ""))`);

const measures: ModuleBounds = {
  moduleBytes: sample.length,
  types: 2,
  functions: 4,
  imports: 2,
  exports: 3,
  globals: 3,
  memories: 2,
  tables: 3,
  tableElements: 18,
  elementSegments: 2,
  dataSegments: 4,
  localsPerFunction: 4,
  functionBytes: 22,
  branchTargets: 3,
};

describe('scanPolicy', () => {
  it.each(Object.keys(measures) as (keyof ModuleBounds)[])(
    'refuses a module just over the bound of %s only',
    (name) => {
      const allowedFeatures = ['multi-memory'] as const;
      expect(scan(sample, { allowedFeatures, bounds: measures })).toEqual([]);
      const lower = { ...measures, [name]: measures[name] - 1 };
      const problems = scan(sample, { allowedFeatures, bounds: lower });
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatchObject({ reason: 'WASM_OVER_LIMIT', location: 'module' });
      expect(problems[0]?.message).toContain(`has ${measures[name]} `);
      expect(problems[0]?.message).toContain(`at most ${lower[name]} are allowed`);
    },
  );

  it('has the default bounds that are documented', () => {
    expect(moduleBoundsDefault).toEqual({
      moduleBytes: 16_777_216,
      types: 100_000,
      functions: 100_000,
      imports: 1_000,
      exports: 10_000,
      globals: 10_000,
      memories: 16,
      tables: 64,
      tableElements: 100_000,
      elementSegments: 100_000,
      dataSegments: 100_000,
      localsPerFunction: 50_000,
      functionBytes: 262_144,
      branchTargets: 65_520,
    });
  });

  it('refuses 64-bit and several memories unless they are allowed', () => {
    const features = (policy?: ModulePolicy): readonly string[] =>
      scan(fixture('memories'), policy).map(({ reason, message }) => `${reason} ${message.split('"')[1]}`);
    expect(features()).toEqual(['WASM_FEATURE_NOT_ALLOWED memory64', 'WASM_FEATURE_NOT_ALLOWED multi-memory']);
    expect(features({ ...modulePolicyDefault, allowedFeatures: ['memory64', 'multi-memory'] })).toEqual([]);
  });

  it.each<[string, Uint8Array]>([
    ['threads', wat('(module (memory 1 2 shared))')],
    ['custom page sizes', moduleOf(section('memory', 1, [8, 1, 0]))],
    ['statically', moduleOf(section('custom', 'dylink.0', 0))],
  ])('always refuses what asks for the help text "%s"', (help, bytes) => {
    const problems = scan(bytes, { ...modulePolicyDefault, allowedFeatures: ['memory64', 'multi-memory'] });
    expect(problems.map(({ reason }) => reason)).toEqual(['WASM_FEATURE_NOT_ALLOWED']);
    expect(problems[0]?.message).toContain(help);
  });

  it('allows every other feature', () => {
    for (const name of ['everyday', 'legacyExceptions', 'exceptions', 'empty']) expect(scan(fixture(name))).toEqual([]);
  });

  it('refuses reserved names of imports and exports', () => {
    const bytes = wat(`(module (import "caisson:host" "x" (func)) (import "env" "caisson:ok" (func))
      (func (export "caisson:start")) (func (export "caisson")))`);
    expect(scan(bytes).map(({ reason, location }) => [reason, location])).toEqual([
      ['WASM_RESERVED_NAME', 'import caisson:host.x'],
      ['WASM_RESERVED_NAME', 'export caisson:start'],
    ]);
  });

  it('refuses functions that could never be linked with another module, as V8 does', () => {
    const grouped = moduleOf(
      section('type', 1, [0x4e, 2, [0x60, 0, 0], [0x5f, 0]]),
      section('function', 2, 0, 0),
      section('export', 1, ['run', 0, 0]),
      section('start', 1),
      section('code', 2, body(), body()),
    );
    expect(scan(grouped).map(({ reason, location }) => [reason, location])).toEqual([
      ['IMPORT_TYPE_MISMATCH', 'export run'],
      ['IMPORT_TYPE_MISMATCH', 'start function'],
    ]);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(grouped));
    const linked = new WebAssembly.Module(wat('(module (import "g" "run" (func)))'));
    expect(() => new WebAssembly.Instance(linked, { g: exports })).toThrow(WebAssembly.LinkError);
  });

  it('shows names of the module on one line and cut to a length', () => {
    const bytes = wat(`(module (import "caisson:\\n" "${'x'.repeat(1_000)}" (func)))`);
    const [problem] = scan(bytes);
    expect(problem?.location).toMatch(/^import caisson:\\u000a\.x+…$/);
    expect(problem?.location.length).toBeLessThan(200);
  });
});

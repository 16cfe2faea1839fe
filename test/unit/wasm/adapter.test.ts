import { describe, expect, it } from 'vitest';
import { type AdapterExport, buildAdapter } from '../../../src/wasm/adapter.ts';
import { inspectModule } from '../../../src/wasm/inspect.ts';
import { rewriteModule } from '../../../src/wasm/rewrite.ts';
import { wat } from '../../helpers/wat.ts';

const noArguments = { kind: 'function', parameters: [], results: ['i32'] } as const;
const setter = { kind: 'function', parameters: ['i64', 'i64'], results: [] } as const;
const memory = { kind: 'memory', minPages: 7, maxPages: 9, is64: false, shared: false, pageBytes: 65_536 } as const;

const kernel = wat(`(module (memory (export "memory") 3)
  (global $at (export "at") (mut i64) (i64.const 0))
  (func (export "set_input") (param i64 i64) (global.set $at (local.get 1))))`);

const kernelExports: readonly AdapterExport[] = [
  { name: 'memory', as: 'kernel:memory', type: memory },
  { name: 'at', as: 'kernel:at', type: { kind: 'global', valueType: 'i64', mutable: true } },
  { name: 'set_input', as: 'kernel:set_input', type: setter },
];

describe('buildAdapter', () => {
  it('hands on what guest and kernel export, itself and no copy', () => {
    const source = wat(
      '(module (memory i64 1) (func (export "run") (result i32) (i32.const 5)) (func (export "run2")))',
    );
    const guest = rewriteModule(source, inspectModule(source), { memoryBytesMax: 1_000_000 });
    const guestInstance = new WebAssembly.Instance(new WebAssembly.Module(guest.bytes));
    const kernelInstance = new WebAssembly.Instance(new WebAssembly.Module(kernel));
    const adapter = new WebAssembly.Module(buildAdapter({ guestExports: guest.exports, kernelExports }));
    const linked = { guest: guestInstance.exports, 'extism:host/env': kernelInstance.exports };
    const { exports } = new WebAssembly.Instance(adapter, linked);
    expect(Object.keys(exports)).toEqual([
      'run',
      'run2',
      'caisson:memory0',
      'kernel:memory',
      'kernel:at',
      'kernel:set_input',
    ]);
    expect(exports['run']).toBe(guestInstance.exports['run']);
    expect(exports['caisson:memory0']).toBe(guestInstance.exports['caisson:memory0']);
    expect(exports['kernel:memory']).toBe(kernelInstance.exports['memory']);
    expect(exports['kernel:at']).toBe(kernelInstance.exports['at']);
    expect(exports['kernel:set_input']).toBe(kernelInstance.exports['set_input']);
  });

  it('holds each function type once and no code', () => {
    const guestExports = ['a', 'b', 'c'].map((name) => ({ name, type: noArguments }));
    const info = inspectModule(buildAdapter({ guestExports, kernelExports }));
    expect(info.sizes).toMatchObject({ types: 2, functions: 0, codeBytes: 0, dataBytes: 0 });
    expect(info.imports.map((entry) => `${entry.module} ${entry.name}`)).toEqual([
      'guest a',
      'guest b',
      'guest c',
      'extism:host/env memory',
      'extism:host/env at',
      'extism:host/env set_input',
    ]);
    expect(info.exports.find(({ name }) => name === 'kernel:set_input')?.type).toEqual(setter);
  });

  it('is a valid module even if it hands on nothing', () => {
    expect(WebAssembly.validate(buildAdapter({ guestExports: [], kernelExports: [] }))).toBe(true);
  });

  it('finds two exports of one name to be an error of the programmer', () => {
    const guestExports = [{ name: 'kernel:at', type: noArguments }];
    expect(() => buildAdapter({ guestExports, kernelExports })).toThrow(/different names/);
  });

  it('cannot hand on references, tables and tags', () => {
    const types: readonly AdapterExport['type'][] = [
      { kind: 'function', parameters: ['externref'], results: [] },
      { kind: 'table', min: 1, is64: false, elementType: 'funcref' },
      { kind: 'tag', parameters: [] },
    ];
    for (const type of types) {
      expect(() => buildAdapter({ guestExports: [{ name: 'x', type }], kernelExports: [] })).toThrow(TypeError);
    }
  });
});

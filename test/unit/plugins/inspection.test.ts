import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/base/digest.ts';
import type { ModuleInspection } from '../../../src/model/module-description.ts';
import { inspectPlugin, type PluginInspection } from '../../../src/plugins/inspection.ts';
import { wat } from '../../helpers/wat.ts';

function inspected(module: Uint8Array, options: Partial<PluginInspection> = {}): ModuleInspection {
  return inspectPlugin({ module, manifestText: undefined, functionsMax: 20, allowedFeatures: [], ...options });
}

function manifest(fields: object = {}): string {
  return JSON.stringify({ name: 'tiny', version: '1.0.0', ...fields });
}

const logging = wat(`(module
  (import "extism:host/env" "log_info" (func (param i64)))
  (import "extism:host/env" "input_length" (func (result i64)))
  (import "env" "memory" (memory 1))
  (func (export "go") (call 0 (call 1))))`);

describe('inspectPlugin', () => {
  test('finds nothing against a good module and names who provides its imports', () => {
    const { valid, problems, digest, memoryBytesMax, module } = inspected(logging);
    expect({ valid, problems, digest }).toEqual({ valid: true, problems: [], digest: digestOf(logging) });
    expect(memoryBytesMax).toBe(67_108_864);
    expect(module?.imports.map(({ name, capability, provided }) => [name, capability, provided])).toEqual([
      ['log_info', 'log', true],
      ['input_length', undefined, true],
      ['memory', undefined, true],
    ]);
    expect(module?.memories[0]?.clampedPages).toBe(1_024);
  });

  test('heeds the limits and capabilities of the manifest', () => {
    const { valid, problems, memoryBytesMax, module } = inspected(logging, {
      manifestText: manifest({ memory: { max_pages: 16 } }),
    });
    expect(valid).toBe(false);
    expect(problems).toEqual([
      {
        reason: 'CAPABILITY_NOT_GRANTED',
        location: 'extism:host/env.log_info',
        message: expect.stringContaining('"log"') as string,
        manifestLine: '"capabilities": ["log"]',
      },
    ]);
    expect(memoryBytesMax).toBe(1_048_576);
    expect(module?.memories[0]?.clampedPages).toBe(16);
    expect(module?.imports[0]).toMatchObject({ capability: 'log', provided: false });
  });

  test('reports a bad manifest beside a good module', () => {
    const { valid, problems, module } = inspected(logging, { manifestText: '{"name": "tiny"' });
    expect(valid).toBe(false);
    expect(problems[0]).toMatchObject({ reason: 'MANIFEST_INVALID' });
    expect(module?.rewritten).toBeDefined();
  });

  test('describes nothing of bytes that are no module', () => {
    expect(inspected(Uint8Array.of(1, 2, 3, 4))).toEqual({
      valid: false,
      problems: [
        {
          reason: 'WASM_NOT_WASM',
          location: 'module+0x0',
          message: 'The bytes are not a WebAssembly module',
          manifestLine: '',
        },
      ],
      digest: digestOf(Uint8Array.of(1, 2, 3, 4)),
      memoryBytesMax: 67_108_864,
    });
  });

  test('describes a module that is refused all the same', () => {
    const { valid, problems, module } = inspected(wat('(module (import "wasi" "f" (func)) (func (export "go")))'));
    expect(valid).toBe(false);
    expect(problems.map(({ reason }) => reason)).toEqual(['IMPORT_UNKNOWN']);
    expect(module?.imports).toMatchObject([{ name: 'f', provided: false }]);
    expect(module?.functions).toMatchObject([{ index: 1, cost: 0 }]);
  });

  test('takes what is allowed into account', () => {
    const twoMemories = wat('(module (memory 1) (memory 1) (func (export "go")))');
    expect(inspected(twoMemories).problems).toMatchObject([{ reason: 'WASM_FEATURE_NOT_ALLOWED' }]);
    expect(inspected(twoMemories, { allowedFeatures: ['multi-memory'] }).valid).toBe(true);
  });

  test('leaves the bytes that it was given as they are', () => {
    const before = logging.slice();
    inspected(logging);
    expect(logging).toEqual(before);
  });
});

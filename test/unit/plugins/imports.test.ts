import { describe, expect, test } from 'vitest';
import {
  capabilities,
  type CapabilityName,
  capabilityNames,
  type HostFunctionType,
} from '../../../src/model/capability.ts';
import type { GrantRefusal } from '../../../src/model/grant.ts';
import { capabilitiesLine, type ImportRights, judgeImport } from '../../../src/plugins/imports.ts';
import type { ImportInfo } from '../../../src/wasm/inspect.ts';
import type { FunctionType } from '../../../src/wasm/types.ts';

const kernel = 'extism:host/env';
const user = 'extism:host/user';
const wasi = 'wasi_snapshot_preview1';

function fn(
  module: string,
  name: string,
  parameters: readonly string[] = [],
  results: readonly string[] = [],
): ImportInfo {
  const type: FunctionType = { kind: 'function', parameters, results };
  return { module, name, kind: 'function', type };
}

const none = { asked: [], refusals: [] };

function asking(...asked: readonly CapabilityName[]): ImportRights {
  return { asked, refusals: [] };
}

function messageFor(info: ImportInfo): string | undefined {
  const { problem, provided } = judgeImport(info, none);
  expect(provided).toBe(false);
  expect(problem?.reason).toBe('IMPORT_UNKNOWN');
  return problem?.message;
}

describe('judgeImport', () => {
  test('provides the kernel’s functions to everybody', () => {
    expect(judgeImport(fn(kernel, 'alloc', ['i64'], ['i64']), none)).toEqual({
      capability: undefined,
      provided: true,
      problem: undefined,
    });
  });

  test('provides a capability’s functions to those who asked for it', () => {
    const info = fn(user, 'progress', ['f64', 'i64', 'i64']);
    expect(judgeImport(info, asking('progress'))).toEqual({
      capability: 'progress',
      provided: true,
      problem: undefined,
    });
    expect(judgeImport(info, asking('log'))).toEqual({
      capability: 'progress',
      provided: false,
      problem: {
        reason: 'CAPABILITY_NOT_GRANTED',
        message: 'It needs the capability "progress", which the manifest does not ask for',
      },
    });
    expect(judgeImport(info, { asked: undefined, refusals: [] }).provided).toBe(true);
  });

  test.each(capabilityNames)('judges every function of %s by the table', (capability) => {
    const { module, functions } = capabilities[capability];
    for (const [name, { parameters, results }] of Object.entries<HostFunctionType>(functions)) {
      const info = fn(module, name, parameters, results);
      expect(judgeImport(info, asking(capability))).toEqual({ capability, provided: true, problem: undefined });
      expect(judgeImport(info, none).problem?.reason).toBe('CAPABILITY_NOT_GRANTED');
    }
  });

  test('refuses what the policy refuses, and only that', () => {
    const refusal: GrantRefusal = { capability: 'http', asked: 'http', by: 'policy', rules: ['all'], line: 'add it' };
    const rights: ImportRights = { asked: ['http', 'secrets', 'log'], refusals: [refusal] };
    expect(judgeImport(fn(kernel, 'http_status_code', [], ['i32']), rights)).toEqual({
      capability: 'http',
      provided: false,
      problem: {
        reason: 'CAPABILITY_NOT_GRANTED',
        message: 'It needs the capability "http", which no rule of the policy allows (rules that match: "all"): add it',
      },
    });
    expect(judgeImport(fn(user, 'secret_get', ['i64'], ['i64']), rights).provided).toBe(true);
    expect(judgeImport(fn(kernel, 'log_info', ['i64']), rights).provided).toBe(true);
  });

  test('speaks of the manifest before it speaks of the policy', () => {
    const refusal: GrantRefusal = { capability: 'http', asked: 'http', by: 'policy', rules: [], line: 'add it' };
    const info = fn(kernel, 'http_status_code', [], ['i32']);
    expect(judgeImport(info, { asked: [], refusals: [refusal] }).problem?.message).toContain('the manifest');
  });

  test('tells whoever imports WASI with a wrong type to use a current toolchain', () => {
    expect(judgeImport(fn(wasi, 'fd_close', ['i64'], ['i32']), none).problem).toEqual({
      reason: 'IMPORT_TYPE_MISMATCH',
      message:
        'It is imported as (func (param i64) (result i32)), but is (func (param i32) (result i32)): build with a current toolchain, for wasm32-wasip1',
    });
  });

  test('gives the right type of a function imported with another', () => {
    const { problem, provided } = judgeImport(fn(kernel, 'load_u8', ['i64'], ['i64']), none);
    expect(provided).toBe(false);
    expect(problem).toEqual({
      reason: 'IMPORT_TYPE_MISMATCH',
      message:
        'It is imported as (func (param i64) (result i64)), but is (func (param i64) (result i32)): use a current PDK',
    });
  });

  test('cuts the type of a function with very many parameters', () => {
    const { problem } = judgeImport(
      fn(
        kernel,
        'alloc',
        Array.from({ length: 1_000 }, () => 'i64'),
      ),
      none,
    );
    expect(problem?.message.length).toBeLessThan(400);
  });

  test.each([
    [
      fn('env', 'abort', ['i32', 'i32', 'i32', 'i32']),
      'It comes from AssemblyScript: compile with "--use abort=" and the module traps by itself instead',
    ],
    [fn('env', 'seed', [], ['f64']), 'Math.random of AssemblyScript'],
    [fn('env', 'memcpy'), 'The linker left this symbol undefined: link the library that defines it into the module'],
    [fn(wasi, 'fd_wirte'), 'WASI preview 1 has no function "fd_wirte" (did you mean "fd_write"?)'],
    [fn('env', 'fd_write'), '"fd_write" is provided by the module "wasi_snapshot_preview1": use a current PDK'],
    [fn('wasi_unstable', 'fd_write'), 'WASI before preview 1, which is not provided: build with a current toolchain'],
    [
      fn('wasi:cli/environment@0.2.0', 'get'),
      'WASI preview 2, which is for components and is not provided: build a core module for wasm32-wasip1',
    ],
    [fn('__wbindgen_placeholder__', '__wbindgen_throw'), 'wasm-bindgen'],
    [fn('gojs', 'runtime.wasmExit'), 'build with TinyGo'],
    [fn(user, 'http_request'), '"http_request" is provided by the module "extism:host/env": import it from there'],
    [fn('env', 'extism_http_request'), '"http_request" is provided by the module "extism:host/env": use a current PDK'],
    [fn(kernel, 'reset'), 'belongs to the kernel of Extism'],
    [fn(kernel, 'progress'), '"progress" is provided by the module "extism:host/user": import it from there'],
    [fn(user, 'config_get'), '"config_get" is provided by the module "extism:host/env": import it from there'],
    [fn('env', 'extism_alloc'), '"alloc" is provided by the module "extism:host/env": use a current PDK'],
    [fn(kernel, 'config_gte'), 'The Extism ABI has no function "config_gte" (did you mean "config_get"?)'],
    [fn(user, 'send_mail'), 'This server has no host function "send_mail"; it offers "progress", "clock_now"'],
    [
      fn('other', 'thing'),
      'Nobody provides the module "other": host functions come from "extism:host/env", "extism:host/user" and "wasi_snapshot_preview1" only',
    ],
    [fn('constructor', 'name'), 'Nobody provides the module "constructor"'],
    [fn(kernel, '__proto__'), 'The Extism ABI has no function "__proto__"'],
    [fn('a\nb', 'x'), 'Nobody provides the module "a\\u000ab"'],
  ])('explains %j', (info, expected) => {
    expect(messageFor(info)).toContain(expected);
  });

  test('refuses globals and tags, and gives memories and tables of the plugin’s own', () => {
    const global: ImportInfo = {
      module: 'env',
      name: 'g',
      kind: 'global',
      type: { kind: 'global', valueType: 'i32', mutable: false },
    };
    expect(messageFor(global)).toBe('Nobody provides a global to import: define it in the module');
    expect(messageFor({ module: 'env', name: 't', kind: 'tag', type: { kind: 'tag', parameters: [] } })).toContain(
      'a tag',
    );
    const table: ImportInfo = {
      module: 'env',
      name: 't',
      kind: 'table',
      type: { kind: 'table', min: 1, is64: false, elementType: 'funcref' },
    };
    expect(judgeImport(table, none)).toEqual({ capability: undefined, provided: true, problem: undefined });
  });

  test('does not take a global for the function of the same name', () => {
    const info: ImportInfo = {
      module: kernel,
      name: 'alloc',
      kind: 'global',
      type: { kind: 'global', valueType: 'i64', mutable: false },
    };
    expect(messageFor(info)).toContain('Nobody provides a global');
  });

  test('leaves reserved names to the policy', () => {
    expect(judgeImport(fn('caisson:x', 'y'), none)).toEqual({
      capability: undefined,
      provided: false,
      problem: undefined,
    });
  });
});

describe('capabilitiesLine', () => {
  test('keeps what is granted and adds what is missing', () => {
    expect(capabilitiesLine(['log', 'config'], new Set(['progress', 'vars']))).toBe(
      '"capabilities": ["log", "config", "vars", "progress"]',
    );
    expect(capabilitiesLine([], new Set(['log']))).toBe('"capabilities": ["log"]');
  });
});

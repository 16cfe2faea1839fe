import { describe, expect, test } from 'vitest';
import { capabilitiesLine, judgeImport } from '../../../src/plugins/imports.ts';
import type { ImportInfo } from '../../../src/wasm/inspect.ts';
import type { FunctionType } from '../../../src/wasm/types.ts';

const kernel = 'extism:host/env';
const user = 'extism:host/user';

function fn(
  module: string,
  name: string,
  parameters: readonly string[] = [],
  results: readonly string[] = [],
): ImportInfo {
  const type: FunctionType = { kind: 'function', parameters, results };
  return { module, name, kind: 'function', type };
}

function messageFor(info: ImportInfo): string | undefined {
  const { problem, provided } = judgeImport(info, []);
  expect(provided).toBe(false);
  expect(problem?.reason).toBe('IMPORT_UNKNOWN');
  return problem?.message;
}

describe('judgeImport', () => {
  test('provides the kernel’s functions to everybody', () => {
    expect(judgeImport(fn(kernel, 'alloc', ['i64'], ['i64']), [])).toEqual({
      capability: undefined,
      provided: true,
      problem: undefined,
    });
  });

  test('provides a capability’s functions to those who asked for it', () => {
    const info = fn(user, 'progress', ['f64', 'i64', 'i64']);
    expect(judgeImport(info, ['progress'])).toEqual({ capability: 'progress', provided: true, problem: undefined });
    expect(judgeImport(info, ['log'])).toEqual({
      capability: 'progress',
      provided: false,
      problem: {
        reason: 'CAPABILITY_NOT_GRANTED',
        message: 'It needs the capability "progress", which the manifest does not ask for',
      },
    });
    expect(judgeImport(info, undefined).provided).toBe(true);
  });

  test('gives the right type of a function imported with another', () => {
    const { problem, provided } = judgeImport(fn(kernel, 'load_u8', ['i64'], ['i64']), []);
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
      [],
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
    [fn('wasi_snapshot_preview1', 'fd_write'), 'WASI is not provided by this server: build a freestanding module'],
    [fn('wasi_unstable', 'fd_write'), 'WASI is not provided'],
    [fn('wasi:cli/environment@0.2.0', 'get'), 'WASI is not provided'],
    [fn('__wbindgen_placeholder__', '__wbindgen_throw'), 'wasm-bindgen'],
    [fn('gojs', 'runtime.wasmExit'), 'build with TinyGo'],
    [fn(kernel, 'http_request', ['i64', 'i64'], ['i64']), 'http is not offered by this server: do without it'],
    [fn(kernel, 'http_status_code', [], ['i32']), 'http is not offered'],
    [fn('env', 'extism_http_request'), 'http is not offered'],
    [fn(kernel, 'reset'), 'belongs to the kernel of Extism'],
    [fn(kernel, 'progress'), '"progress" is provided by the module "extism:host/user": import it from there'],
    [fn(user, 'config_get'), '"config_get" is provided by the module "extism:host/env": import it from there'],
    [fn('env', 'extism_alloc'), '"alloc" is provided by the module "extism:host/env": use a current PDK'],
    [fn(kernel, 'config_gte'), 'The Extism ABI has no function "config_gte" (did you mean "config_get"?)'],
    [fn(user, 'send_mail'), 'This server has no host function "send_mail"; it offers "progress"'],
    [
      fn('other', 'thing'),
      'Nobody provides the module "other": host functions come from "extism:host/env" and "extism:host/user" only',
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
    expect(judgeImport(table, [])).toEqual({ capability: undefined, provided: true, problem: undefined });
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
    expect(judgeImport(fn('caisson:x', 'y'), [])).toEqual({
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

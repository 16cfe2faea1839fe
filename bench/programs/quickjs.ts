/**
 * QuickJS, an interpreter of JavaScript, running a program of its own: `quickjs.wasm`
 * of npm `quickjs-wasi`, without its JavaScript side. The host answers what the
 * interpreter asks at its start and nothing else.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Subject } from './subject.ts';

const modulePath = fileURLToPath(import.meta.resolve('quickjs-wasi/quickjs.wasm'));
const workloadPath = join(import.meta.dirname, 'quickjs-workload.js');

/** The exports that are used. Values of JavaScript are pointers to them. */
interface Exports {
  readonly memory: WebAssembly.Memory;
  qjs_init(): number;
  qjs_eval(code: number, length: number, fileName: number, flags: number): number;
  qjs_is_exception(value: number): number;
  qjs_get_float64(value: number): number;
  qjs_free_value(value: number): void;
  wasm_malloc(bytes: number): number;
  wasm_free(pointer: number): void;
}

/** Answers of WASI: done, and no such file. */
const done = 0;
const badFile = 8;

export const quickJs: Subject = {
  name: 'QuickJS',
  bytes: new Uint8Array(readFileSync(modulePath)),
  start: (instantiate) => {
    const { exports } = instantiate(imports);
    const quickJs = exports as unknown as Exports;
    if (quickJs.qjs_init() !== 0) throw new Error('QuickJS does not start');
    evaluate(quickJs, readFileSync(workloadPath, 'utf8'));
    return (turns) => evaluate(quickJs, `workload(${turns})`);
  },
};

const nothing = (): number => 0;

const imports: WebAssembly.Imports = {
  env: {
    host_call: nothing,
    host_get_timezone_offset: nothing,
    host_interrupt: nothing,
    host_module_load: nothing,
    host_module_normalize: nothing,
    host_promise_rejection: nothing,
  },
  wasi_snapshot_preview1: {
    // Neither time nor chance: the memory behind the pointers stays as it is.
    clock_time_get: () => done,
    random_get: () => done,
    fd_close: () => badFile,
    fd_fdstat_get: () => badFile,
    fd_seek: () => badFile,
    fd_write: () => badFile,
  },
};

/** The value of a program, as a number. */
function evaluate(quickJs: Exports, text: string): number {
  const code = put(quickJs, text);
  const fileName = put(quickJs, 'workload.js');
  const value = quickJs.qjs_eval(code.pointer, code.length, fileName.pointer, 0);
  if (quickJs.qjs_is_exception(value) !== 0) throw new Error(`QuickJS threw in "${text.slice(0, 40)}"`);
  const number = quickJs.qjs_get_float64(value);
  quickJs.qjs_free_value(value);
  quickJs.wasm_free(code.pointer);
  quickJs.wasm_free(fileName.pointer);
  return number;
}

/** Copies a text, with a 0 behind it, into the memory of the interpreter. */
function put(quickJs: Exports, text: string): { readonly pointer: number; readonly length: number } {
  const bytes = new TextEncoder().encode(`${text}\0`);
  const pointer = quickJs.wasm_malloc(bytes.length);
  new Uint8Array(quickJs.memory.buffer).set(bytes, pointer);
  return { pointer, length: bytes.length - 1 };
}

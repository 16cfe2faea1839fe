/** What we rely on in Extism, whose version is a release candidate: each fact here has cost somebody a day. */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callFunctions, type LinkedFunction } from '../../../../src/capabilities/host-functions.ts';
import { kernelModule as kernelImport, userModule } from '../../../../src/model/capability.ts';
import { hostModule, kernelModule } from '../../../../src/sandbox/kernel/kernel.ts';
import { type LinkedInstance, link, rememberModuleLists } from '../../../../src/sandbox/thread/extism.ts';
import { meterModule, refuelName } from '../../../../src/wasm/metering/reserved.ts';
import { compileText, guest } from '../../../helpers/sandbox.ts';
import { fakeCall } from '../../capabilities/fakes.ts';

/** Fuel for guests that are not the point here. */
const plenty = 1n << 40n;

type Overrides = Readonly<Record<string, LinkedFunction>>;

/** Links a guest with host functions that do nothing, except those given. */
async function linked(text: string, kernelHost: Overrides = {}, user: Overrides = {}): Promise<LinkedInstance> {
  const { modules } = callFunctions(fakeCall(), []);
  const functions = {
    [hostModule]: { ...modules[kernelImport], kernel_exhausted: () => {}, ...kernelHost },
    [userModule]: { ...modules[userModule], ...user },
    [meterModule]: { [refuelName]: () => plenty },
  };
  const { guest: guestModule, adapter } = compileText(text);
  return await link({ kernel: kernelModule(), guest: guestModule, adapter }, functions);
}

function call({ exports }: LinkedInstance, name = 'run'): unknown {
  return (exports[name] as () => unknown)();
}

describe('link', () => {
  test('is tried with the version of Extism that it was written for', () => {
    const manifest = JSON.parse(readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8')) as {
      dependencies: Record<string, string>;
    };
    expect(manifest.dependencies['@extism/extism']).toBe('2.0.0-rc13');
  });

  test('has the guest import our kernel, not Extism’s functions of the same names', async () => {
    const instance = await linked(
      guest('(func (export "run") (result i32) (i32.wrap_i64 (call $alloc (i64.const 0))))'),
    );
    // Extism's own alloc answers with an address even for nothing.
    expect(call(instance)).toBe(0);
  });

  test('hands host functions the guest’s arguments and no context', async () => {
    const seen: unknown[] = [];
    const note: LinkedFunction = (...parameters) => void seen.push(parameters);
    const body = `(func (export "run") (call $log_info (i64.const 5))
      (call $progress (f64.const 0.5) (i64.const 6) (i64.const 7)))`;
    call(await linked(guest(body), { log_info: note }, { progress: note }));
    expect(seen).toEqual([
      [5n, undefined, undefined],
      [0.5, 6n, 7n],
    ]);
  });

  test('makes instances that share nothing', async () => {
    const body = `(global $n (mut i32) (i32.const 0))
      (func (export "run") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))`;
    const [first, second] = [await linked(guest(body)), await linked(guest(body))];
    expect([call(first), call(first), call(second)]).toEqual([1, 2, 1]);
  });

  test('calls no lifecycle function and no start function by itself', async () => {
    const noted = '(call $log_info (i64.const 0))';
    const names = ['_initialize', '_start', 'hs_init'].map((name) => `(func (export "${name}") ${noted})`);
    let calls = 0;
    const text = guest(`${names.join(' ')} (func $s ${noted}) (start $s) (func (export "run"))`);
    await linked(text, { log_info: () => void calls++ });
    expect(calls).toBe(0);
  });

  test('makes one instance of a guest that exports _start, however much of it the adapter imports', async () => {
    const text = guest(`(global $n (mut i32) (i32.const 0)) (func (export "_start"))
      (func (export "up") (global.set $n (i32.add (global.get $n) (i32.const 1))))
      (func (export "run") (result i32) (global.get $n))`);
    const instance = await linked(text);
    call(instance, 'up');
    call(instance, 'up');
    expect(call(instance)).toBe(2);
  });

  test('does not take a guest’s function "then" for a promise', async () => {
    let calls = 0;
    const text = guest('(func (export "then") (call $log_info (i64.const 0))) (func (export "run"))');
    await linked(text, { log_info: () => void calls++ });
    expect(calls).toBe(0);
  });

  test('leaves the global fetch alone', async () => {
    const before = Object.getOwnPropertyDescriptor(globalThis, 'fetch') as PropertyDescriptor;
    let reads = 0;
    Object.defineProperty(globalThis, 'fetch', {
      configurable: true,
      get: () => {
        reads++;
        return undefined;
      },
    });
    try {
      await linked(guest('(func (export "run"))'));
    } finally {
      Object.defineProperty(globalThis, 'fetch', before);
    }
    expect(reads).toBe(0);
  });

  test('rejects when an import is missing', async () => {
    const { guest: guestModule, adapter } = compileText(guest('(func (export "run"))'));
    await expect(link({ kernel: kernelModule(), guest: guestModule, adapter }, {})).rejects.toThrow(
      /cannot resolve import/,
    );
  });
});

describe('rememberModuleLists', () => {
  const { exports, imports } = WebAssembly.Module;
  beforeAll(rememberModuleLists);
  afterAll(() => {
    WebAssembly.Module.exports = exports;
    WebAssembly.Module.imports = imports;
  });

  test('gives the same lists as ever, each made once', () => {
    const { guest: first, adapter } = compileText(guest('(func (export "run"))'));
    for (const module of [first, adapter]) {
      expect(WebAssembly.Module.exports(module)).toEqual(exports(module));
      expect(WebAssembly.Module.imports(module)).toEqual(imports(module));
      expect(WebAssembly.Module.exports(module)).toBe(WebAssembly.Module.exports(module));
    }
  });

  test('leaves linking as it was', async () => {
    expect(call(await linked(guest('(func (export "run") (result i32) (i32.const 7))')))).toBe(7);
  });
});

/** Instances of real modules, guest and kernel as one, with host functions as a thread has them. */

import { describe, expect, test } from 'vitest';
import {
  CallFamilies,
  type LinkedFunction,
  type LinkedModules,
  linkedFunctions,
} from '../../../../src/capabilities/host-functions.ts';
import { kernelModule, userModule } from '../../../../src/model/capability.ts';
import { hostModule, kernelControls } from '../../../../src/sandbox/kernel/kernel.ts';
import { KernelMemory } from '../../../../src/sandbox/thread/kernel-memory.ts';
import { instantiate as instantiateWith } from '../../../../src/sandbox/thread/instantiate.ts';
import { createMemory } from '../../../../src/sandbox/thread/memories.ts';
import type { CompiledPlugin } from '../../../../src/sandbox/protocol.ts';
import { meterModule, refuelName } from '../../../../src/wasm/metering/reserved.ts';
import { modulePolicyDefault } from '../../../../src/wasm/policy.ts';
import { compileBytes, compileText, guest } from '../../../helpers/sandbox.ts';
import { wat } from '../../../helpers/wat.ts';
import { fakeCall, fakeGrant } from '../../capabilities/fakes.ts';

/** Fuel for guests that are not the point here. */
const plenty = 1n << 40n;

type Overrides = Readonly<Record<string, LinkedFunction>>;

/** Host functions that do nothing, except those given. */
function functionsWith(kernelHost: Overrides = {}, user: Overrides = {}): LinkedModules {
  const families = new CallFamilies({ ...fakeCall(), grant: { ...fakeGrant, capabilities: [] } });
  const modules = linkedFunctions(() => families);
  return {
    [hostModule]: { ...modules[kernelModule], kernel_exhausted: () => {}, ...kernelHost },
    [userModule]: { ...modules[userModule], ...user },
    [meterModule]: { [refuelName]: () => plenty },
  };
}

interface Instantiated {
  readonly exports: WebAssembly.Exports;
  /** The guest's, and last the kernel's. */
  readonly memories: readonly WebAssembly.Memory[];
}

/** With memories of its own. */
function instantiate(plugin: Pick<CompiledPlugin, 'module' | 'memories'>, functions: LinkedModules): Instantiated {
  const memories = plugin.memories.map(createMemory);
  return { exports: instantiateWith(plugin, functions, memories), memories };
}

function instanceOf(text: string, functions: LinkedModules = functionsWith()): Instantiated {
  return instantiate(compileText(text), functions);
}

function call({ exports }: Instantiated, name = 'run'): unknown {
  return (exports[name] as () => unknown)();
}

describe('instantiate', () => {
  test('gives the guest our kernel', () => {
    const instance = instanceOf(
      guest('(func (export "run") (result i64) (call $alloc (i64.const 0))) (export "test" (func $alloc))'),
    );
    expect(Object.keys(instance.exports)).toEqual(expect.arrayContaining(kernelControls.map(({ as }) => as)));
    const code = instanceOf(guest('(func (export "run") (result i32) (i32.wrap_i64 (call $alloc (i64.const 0))))'));
    expect(call(code)).toBe(0);
  });

  test('hands host functions the guest’s arguments', () => {
    const seen: unknown[] = [];
    const note: LinkedFunction = (...parameters) => void seen.push(parameters);
    const body = `(func (export "run") (call $log_info (i64.const 5))
      (call $progress (f64.const 0.5) (i64.const 6) (i64.const 7)))`;
    call(instanceOf(guest(body), functionsWith({ log_info: note }, { progress: note })));
    expect(seen).toEqual([[5n], [0.5, 6n, 7n]]);
  });

  test('makes instances that share nothing', () => {
    const body = `(global $n (mut i32) (i32.const 0))
      (func (export "run") (result i32) (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))`;
    const plugin = compileText(guest(body));
    const functions = functionsWith();
    const [first, second] = [instantiate(plugin, functions), instantiate(plugin, functions)];
    expect([call(first), call(first), call(second)]).toEqual([1, 2, 1]);
  });

  test('calls no lifecycle function and no start function by itself', () => {
    const noted = '(call $log_info (i64.const 0))';
    const names = ['_initialize', '_start', 'hs_init'].map((name) => `(func (export "${name}") ${noted})`);
    let calls = 0;
    const text = guest(`${names.join(' ')} (func $s ${noted}) (start $s) (func (export "run"))`);
    instanceOf(text, functionsWith({ log_info: () => void calls++ }));
    expect(calls).toBe(0);
  });

  test('needs no more host functions than the plugin says that it imports', () => {
    const plugin = compileText(
      `(module (import "extism:host/env" "log_info" (func $log (param i64))) (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
        (import "extism:host/user" "progress" (func $progress (param f64 i64 i64)))
        (func (export "run") (call $log (call $alloc (i64.const 0)))))`,
    );
    const { imports } = plugin;
    const functions: Record<string, Record<string, LinkedFunction>> = {};
    for (const { module, name } of imports) (functions[module] ??= {})[name] = () => plenty;
    expect(imports.map(({ name }) => name).toSorted()).toEqual(['kernel_exhausted', 'log_info', 'progress', 'refuel']);
    expect(call(instantiate(plugin, functions))).toBeUndefined();
    for (const { module: from, name } of imports) {
      const { [name]: _missing, ...rest } = functions[from] ?? {};
      expect(() => instantiate(plugin, { ...functions, [from]: rest })).toThrow(WebAssembly.LinkError);
    }
  });

  test.each([
    ['a function of every object', 'extism:host/user', 'toString'],
    ['a module of every object', 'constructor', 'assign'],
  ])('does not take %s for a host function', (_what, module, name) => {
    const plugin = compileBytes(wat(`(module (import "${module}" "${name}" (func)) (func (export "run")))`));
    expect(plugin.imports).toContainEqual({ module, name });
    expect(() => instantiate(plugin, functionsWith())).toThrow(/Import #\d+/);
  });

  test('throws the trap of a guest whose segments do not fit', () => {
    const plugin = compileText('(module (memory 1) (data (i32.const 65536) "x") (func (export "run")))');
    expect(() => instantiate(plugin, functionsWith())).toThrow(WebAssembly.RuntimeError);
  });
});

describe('A merged module', () => {
  const pages = ({ memories }: Instantiated): readonly number[] =>
    memories.map((memory) => memory.buffer.byteLength / 65_536);

  test.each([
    ['no memory', '', []],
    ['one memory', '(memory 1)', [1]],
    ['an imported memory', '(import "env" "memory" (memory 2))', [2]],
    ['several memories', '(memory 1) (memory 3)', [1, 3]],
    ['a memory of 64 bits', '(memory i64 2)', [2]],
  ])('of a guest with %s has the kernel’s beside them', (_what, memories, sizes) => {
    const text = `(module (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
      (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
      (import "extism:host/env" "load_u8" (func $load (param i64) (result i32))) ${memories}
      (func (export "run") (result i32) (local i64)
        (local.set 0 (call $alloc (i64.const 1))) (call $store (local.get 0) (i32.const 7)) (call $load (local.get 0))))`;
    const allowedFeatures = ['memory64', 'multi-memory'] as const;
    // The limit of memory is the guest's alone.
    const memoryBytes = sizes.reduce((sum, size) => sum + size * 65_536, 0);
    const plugin = compileText(text, { memoryBytes, policy: { ...modulePolicyDefault, allowedFeatures } });
    const instance = instantiate(plugin, functionsWith());
    const kernel = new KernelMemory(instance.exports, instance.memories.at(-1) as WebAssembly.Memory);
    kernel.setLimit(1_000);
    expect(call(instance)).toBe(7);
    expect(pages(instance)).toEqual([...sizes, 2]);
  });
});

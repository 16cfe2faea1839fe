/** The registry with the real compiler in its thread. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { Compiler } from '../../../src/sandbox/compiler.ts';
import { modulePolicyDefault } from '../../../src/wasm/policy.ts';
import { wat } from '../../helpers/wat.ts';
import { execErrorOf, reasonOf } from './fakes.ts';
import { chunksOf, dataDirectory, headerOf, manifestOf, moduleOf, openRegistry, publish } from './fixtures.ts';

describe('PluginRegistry with the compiler', () => {
  let compiler: Compiler;
  beforeAll(async () => {
    compiler = await Compiler.start({ clock: systemClock, policy: modulePolicyDefault });
  });
  afterAll(async () => {
    await compiler[Symbol.asyncDispose]();
  });

  test('publishes a module, hands out its variants and loads it again after a restart', async () => {
    await using data = await dataDirectory();
    const bytes = moduleOf(5);
    {
      await using registry = await openRegistry(data.path, { compiler, clock: systemClock });
      const { version, report } = await publish(registry, { memory: { max_pages: 4 } }, bytes);
      expect(version.state).toBe('running');
      expect(report.memories).toMatchObject([{ minPages: 1, clampedPages: 4 }]);
      expect(report.sizes.rewrittenBytes).toBeGreaterThan(0);
      const own = await registry.compiled(version, 4 * 65_536);
      expect(own.key).toBe(`${version.digest}/${4 * 65_536}`);
      expect(own.module).toBeInstanceOf(WebAssembly.Module);
      expect(await registry.compiled(version, 4 * 65_536)).toBe(own);
      expect(await registry.compiled(version, 65_536)).not.toBe(own);
      expect(await publish(registry, { memory: { max_pages: 4 } }, bytes)).toMatchObject({ created: false });
    }
    await using registry = await openRegistry(data.path, { compiler, clock: systemClock });
    const version = registry.resolve('echo');
    expect(version.state).toBe('unloaded');
    expect((await registry.compiled(version, 65_536)).lifecycle).toEqual([]);
    expect(registry.get('echo').state).toBe('running');
  });

  test('refuses a module that does not validate and reports it beside what is wrong with the manifest', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path, { compiler, clock: systemClock });
    const bytes = wat('(module (func (export "run") (result i32) (i32.const 0)))');
    // i32.const becomes i64.const, which leaves a result of the wrong type.
    const broken = bytes.map((byte, at) =>
      byte === 0x41 && bytes[at + 1] === 0 && bytes[at + 2] === 0x0b ? 0x42 : byte,
    );
    const error = await execErrorOf(() => publish(registry, { capabilities: ['x'] }, broken));
    expect(error.violations.map(({ field }) => field)[0]).toBe('capabilities[0]');
    expect(error.violations).toHaveLength(2);
    expect(await reasonOf(() => publish(registry, {}, broken))).toBe('WASM_INVALID');
  });

  test.each([
    ['no module', Buffer.from('#!/bin/sh'), 'WASM_NOT_WASM'],
    ['a component', Buffer.from('0061736d0d000100', 'hex'), 'WASM_COMPONENT'],
    ['half a module', moduleOf().subarray(0, 20), 'WASM_TRUNCATED'],
    ['shared memory', wat('(module (memory 1 2 shared) (func (export "run")))'), 'WASM_FEATURE_NOT_ALLOWED'],
    ['too much memory', wat('(module (memory 2000) (func (export "run")))'), 'MEMORY_OVER_LIMIT'],
  ])('reports %s', async (_, bytes, reason) => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path, { compiler, clock: systemClock });
    const report = await registry.validate(
      headerOf(manifestOf(), bytes),
      chunksOf(bytes),
      new AbortController().signal,
    );
    expect(report.valid).toBe(false);
    expect(report.problems[0]?.reason).toBe(reason);
    expect(await reasonOf(() => publish(registry, {}, bytes))).toBe(reason);
  });

  test('refuses a variant with less memory than the module starts with, and the version runs on', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path, { compiler, clock: systemClock });
    const { version } = await publish(registry, {}, wat('(module (memory 3) (func (export "run")))'));
    expect(await reasonOf(() => registry.compiled(version, 2 * 65_536))).toBe('MEMORY_OVER_LIMIT');
    expect(registry.get('echo').state).toBe('running');
  });
});

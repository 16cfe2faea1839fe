import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SandboxSet, compileText, guest, outputText, callOf, type CallOptions } from '../../../helpers/sandbox.ts';
import type { CompiledPlugin, InstanceWish, Sandbox } from '../../../../src/sandbox/sandbox.ts';
import type { Digest } from '../../../../src/base/digest.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { AbortReason } from '../../../../src/model/abort-reason.ts';
import type { Outcome } from '../../../../src/model/outcome.ts';
import { keptBytesMax, keptMax, preparedMax } from '../../../../src/sandbox/thread/instances.ts';

/** Counts its calls in memory, in a global, in a variable and in a table, and puts the counts out as letters. */
const counter = guest(`(data (i32.const 0) "name")
  (global $g (mut i32) (i32.const 0)) (table $t 1 100 funcref)
  (func (export "run") (local $v i64)
    (global.set $g (i32.add (global.get $g) (i32.const 1)))
    (i32.store8 (i32.const 100) (i32.add (i32.load8_u (i32.const 100)) (i32.const 1)))
    (drop (table.grow $t (ref.null func) (i32.const 1)))
    (local.set $v (call $var_get (call $block (i32.const 0) (i32.const 4))))
    (i32.store8 (i32.const 203)
      (i32.add (i32.const 98) (if (result i32) (i64.eqz (local.get $v)) (then (i32.const -1)) (else (call $load_u8 (local.get $v))))))
    (i32.store8 (i32.const 200) (i32.add (i32.const 96) (global.get $g)))
    (i32.store8 (i32.const 201) (i32.add (i32.const 96) (i32.load8_u (i32.const 100))))
    (i32.store8 (i32.const 202) (i32.add (i32.const 95) (table.size $t)))
    (i32.store8 (i32.const 110) (i32.sub (i32.load8_u (i32.const 203)) (i32.const 97)))
    (call $var_set (call $block (i32.const 0) (i32.const 4)) (call $block (i32.const 110) (i32.const 1)))
    (call $output (call $block (i32.const 200) (i32.const 4))))`);

const fresh = { mode: 'fresh', warm: 1, key: '' } as const;
const reuse = (key = 'tenant'): InstanceWish => ({ mode: 'reuse', warm: 1, key });
const session = (key = 'session'): InstanceWish => ({ mode: 'session', warm: 0, key });

describe('Instances of a thread', () => {
  let set: SandboxSet;
  let sandbox: Sandbox;

  beforeEach(async () => {
    set = new SandboxSet();
    sandbox = await set.start();
  });

  afterEach(() => set[Symbol.asyncDispose]());

  async function run(plugin: CompiledPlugin, options: CallOptions = {}): Promise<Outcome> {
    const { signal } = new AbortController();
    const { outcome } = await sandbox.run(callOf(plugin, options), { signal, report: () => {} });
    return outcome;
  }

  /** Lets the thread prepare what it wants to. */
  async function settle(plugin: CompiledPlugin, prepared: number): Promise<void> {
    for (let tries = 0; tries < 200; tries++) {
      if ((await sandbox.warm({ plugin, limits: callOf(plugin).limits }, 0)).prepared === prepared) return;
      await systemClock.sleep(5);
    }
    throw new Error(`The thread never had ${prepared} instances prepared`);
  }

  test('are fresh for each call, prepared ones as those made for the call', async () => {
    const plugin = compileText(counter);
    const sources = [];
    for (let round = 0; round < 4; round++) {
      const outcome = await run(plugin, { instance: fresh });
      expect(outputText(outcome)).toBe('aaaa');
      sources.push(outcome.usage.instanceSource);
      await settle(plugin, 1);
    }
    expect(sources).toEqual(['CREATED', 'PREPARED', 'PREPARED', 'PREPARED']);
  });

  test('use the same fuel however they were made', async () => {
    const lifecycle = `(func $s (local $i i32)
      (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100000)))))
      (start $s) (func (export "_initialize") (call $s))`;
    const plugin = compileText(counter.replace('(global $g', `${lifecycle} (global $g`));
    const first = await run(plugin, { instance: fresh });
    await settle(plugin, 1);
    const second = await run(plugin, { instance: fresh });
    expect(second.usage).toMatchObject({ fuel: first.usage.fuel, instanceSource: 'PREPARED', fuelIsLowerBound: false });
    await settle(plugin, 1);
    const { fuel } = first.usage;
    expect(await run(plugin, { instance: fresh, limits: { fuel } })).toMatchObject({ name: 'OK', usage: { fuel } });
    for (const missing of [1, fuel - 1_000]) {
      await settle(plugin, 1);
      expect(await run(plugin, { instance: fresh, limits: { fuel: fuel - missing } })).toMatchObject({
        name: 'FUEL_EXHAUSTED',
      });
    }
  });

  test('run no lifecycle function ahead that asks the host for anything, and its answers are the call’s own', async () => {
    const plugin = compileText(
      guest(`(data (i32.const 0) "key") (global $seen (mut i32) (i32.const 0))
        (func (export "_initialize")
          (global.set $seen (call $load_u8 (call $config_get (call $block (i32.const 0) (i32.const 3)))))
          (call $log_info (call $block (i32.const 0) (i32.const 3))))
        (func (export "run") (i32.store8 (i32.const 8) (global.get $seen)) (call $output (call $block (i32.const 8) (i32.const 1))))`),
    );
    for (const key of ['a', 'b', 'c']) {
      const outcome = await run(plugin, { instance: fresh, config: { key } });
      expect(outputText(outcome)).toBe(key);
      expect(outcome.usage).toMatchObject({ hostCalls: 2, logBytes: 3 });
      await settle(plugin, 1);
    }
    expect((await run(plugin, { instance: fresh, config: { key: 'd' } })).usage.instanceSource).toBe('PREPARED');
  });

  test.each([
    ['trap', 'unreachable'],
    ['never end', '(loop (br 0))'],
    ['fail with an error', '(call $error_set (call $block (i32.const 0) (i32.const 3)))'],
  ])('whose lifecycle functions %s tell so in the call, each time', async (_what, body) => {
    const plugin = compileText(guest(`(func (export "_initialize") ${body}) (func (export "run"))`));
    const kinds = [];
    for (let round = 0; round < 3; round++) {
      const outcome = await run(plugin, { instance: fresh, limits: { fuel: 200_000_000 } });
      kinds.push(outcome.name);
      await settle(plugin, 1);
    }
    expect(new Set(kinds).size).toBe(1);
    expect(kinds[0]).not.toBe('OK');
  });

  test('are as many as the plugin wishes to have warm', async () => {
    const plugin = compileText(counter);
    const counts = await sandbox.warm({ plugin, limits: callOf(plugin).limits }, 3);
    expect(counts).toEqual({ prepared: 3, kept: 0, keptBytes: 0 });
    expect((await run(plugin, { instance: { ...fresh, warm: 3 } })).usage.instanceSource).toBe('PREPARED');
    await settle(plugin, 3);
  });

  test('serve many calls of one tenant in mode "reuse", without its variables, and none of another’s', async () => {
    const plugin = compileText(counter);
    expect(outputText(await run(plugin, { instance: reuse() }))).toBe('aaaa');
    const again = await run(plugin, { instance: reuse() });
    expect(outputText(again)).toBe('bbba');
    expect(again.usage.instanceSource).toBe('REUSED');
    expect(outputText(await run(plugin, { instance: reuse('other') }))).toBe('aaaa');
    expect(outputText(await run(plugin, { instance: reuse() }))).toBe('ccca');
    expect(sandbox.counts(plugin.key)).toMatchObject({ kept: 2, keptBytes: 2 * 65_536 });
  });

  test('are prepared up to the bound of the thread', async () => {
    const plugin = compileText(counter);
    const { limits } = callOf(plugin);
    expect(await sandbox.warm({ plugin, limits }, preparedMax)).toMatchObject({ prepared: preparedMax });
    expect(await sandbox.warm({ plugin, limits }, preparedMax + 1)).toMatchObject({ prepared: preparedMax });
  });

  test('are kept up to the bound of the thread, and then the one used longest ago goes', async () => {
    const plugin = compileText(counter);
    const sourceOf = async (key: string): Promise<string> =>
      (await run(plugin, { instance: reuse(key) })).usage.instanceSource;
    for (let n = 0; n < keptMax; n++) expect(await sourceOf(`k${n}`)).not.toBe('REUSED');
    expect(await sourceOf('k0')).toBe('REUSED');
    expect(sandbox.counts(plugin.key)).toMatchObject({ kept: keptMax });
    expect(await sourceOf('one more')).not.toBe('REUSED');
    expect(sandbox.counts(plugin.key)).toMatchObject({ kept: keptMax });
    expect(await sourceOf('k0')).toBe('REUSED');
    expect(await sourceOf('k1')).not.toBe('REUSED');
  });

  test('are kept as long as their memories together fit', async () => {
    const mebibytes = 64;
    const plugin = compileText(`(module (memory ${mebibytes * 16}) (func (export "run")))`);
    const fit = keptBytesMax / (mebibytes * 1_048_576);
    for (let n = 0; n < fit; n++) await run(plugin, { instance: { ...reuse(`k${n}`), warm: 0 } });
    expect(sandbox.counts(plugin.key)).toEqual({ prepared: 0, kept: fit, keptBytes: keptBytesMax });
    await run(plugin, { instance: { ...reuse('one more'), warm: 0 } });
    expect(sandbox.counts(plugin.key)).toEqual({ prepared: 0, kept: fit, keptBytes: keptBytesMax });
    expect((await run(plugin, { instance: reuse('one more') })).usage.instanceSource).toBe('REUSED');
    expect((await run(plugin, { instance: reuse('k0') })).usage.instanceSource).not.toBe('REUSED');
  });

  test('keep variables and all else in a session, and share nothing with another', async () => {
    const plugin = compileText(counter);
    const outputs = [];
    for (const key of ['s', 's', 't', 's', 't'])
      outputs.push(outputText(await run(plugin, { instance: session(key) })));
    expect(outputs).toEqual(['aaaa', 'bbbb', 'aaaa', 'cccc', 'bbbb']);
  });

  test.each([
    ['traps', '(func (export "bad") unreachable)', {}],
    ['runs out of fuel', '(func (export "bad") (loop (br 0)))', { limits: { fuel: 1_000_000 } }],
  ])('are thrown away when a call %s', async (_what, bad, options) => {
    const plugin = compileText(counter.replace('(func (export "run")', `${bad} (func (export "run")`));
    expect(outputText(await run(plugin, { instance: session() }))).toBe('aaaa');
    expect((await run(plugin, { instance: session(), functionName: 'bad', ...options })).name).not.toBe('OK');
    expect(outputText(await run(plugin, { instance: session() }))).toBe('aaaa');
  });

  test('are thrown away when a call is stopped', async () => {
    const plugin = compileText(
      counter.replace('(func (export "run")', '(func (export "bad") (loop (br 0))) (func (export "run")'),
    );
    await run(plugin, { instance: session() });
    const stopping = new AbortController();
    const running = sandbox.run(callOf(plugin, { instance: session(), functionName: 'bad' }), {
      signal: stopping.signal,
      report: () => {},
    });
    stopping.abort(new AbortReason('CANCELED'));
    expect((await running).outcome.name).toBe('CANCELED');
    expect(outputText(await run(plugin, { instance: session() }))).toBe('aaaa');
  });

  test('are let go of when their plugin is forgotten, and the plugin may be called again', async () => {
    const plugin = compileText(counter);
    await run(plugin, { instance: session() });
    await run(plugin, { instance: reuse() });
    expect(sandbox.counts(plugin.key)).toMatchObject({ kept: 2 });
    const [digest] = plugin.key.split('/');
    sandbox.forget(digest as Digest);
    expect(sandbox.counts(plugin.key)).toBeUndefined();
    expect(outputText(await run(plugin, { instance: session() }))).toBe('aaaa');
    expect(sandbox.counts(plugin.key)).toMatchObject({ kept: 1 });
  });

  test('that are kept show a call nothing of the input of the call before', async () => {
    const plugin = compileText(
      guest(`(func (export "run") (call $output_set (call $alloc (i64.const 4096)) (i64.const 4096)))
        (func (export "echo") (call $output_set (call $input_offset) (call $input_length)))`),
    );
    await run(plugin, { instance: reuse(), functionName: 'echo', input: 'S'.repeat(4096) });
    const outcome = await run(plugin, { instance: reuse() });
    expect(outcome.usage.instanceSource).toBe('REUSED');
    expect(outputText(outcome)).toBe('\0'.repeat(4096));
  });
});

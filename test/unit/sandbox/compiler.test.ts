import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { digestOf } from '../../../src/base/digest.ts';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import { wasmPageBytes } from '../../../src/model/limits.ts';
import { Compiler, type CompilerOptions } from '../../../src/sandbox/compiler.ts';
import type { ComposedModule } from '../../../src/sandbox/kernel/compose.ts';
import { modulePolicyDefault } from '../../../src/wasm/policy.ts';
import { expectThreads, outputText, runIn, SandboxSet, echoGuest } from '../../helpers/sandbox.ts';
import { wat } from '../../helpers/wat.ts';

const memoryBytes = 10 * wasmPageBytes;

function start(options: Partial<CompilerOptions> = {}): Promise<Compiler> {
  return Compiler.start({ clock: systemClock, policy: modulePolicyDefault, ...options });
}

/** A clock whose timers ring at once, so that every job has taken too long. */
const hasty: Clock = { ...systemClock, after: (ms, callback) => systemClock.after(ms === 4_321 ? 0 : ms, callback) };

/** A module that takes V8 long to validate: one function of many instructions. */
function slowModule(): Uint8Array<ArrayBuffer> {
  return wat(`(module (func (export "run") ${'(drop (i32.add (i32.const 1) (i32.const 2)))'.repeat(50_000)}))`);
}

describe('Compiler', () => {
  test('compiles modules that sandboxes run', async () => {
    await using sandboxes = new SandboxSet();
    await using compiler = await start();
    const bytes = wat(echoGuest);
    const { composed } = await compiler.analyse(bytes, memoryBytes);
    if (composed === undefined) throw new Error('Something stands against the module');
    const plugin = await compiler.compile({ digest: digestOf(bytes), memoryBytes, composed });
    expect(plugin.key).toBe(`${digestOf(bytes)}/${memoryBytes}`);
    expect(composed.bytes.length).toBeGreaterThan(bytes.length);
    const sandbox = await sandboxes.start();
    expect(outputText((await runIn(sandbox, plugin, { input: 'compiled' })).outcome)).toBe('compiled');
    await compiler[Symbol.asyncDispose]();
    expect(outputText((await runIn(sandbox, plugin, { input: 'still there' })).outcome)).toBe('still there');
  });

  test('analyses good and bad modules, and leaves the bytes to the caller', async () => {
    await using compiler = await start();
    const bytes = wat('(module (memory 3))');
    expect(await compiler.analyse(bytes, memoryBytes)).toMatchObject({
      problems: [],
      info: { memories: [{ minPages: 3 }] },
    });
    expect(await compiler.analyse(bytes, wasmPageBytes)).toMatchObject({ problems: [{ reason: 'MEMORY_OVER_LIMIT' }] });
    expect(await compiler.analyse(Buffer.from('no module'), memoryBytes)).toMatchObject({
      problems: [{ reason: 'WASM_NOT_WASM' }],
    });
    expect(bytes.length).toBeGreaterThan(8);
  });

  test('rejects to compile bytes that V8 refuses', async () => {
    await using compiler = await start();
    const bytes = wat(echoGuest);
    const { composed } = await compiler.analyse(bytes, memoryBytes);
    const broken = { ...(composed as ComposedModule), bytes: Uint8Array.of(0, 0x61, 0x73, 0x6d) };
    await expect(compiler.compile({ digest: digestOf(bytes), memoryBytes, composed: broken })).rejects.toMatchObject({
      reason: 'INTERNAL',
    });
  });

  test('has another identity with another policy, and the same with the same', async () => {
    await using compiler = await start();
    await using same = await start();
    await using other = await start({ policy: { ...modulePolicyDefault, allowedFeatures: ['memory64'] } });
    expect(compiler.identity).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(same.identity).toBe(compiler.identity);
    expect(other.identity).not.toBe(compiler.identity);
  });

  test('holds to its policy', async () => {
    await using compiler = await start({ policy: { ...modulePolicyDefault, allowedFeatures: ['memory64'] } });
    expect((await compiler.analyse(wat('(module (memory i64 1))'), memoryBytes)).problems).toEqual([]);
  });

  test('gives up a module that takes too long, and does the others', async () => {
    await using compiler = await start({ clock: hasty, timeMsMax: 4_321 });
    const module = slowModule();
    const slow = compiler.analyse(module, memoryBytes);
    await expect(slow).rejects.toMatchObject({
      reason: 'WASM_TOO_SLOW',
      message: `Checking and rewriting the module of ${module.length} bytes took longer than 4321 ms, the most that is allowed`,
    });
    await expectThreads(0);
  });

  test('goes on with a new thread after one that took too long', async () => {
    let isHasty = true;
    const clock: Clock = {
      ...systemClock,
      after: (ms, callback) => systemClock.after(ms === 4_321 && isHasty ? 0 : ms, callback),
    };
    await using compiler = await start({ clock, timeMsMax: 4_321 });
    const slow = compiler.analyse(slowModule(), memoryBytes);
    const next = compiler.analyse(wat('(module)'), memoryBytes);
    isHasty = false;
    await expect(slow).rejects.toMatchObject({ reason: 'WASM_TOO_SLOW' });
    expect((await next).problems).toEqual([]);
    expect((await compiler.analyse(wat('(module)'), memoryBytes)).problems).toEqual([]);
    await expectThreads(1);
  });

  test('turns jobs away when its line is full, and takes them again when there is room', async () => {
    await using compiler = await start({ queueMax: 2 });
    const job = () => compiler.analyse(wat('(module)'), memoryBytes);
    const jobs = [job(), job(), job()];
    await expect(job()).rejects.toMatchObject({ reason: 'QUEUE_FULL', metadata: { queueLength: '2' } });
    await Promise.all(jobs);
    expect((await job()).problems).toEqual([]);
  });

  test('lets those leave whose signal aborts, waiting or not', async () => {
    await using compiler = await start({ queueMax: 2 });
    const stopping = new AbortController();
    const running = compiler.analyse(slowModule(), memoryBytes, stopping.signal);
    const waiting = compiler.analyse(wat('(module)'), memoryBytes, stopping.signal);
    const other = compiler.analyse(wat('(module)'), memoryBytes);
    stopping.abort(new AbortReason('DEADLINE'));
    await expect(running).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    await expect(waiting).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    await expect(compiler.analyse(wat('(module)'), memoryBytes, stopping.signal)).rejects.toMatchObject({
      reason: 'DEADLINE_EXCEEDED',
    });
    const inItsPlace = compiler.analyse(wat('(module)'), memoryBytes);
    expect((await other).problems).toEqual([]);
    expect((await inItsPlace).problems).toEqual([]);
    expect(getEventListeners(stopping.signal, 'abort')).toEqual([]);
  });

  test('closed refuses all jobs, and leaves no thread', async () => {
    const compiler = await start();
    const running = compiler.analyse(slowModule(), memoryBytes);
    const waiting = compiler.analyse(wat('(module)'), memoryBytes);
    const refused = Promise.all(
      [running, waiting].map((job) => expect(job).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' })),
    );
    await compiler[Symbol.asyncDispose]();
    await refused;
    await compiler[Symbol.asyncDispose]();
    await expect(compiler.analyse(wat('(module)'), memoryBytes)).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' });
    await expectThreads(0);
  });
});

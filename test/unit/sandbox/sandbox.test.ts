import { getEventListeners } from 'node:events';
import { describe, expect, test, vi } from 'vitest';
import { AbortReason, type StopKind } from '../../../src/model/abort-reason.ts';
import { wasmPageBytes } from '../../../src/model/limits.ts';
import { Sandbox } from '../../../src/sandbox/sandbox.ts';
import { WorkerThread } from '../../../src/sandbox/worker-thread.ts';
import { ManualClock } from '../base/manual-clock.ts';
import {
  callOf,
  compileText,
  echoGuest,
  expectSound,
  guest,
  kindOf,
  outputText,
  runIn,
  SandboxSet,
} from '../../helpers/sandbox.ts';

const noReport = { report: () => {} };
const never = new AbortController().signal;
const returning = (code: number): string => guest(`(func (export "run") (result i32) (i32.const ${code}))`);
const spinning = guest(`(func (export "run")
  (drop (memory.grow (i32.const 2)))
  (call $progress (f64.const 0.5) (i64.const 0) (i64.const 0))
  (loop (br 0)))`);
/** The function "run" of a guest: behind 25 imports, $block and $output. */
const runIndex = 27;
/** However slow this machine is, a thread that answers is not ended. */
const patience = 20_000;

/** Resolves with the abort controller of a run once its guest has reported something. */
async function runUntilReport(sandbox: Awaited<ReturnType<SandboxSet['start']>>, text: string) {
  const stopping = new AbortController();
  const { promise: reported, resolve } = Promise.withResolvers<void>();
  const running = sandbox.run(callOf(compileText(text)), { signal: stopping.signal, report: () => resolve() });
  await reported;
  return { stopping, running };
}

describe('Sandbox.run', () => {
  test('runs one call after the other in one thread', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start();
    expect(sandbox.state).toBe('idle');
    const running = runIn(sandbox, echoGuest, { input: 'one' });
    expect(sandbox.state).toBe('running');
    expect(outputText((await running).outcome)).toBe('one');
    expect(sandbox.state).toBe('idle');
    expect(outputText((await runIn(sandbox, echoGuest, { input: 'two' })).outcome)).toBe('two');
  });

  test('answers with times, and with a receipt that has neither queue nor wall time', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start();
    const { outcome, timings } = await sandbox.run(callOf(compileText(echoGuest), { input: 'abc' }), {
      signal: never,
      ...noReport,
    });
    expect(outcome.usage).toMatchObject({
      wallMs: 0,
      queueMs: 0,
      inputBytes: 3,
      outputBytes: 3,
      memoryPeakBytes: wasmPageBytes,
    });
    expect(outcome.usage.runMs).toBeGreaterThan(0);
    expect(timings?.guestEndMs).toBeGreaterThanOrEqual(timings?.instanceStartMs ?? Number.NaN);
  });

  test('leaves the caller its input, and gives nothing of the buffer around it', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start();
    const around = Buffer.from('secret input secret');
    const input = around.subarray(7, 12);
    expect(outputText((await runIn(sandbox, echoGuest, { input })).outcome)).toBe('input');
    expect(around.toString()).toBe('secret input secret');
  });

  test('reports events in order, before the outcome', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start();
    const { outcome, events } = await runIn(
      sandbox,
      guest(`(data (i32.const 0) "ab") (func (export "run")
        (call $log_info (call $block (i32.const 0) (i32.const 1)))
        (call $progress (f64.const 0.5) (i64.const 0) (i64.const 0))
        (call $log_info (call $block (i32.const 1) (i32.const 1))))`),
    );
    expect(outcome.usage).toMatchObject({ hostCalls: 3, progressEvents: 1, logBytes: 2 });
    expect(events).toMatchObject([{ message: 'a' }, { fraction: 0.5 }, { message: 'b' }]);
  });

  test('lets no event wait for another once they are taken', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start();
    const logging = guest(`(func (export "run") (local $i i32) (loop $l (call $log_info (i64.const 0))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300)))))`);
    expect((await runIn(sandbox, logging)).events).toHaveLength(300);
    const report = (fraction: number): string => `(call $progress (f64.const ${fraction}) (i64.const 0) (i64.const 0))`;
    const { outcome, events } = await runIn(sandbox, guest(`(func (export "run") ${report(0.25)} ${report(0.75)})`));
    expect(events).toMatchObject([{ fraction: 0.25 }, { fraction: 0.75 }]);
    expect(outcome.usage.progressCoalesced).toBe(0);
  });

  test('rejects what the host cannot do, and stays usable', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start();
    await expect(runIn(sandbox, echoGuest, { functionName: 'absent' })).rejects.toMatchObject({
      reason: 'FUNCTION_NOT_FOUND',
    });
    expect(sandbox.state).toBe('idle');
    await expectSound(sandbox);
  });

  test('refuses a second call at the same time', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start();
    const first = runIn(sandbox, echoGuest, { input: 'first' });
    await expect(runIn(sandbox, echoGuest)).rejects.toThrow('Sandbox 1 runs one call at a time');
    expect(outputText((await first).outcome)).toBe('first');
  });

  test('keeps modules in the thread by key, and forgets those used longest ago', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start();
    const code = async (plugin: ReturnType<typeof compileText>): Promise<string> => {
      const { outcome } = await runIn(sandbox, plugin);
      return outcome.name === 'OK' ? '' : outcome.error.message;
    };
    const kept = compileText(returning(1));
    const impostor = { ...compileText(returning(2)), key: kept.key };
    expect(await code(kept)).toBe('The function returned 1');
    expect(await code(impostor)).toBe('The function returned 1');
    for (let other = 0; other < 31; other++) await code(compileText(returning(100 + other)));
    expect(await code(impostor)).toBe('The function returned 1');
    for (let other = 0; other < 32; other++) await code(compileText(returning(200 + other)));
    expect(await code(impostor)).toBe('The function returned 2');
  });
});

describe('Sandbox.run, aborted', () => {
  test('before it began has the outcome, and leaves the thread alone', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start();
    const signal = AbortSignal.abort(new AbortReason('DEADLINE'));
    const { outcome, timings } = await sandbox.run(callOf(compileText(echoGuest), { input: 'abc' }), {
      signal,
      ...noReport,
    });
    expect(outcome).toMatchObject({ name: 'CANCELED', error: { kind: 'DEADLINE' }, usage: { inputBytes: 3 } });
    expect(timings).toBeUndefined();
    expect(sandbox.state).toBe('idle');
    await expectSound(sandbox);
  });

  test.each([
    ['TIMEOUT', 'TIMED_OUT'],
    ['CANCELED', 'CANCELED'],
    ['DISCONNECTED', 'CANCELED'],
    ['DEADLINE', 'CANCELED'],
    ['SHUTDOWN', 'CANCELED'],
  ] as const satisfies readonly (readonly [StopKind, string])[])(
    'with %s has the outcome %s, and the thread lives on',
    async (kind, name) => {
      await using sandboxes = new SandboxSet();
      const sandbox = await sandboxes.start({ stopGraceMs: patience });
      const { stopping, running } = await runUntilReport(sandbox, spinning);
      stopping.abort(new AbortReason(kind, 'because'));
      expect(sandbox.state).toBe('stopping');
      const { outcome, timings } = await running;
      expect(sandbox.state).toBe('idle');
      expect(outcome).toMatchObject({ name, error: { kind, message: 'because' }, usage: { fuelIsLowerBound: false } });
      expect(outcome.name !== 'OK' && outcome.error.guestStack.at(-1)?.functionIndex).toBe(runIndex);
      expect(timings?.guestEndMs).toBeGreaterThan(0);
      await expectSound(sandbox);
    },
  );

  test('again and again has the outcome each time, and nothing of it is left for the next call', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start({ stopGraceMs: patience });
    for (let round = 0; round < 20; round++) {
      const { stopping, running } = await runUntilReport(sandbox, spinning);
      stopping.abort(new AbortReason('CANCELED'));
      expect(kindOf((await running).outcome)).toBe('CANCELED');
      await expectSound(sandbox);
    }
  });

  test('when the guest has just ended has the outcome of the guest', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start({ stopGraceMs: patience });
    const stopping = new AbortController();
    const last = guest('(func (export "run") (result i32) (call $log_info (i64.const 0)) (i32.const 7))');
    const { outcome } = await sandbox.run(callOf(compileText(last)), {
      signal: stopping.signal,
      report: () => stopping.abort(new AbortReason('TIMEOUT')),
    });
    expect(outcome).toMatchObject({ name: 'PLUGIN_ERROR', error: { kind: 'NONZERO_EXIT' } });
    expect(sandbox.state).toBe('idle');
    await expectSound(sandbox);
  });

  test('has a receipt of what the guest did until then', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start({ stopGraceMs: patience });
    const { stopping, running } = await runUntilReport(sandbox, spinning);
    stopping.abort(new AbortReason('TIMEOUT'));
    const { usage } = (await running).outcome;
    expect(usage).toMatchObject({ hostCalls: 1, progressEvents: 1, memoryPeakBytes: 3 * wasmPageBytes });
    expect(usage.runMs).toBeGreaterThan(0);
    expect(usage.fuel).toBeGreaterThan(0);
  });

  test('after it ended changes nothing, and no listener is left', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start();
    const stopping = new AbortController();
    await sandbox.run(callOf(compileText(echoGuest)), { signal: stopping.signal, ...noReport });
    expect(getEventListeners(stopping.signal, 'abort')).toEqual([]);
    stopping.abort(new AbortReason('CANCELED'));
    expect(sandbox.state).toBe('idle');
    await expectSound(sandbox);
  });
});

describe('Sandbox.run, aborted while the thread is stuck', () => {
  /** A sandbox whose thread never answers, in the middle of its call. */
  async function stuck(clock: ManualClock) {
    const start = WorkerThread.start.bind(WorkerThread);
    const entry = new URL('./fixtures/stuck-thread.ts', import.meta.url);
    using _spy = vi.spyOn(WorkerThread, 'start').mockImplementation((options) => start({ ...options, entry }));
    const sandbox = await Sandbox.start({ clock, id: 1 });
    const call = callOf(compileText(echoGuest), { input: 'abc' });
    const stopping = new AbortController();
    const { promise: reported, resolve } = Promise.withResolvers<void>();
    const running = sandbox.run(call, { signal: stopping.signal, report: () => resolve() });
    await reported;
    return { sandbox, stopping, running };
  }

  test('has the outcome of the stop once the grace is over, and the thread is ended', async () => {
    const clock = new ManualClock();
    const { sandbox, stopping, running } = await stuck(clock);
    await using _sandbox = sandbox;
    let isOver = false;
    void running.then(() => {
      isOver = true;
    });
    await clock.advance(1_000);
    stopping.abort(new AbortReason('TIMEOUT', 'because'));
    await clock.advance(49);
    expect([isOver, sandbox.state]).toEqual([false, 'stopping']);
    await clock.advance(1);
    const { outcome, timings } = await running;
    expect(outcome).toMatchObject({
      name: 'TIMED_OUT',
      error: { kind: 'TIMEOUT', message: 'because', guestStack: [] },
    });
    expect(outcome.usage).toMatchObject({
      inputBytes: 3,
      hostCalls: 3,
      fuel: 2_000_000,
      fuelIsLowerBound: true,
      runMs: 1_050,
    });
    expect(timings).toBeUndefined();
    await sandbox.ended;
    expect(sandbox.state).toBe('dead');
    expect(clock.timers).toBe(0);
  });

  test('refuses further calls', async () => {
    const clock = new ManualClock();
    const { sandbox, stopping, running } = await stuck(clock);
    await using _sandbox = sandbox;
    stopping.abort(new AbortReason('CANCELED'));
    await expect(runIn(sandbox, echoGuest)).rejects.toMatchObject({ reason: 'SANDBOX_CRASHED' });
    await clock.advance(50);
    await running;
    await expect(runIn(sandbox, echoGuest)).rejects.toMatchObject({ reason: 'SANDBOX_CRASHED' });
    await sandbox.ended;
    await expect(runIn(sandbox, echoGuest)).rejects.toMatchObject({ reason: 'SANDBOX_CRASHED' });
  });

  test('and then closed rejects the call, and no timer is left', async () => {
    const clock = new ManualClock();
    const { sandbox, stopping, running } = await stuck(clock);
    stopping.abort(new AbortReason('CANCELED'));
    const refused = expect(running).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' });
    await sandbox[Symbol.asyncDispose]();
    await refused;
    expect(clock.timers).toBe(0);
  });
});

describe('Sandbox', () => {
  test('whose thread dies by itself rejects the call', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start({ heapMb: 16 });
    // Every level holds the exception that it caught: the thread's heap fills.
    const values = '(i64.const 1) '.repeat(500);
    const holding = `(module (tag $t (param ${'i64 '.repeat(500)})) (func $deeper (export "run")
      (try (do ${values} (throw $t)) (catch_all (call $deeper) (rethrow 0)))))`;
    await expect(runIn(sandbox, holding)).rejects.toMatchObject({
      reason: 'SANDBOX_CRASHED',
      cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' },
    });
    await sandbox.ended;
    expect(sandbox.state).toBe('dead');
  });

  test('closed during a call rejects it, and may be closed again', async () => {
    await using sandboxes = new SandboxSet();
    const sandbox = await sandboxes.start();
    const { running } = await runUntilReport(sandbox, spinning);
    const closing = sandbox[Symbol.asyncDispose]();
    await expect(running).rejects.toMatchObject({ reason: 'SHUTTING_DOWN' });
    await closing;
    await sandbox[Symbol.asyncDispose]();
    await sandbox.ended;
    expect(sandbox.state).toBe('dead');
  });

  test('with more stack lets guests nest more deeply', async () => {
    await using sandboxes = new SandboxSet();
    const small = await sandboxes.start({ stackMb: 1 });
    const large = await sandboxes.start({ stackMb: 16 });
    const nesting = guest(`(func $down (param $n i32) (if (local.get $n)
        (then (call $down (i32.sub (local.get $n) (i32.const 1))))))
      (func (export "run") (call $down (i32.const 60000)))`);
    expect(kindOf((await runIn(small, nesting)).outcome)).toBe('STACK_OVERFLOW');
    expect(kindOf((await runIn(large, nesting)).outcome)).toBe('OK');
  });
});

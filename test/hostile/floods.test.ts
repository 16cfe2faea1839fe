import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixedLimits, runLimitRanges } from '../../src/model/limits.ts';
import { untakenMax } from '../../src/sandbox/thread/event-sink.ts';
import { callOf, compileText, guest } from '../helpers/sandbox.ts';
import { Arena } from './arena.ts';

let arena: Arena;
beforeAll(async () => {
  arena = await Arena.open();
});
afterAll(() => arena[Symbol.asyncDispose]());

/** Does something so many times. */
const times = (count: number, code: string): string =>
  `(local $i i32) (loop $l ${code} (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${count}))))`;

describe('A guest that floods the kernel with blocks', () => {
  test.each([1, 7, 1_000, 100_000])('of %d bytes is stopped at the limit', async (bytes) => {
    const text = guest(`(func (export "run") (loop (drop (call $alloc (i64.const ${bytes}))) (br 0)))`);
    const { outcome } = await arena.withstand({ guest: text, ends: 'KERNEL_MEMORY' });
    expect(outcome).toMatchObject({ name: 'MEMORY_EXHAUSTED' });
  });

  test('cannot catch that', async () => {
    const text = guest(
      '(func (export "run") (loop $l (try (do (drop (call $alloc (i64.const 1000)))) (catch_all)) (br $l)))',
    );
    await arena.withstand({ guest: text, ends: 'KERNEL_MEMORY' });
  });

  test('but frees them again takes 10 million without harm', async () => {
    const text = guest(`(func (export "run") ${times(10_000_000, '(call $free (call $alloc (i64.const 100)))')})`);
    await arena.withstand({ guest: text, ends: 'OK' });
  });

  test('and frees them in another order takes a million of every size', async () => {
    const text = guest(
      `(func (export "run") (local $a i64) (local $b i64) ${times(
        1_000_000,
        `(local.set $a (call $alloc (i64.extend_i32_u (i32.and (local.get $i) (i32.const 0x1fff)))))
       (local.set $b (call $alloc (i64.const 9)))
       (call $free (local.get $a)) (call $free (local.get $b))`,
      ).replace('(local $i i32)', '')})`.replace('(local $a i64)', '(local $i i32) (local $a i64)'),
    );
    await arena.withstand({ guest: text, ends: 'OK' });
  });

  test('that variables come back in takes 300,000 without harm', async () => {
    const text = guest(`(data (i32.const 0) "v") (func (export "run")
      (local $i i32)
      (call $var_set (call $block (i32.const 0) (i32.const 1)) (call $alloc (i64.const 500)))
      (loop $l (call $free (call $var_get (call $block (i32.const 0) (i32.const 1))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300000)))))`);
    const { outcome } = await arena.withstand({ guest: text, ends: 'OK' });
    expect(outcome.usage.hostCalls).toBe(300_001);
  });
});

describe('A guest that floods the log', () => {
  test('is heard up to its limit of bytes, and the rest is counted', async () => {
    const text = guest(`(func (export "run") ${times(100_000, '(call $log_info (call $alloc (i64.const 1000)))')})`);
    const { outcome, events } = await arena.withstand({ guest: text, ends: 'OK' });
    const logBytes = runLimitRanges.logBytes.default;
    expect(events).toHaveLength(Math.floor(logBytes / 1_000));
    expect(outcome.usage).toMatchObject({
      logBytes: events.length * 1_000,
      logLinesDropped: 100_000 - events.length,
      hostCalls: 100_000,
    });
  });

  test('with empty lines is heard up to its number of lines', async () => {
    const text = guest(`(func (export "run") ${times(100_000, '(call $log_info (i64.const 0))')})`);
    const { outcome, events } = await arena.withstand({ guest: text, ends: 'OK' });
    expect(events).toHaveLength(fixedLimits.logLines);
    expect(outcome.usage.logLinesDropped).toBe(100_000 - fixedLimits.logLines);
  });

  test('with enormous lines is cut short', async () => {
    const text = guest(`(func (export "run") ${times(20, '(call $log_info (call $alloc (i64.const 4000000)))')})`);
    const { events } = await arena.withstand({ guest: text, ends: 'OK' });
    for (const event of events) {
      expect(Buffer.byteLength(event.message)).toBeLessThanOrEqual(fixedLimits.logLineBytes);
    }
  });
});

describe('A guest that floods progress', () => {
  const reports = 300_000;
  const flood = guest(
    `(func (export "run") ${times(
      reports,
      `(call $progress (f64.div (f64.convert_i32_u (local.get $i)) (f64.const ${reports - 1})) (i64.const 0) (i64.const 0))`,
    )})`,
  );

  test('is merged to its rate, the newest kept', async () => {
    const { outcome, events } = await arena.withstand({ guest: flood, ends: 'OK' });
    const { usage } = outcome;
    expect(usage).toMatchObject({
      progressEvents: reports,
      progressCoalesced: reports - events.length,
      hostCalls: reports,
    });
    expect(events.length).toBeLessThanOrEqual(fixedLimits.progressPerSecond * (1 + usage.runMs / 1_000));
    expect(events.at(-1)).toMatchObject({ type: 'progress', fraction: 1 });
  });

  test('while the main thread takes nothing queues no more than a window of events', async () => {
    const plugin = compileText(flood);
    const { outcome, events } = await arena.withSandbox(async (sandbox) => {
      const events: unknown[] = [];
      const run = { signal: new AbortController().signal, report: (event: unknown) => void events.push(event) };
      const running = sandbox.run(callOf(plugin), run);
      // The main thread sleeps, as if it were busy, until the guest is surely done.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000);
      return { outcome: (await running).outcome, events };
    });
    expect(outcome.name).toBe('OK');
    // One more is sent at the end of the call.
    expect(events.length).toBeLessThanOrEqual(untakenMax + 1);
    expect(events.at(-1)).toMatchObject({ fraction: 1 });
    expect(outcome.usage).toMatchObject({ progressEvents: reports, progressCoalesced: reports - events.length });
    await arena.expectSound();
  });

  test('with huge messages and data is cut short', async () => {
    const text = guest(
      `(func (export "run") ${times(
        50,
        '(call $progress (f64.const nan) (call $alloc (i64.const 100000)) (call $alloc (i64.const 100000)))',
      )})`,
    );
    const { events } = await arena.withstand({ guest: text, ends: 'OK' });
    for (const event of events) {
      expect(event.type === 'progress' && event.data.length).toBe(fixedLimits.progressDataBytes);
      expect(Buffer.byteLength(event.message)).toBeLessThanOrEqual(fixedLimits.progressMessageBytes);
    }
  });
});

describe('A guest that floods variables', () => {
  test('is stopped at their limit', async () => {
    const text = guest(`(func (export "run") (loop
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
      (i32.store8 (i32.const 4) (i32.and (i32.load (i32.const 0)) (i32.const 0x7f)))
      (call $var_set (call $block (i32.const 4) (i32.const 1)) (call $alloc (i64.const 100000)))
      (br 0)))`);
    const { outcome } = await arena.withstand({ guest: text, ends: 'GUEST_ERROR' });
    expect(outcome).toMatchObject({ error: { message: expect.stringContaining('Variable store is full') } });
  });
});

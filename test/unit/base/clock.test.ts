import { spawnSync } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';

/** Runs code with the clock in a process of its own and answers with what it printed. */
function run(code: string): string {
  const script = `const { systemClock } = await import('./src/base/clock.ts'); ${code}`;
  const root = join(import.meta.dirname, '../../..');
  const child = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: root,
    encoding: 'utf8',
    timeout: 20_000,
  });
  expect(child).toMatchObject({ status: 0, stderr: '' });
  return child.stdout;
}

describe('systemClock', () => {
  test('tells the time since 1970 to within a second', () => {
    expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1_000);
  });

  test('never runs backwards', () => {
    let last = systemClock.monotonic();
    for (let at = 0; at < 1_000; at++) {
      const next = systemClock.monotonic();
      expect(next).toBeGreaterThanOrEqual(last);
      last = next;
    }
  });
});

describe('systemClock.sleep', () => {
  test('resolves no sooner than asked, and leaves no listener', async () => {
    const { signal } = new AbortController();
    const startMs = systemClock.monotonic();
    await systemClock.sleep(20, signal);
    expect(systemClock.monotonic() - startMs).toBeGreaterThanOrEqual(18);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('rejects with the reason when the signal aborts meanwhile', async () => {
    const stopping = new AbortController();
    const slept = systemClock.sleep(60_000, stopping.signal);
    const reason = new Error('stop');
    stopping.abort(reason);
    await expect(slept).rejects.toBe(reason);
  });

  test('rejects when the signal had aborted before', async () => {
    const reason = new Error('stop');
    await expect(systemClock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  test('keeps no process alive once it was aborted', () => {
    const printed = run(`
      const stopping = new AbortController();
      const slept = systemClock.sleep(3600000, stopping.signal).catch((error) => console.log(error.message));
      stopping.abort(new Error('stopped'));
    `);
    expect(printed).toBe('stopped\n');
  });
});

describe('systemClock.after', () => {
  test('calls once', async () => {
    let calls = 0;
    systemClock.after(1, () => calls++);
    await systemClock.sleep(30);
    expect(calls).toBe(1);
  });

  test('does not call once it is disposed', async () => {
    let calls = 0;
    systemClock.after(1, () => calls++)[Symbol.dispose]();
    await systemClock.sleep(30);
    expect(calls).toBe(0);
  });

  test('does not fire at once for more time than a timer can hold', async () => {
    let calls = 0;
    using _timer = systemClock.after(Number.MAX_SAFE_INTEGER, () => calls++);
    await systemClock.sleep(30);
    expect(calls).toBe(0);
  });

  test('keeps the process alive only if asked to', () => {
    expect(run(`systemClock.after(3600000, () => {});`)).toBe('');
    expect(run(`systemClock.after(50, () => console.log('called'), { keepAlive: true });`)).toBe('called\n');
  });
});

import { describe, expect, test } from 'vitest';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import type { PluginVersion } from '../../../src/model/plugin.ts';
import { HookRunner, type LifecycleHook } from '../../../src/plugins/hooks.ts';
import { execErrorOf, ManualClock, MemoryLog } from './fakes.ts';

const live = new AbortController().signal;
const version = { manifest: { name: 'echo', version: '1.0.0' } } as PluginVersion;

function hook(fields: Partial<LifecycleHook>): LifecycleHook {
  return { name: 'test', phase: 'preLoad', priority: 0, critical: true, timeoutMs: 1_000, run: () => {}, ...fields };
}

function runner(hooks: readonly LifecycleHook[], clock = new ManualClock(), log = new MemoryLog()): HookRunner {
  return new HookRunner({ hooks, clock, log });
}

describe('HookRunner', () => {
  test('runs the hooks of a phase by priority, equal ones as registered, and waits for each', async () => {
    const ran: string[] = [];
    const named = (name: string, priority: number): LifecycleHook =>
      hook({
        name,
        priority,
        run: async () => {
          await Promise.resolve();
          ran.push(name);
        },
      });
    const hooks = [
      named('low', -5),
      named('first', 1),
      named('second', 1),
      named('high', 9),
      hook({ phase: 'postLoad', run: () => void ran.push('other') }),
    ];
    await runner(hooks).run('preLoad', version, live);
    expect(ran).toEqual(['high', 'first', 'second', 'low']);
  });

  test('stops at a critical hook that fails, and goes on after others', async () => {
    const ran: string[] = [];
    const log = new MemoryLog();
    const hooks = [
      hook({ name: 'a', priority: 3, critical: false, run: () => Promise.reject(new Error('a')) }),
      hook({
        name: 'b',
        priority: 2,
        run: () => {
          throw new Error('b');
        },
      }),
      hook({ name: 'c', priority: 1, run: () => void ran.push('c') }),
    ];
    const error = await execErrorOf(() => runner(hooks, new ManualClock(), log).run('preLoad', version, live));
    expect(error.message).toBe('The preLoad hook "b" failed: b');
    expect(error.metadata).toEqual({ hook: 'b', phase: 'preLoad' });
    expect(ran).toEqual([]);
    expect(log.lines.map(({ level, text, fields }) => [level, text, fields['hook']])).toEqual([
      ['warn', 'Lifecycle hook failed', 'a'],
      ['error', 'Critical lifecycle hook failed', 'b'],
    ]);
    await runner(hooks).runAll('preLoad', version, live);
    expect(ran).toEqual(['c']);
  });

  test('gives up a hook that takes too long, and tells it', async () => {
    const clock = new ManualClock();
    let told: unknown;
    const stuck = hook({
      name: 'stuck',
      run: (_, signal) => {
        signal.addEventListener('abort', () => (told = signal.reason));
        return new Promise(() => {});
      },
    });
    const running = execErrorOf(() => runner([stuck], clock).run('preLoad', version, live));
    clock.advance(999);
    expect(told).toBeUndefined();
    clock.advance(1);
    const error = await running;
    expect(error.reason).toBe('LIFECYCLE_HOOK_FAILED');
    expect(error.message).toBe('The preLoad hook "stuck" failed: it took longer than 1000 ms');
    expect(told).toBe(error);
    expect(clock.timers).toBe(0);
  });

  test('stops waiting when the registry closes', async () => {
    const closing = new AbortController();
    const running = execErrorOf(() =>
      runner([hook({ run: () => new Promise(() => {}) })]).run('preLoad', version, closing.signal),
    );
    closing.abort(new AbortReason('SHUTDOWN'));
    expect((await running).reason).toBe('SHUTTING_DOWN');
  });

  test('keeps the reason of an ExecError and makes any other failure LIFECYCLE_HOOK_FAILED, on one bounded line', async () => {
    const failing = (thrown: unknown): Promise<ExecError> =>
      execErrorOf(() => runner([hook({ run: () => Promise.reject(thrown as Error) })]).run('preLoad', version, live));
    expect((await failing(new ExecError('PLUGIN_CORRUPT', 'bad'))).reason).toBe('PLUGIN_CORRUPT');
    const long = await failing(new Error(`x\n${'y'.repeat(5_000)}`));
    expect(long.reason).toBe('LIFECYCLE_HOOK_FAILED');
    expect(long.message).not.toContain('\n');
    expect(long.message.length).toBeLessThan(600);
    expect((await failing('text')).message).toBe(
      'The preLoad hook "test" failed: it threw something that is not an Error',
    );
  });
});

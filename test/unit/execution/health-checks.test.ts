import { describe, expect, test } from 'vitest';
import { HealthChecks } from '../../../src/execution/health-checks.ts';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import type { Executor } from '../../../src/model/execution.ts';
import { emptyUsage, failedOutcome } from '../../../src/model/outcome.ts';
import type { PluginVersion } from '../../../src/model/plugin.ts';
import { ManualClock, settled } from '../base/manual-clock.ts';
import { MemoryLog } from '../plugins/fakes.ts';
import { grants, ok, SteeredExecutor, version } from './fakes.ts';

const functions = ['echo', 'health_check'];

function checked(name: string, manifest: Omit<Partial<PluginVersion['manifest']>, 'functions'> = {}): PluginVersion {
  return version({ ...manifest, name, functions });
}

interface Setup extends AsyncDisposable {
  readonly clock: ManualClock;
  readonly executor: SteeredExecutor;
  readonly log: MemoryLog;
  /** What was noted, "name: failure". */
  readonly noted: string[];
  readonly running: Set<PluginVersion>;
  /** Names of the plugins whose checks have begun. */
  begun(): readonly string[];
}

function setUp(...versions: readonly PluginVersion[]): Setup {
  return setUpWith({}, ...versions);
}

function setUpWith(options: { readonly executor?: Executor }, ...versions: readonly PluginVersion[]): Setup {
  const clock = new ManualClock();
  const executor = new SteeredExecutor();
  const log = new MemoryLog();
  const noted: string[] = [];
  const running = new Set(versions);
  const checks = new HealthChecks({
    executor: options.executor ?? executor,
    plugins: {
      running: () => [...running],
      health: (one) => (running.has(one) ? { state: 'HEALTHY', reasons: [], changedMs: 0 } : undefined),
      noteCheck: (one, failure) => noted.push(`${one.manifest.name}: ${failure ?? 'well'}`),
    },
    grants,
    clock,
    log,
  });
  return {
    clock,
    executor,
    log,
    noted,
    running,
    begun: () => executor.runs.map(({ action }) => action.version.manifest.name),
    async [Symbol.asyncDispose]() {
      for (const run of executor.runs) run.end(ok());
      await checks[Symbol.asyncDispose]();
      expect(clock.timers).toBe(0);
    },
  };
}

describe('HealthChecks', () => {
  test('run the check of every version that has one, each half a minute, spread over it', async () => {
    await using setup = setUp(checked('a'), version({ name: 'without' }), checked('b'), checked('c'));
    const { clock, executor } = setup;
    await clock.advance(9_999);
    expect(setup.begun()).toEqual([]);
    await clock.advance(1);
    expect(setup.begun()).toEqual(['a']);
    executor.last.end(ok());
    await clock.advance(10_000);
    executor.last.end(ok());
    await clock.advance(10_000);
    executor.last.end(ok());
    expect(setup.begun()).toEqual(['a', 'b', 'c']);
    await clock.advance(10_000);
    expect(setup.begun()).toEqual(['a', 'b', 'c', 'a']);
    executor.last.end(ok());
    await settled();
    expect(setup.noted).toEqual(['a: well', 'b: well', 'c: well', 'a: well']);
  });

  test('find versions that came later', async () => {
    await using setup = setUp();
    await setup.clock.advance(30_000);
    setup.running.add(checked('late'));
    await setup.clock.advance(60_000);
    expect(setup.begun()).toEqual(['late']);
  });

  test('are runs of the server’s own tenant, of five seconds, without input', async () => {
    const own = checked('a', { config: { key: 'value' }, limits: { timeoutMs: 20_000 } });
    await using setup = setUp(own);
    await setup.clock.advance(30_000);
    expect(setup.executor.last.action).toMatchObject({
      tenant: 'caisson',
      function: 'health_check',
      version: own,
      input: new Uint8Array(),
      config: new Map([['key', 'value']]),
      limits: { timeoutMs: 5_000 },
      grant: { tenant: 'caisson' },
      sessionId: '',
    });
  });

  test('have a session of their own for plugins that have sessions', async () => {
    await using setup = setUp(checked('a', { instance: { mode: 'session', warm: 0 } }));
    await setup.clock.advance(30_000);
    expect(setup.executor.last.action.sessionId).toBe('health_check');
  });

  test('run two at once and no more', async () => {
    await using setup = setUp(checked('a'), checked('b'), checked('c'));
    await setup.clock.advance(120_000);
    expect(setup.begun()).toEqual(['a', 'b']);
    setup.executor.runs[0]?.end(ok());
    await setup.clock.advance(10_000);
    expect(setup.begun()).toEqual(['a', 'b', 'c']);
  });

  test.each([
    [
      failedOutcome('NONZERO_EXIT', 'The function returned 1', emptyUsage),
      'health_check failed: The function returned 1',
    ],
    [
      failedOutcome('UNREACHABLE', 'unreachable', emptyUsage),
      'health_check ended with TRAP (UNREACHABLE): unreachable',
    ],
    [
      failedOutcome('TIMEOUT', 'The run lasted longer than limits.timeout, 5 s', emptyUsage),
      'health_check ended with TIMED_OUT (TIMEOUT): The run lasted longer than limits.timeout, 5 s',
    ],
  ])('say what failed, case %#', async (outcome, failure) => {
    await using setup = setUp(checked('a'));
    await setup.clock.advance(30_000);
    setup.executor.last.end(outcome);
    await settled();
    expect(setup.noted).toEqual([`a: ${failure}`]);
  });

  test('note nothing of what the host failed at, and log it once', async () => {
    await using setup = setUp(checked('a'));
    for (let round = 0; round < 3; round++) {
      await setup.clock.advance(30_000);
      setup.executor.last.fail(new ExecError('QUEUE_FULL', 'full'));
    }
    await settled();
    expect(setup.executor.runs).toHaveLength(3);
    expect(setup.noted).toEqual([]);
    expect(setup.log.texts('warn')).toEqual(['A health check could not be run']);
  });

  test('do not run what the policy does not let the server run, and log it once', async () => {
    await using setup = setUp(checked('a', { capabilities: ['http'] }));
    await setup.clock.advance(90_000);
    expect([setup.begun(), setup.noted]).toEqual([[], []]);
    expect(setup.log.texts('warn')).toEqual(['A health check could not be run']);
  });

  test('leave out a version that has stopped meanwhile', async () => {
    await using setup = setUp(checked('a'), checked('b'));
    await setup.clock.advance(1);
    setup.running.clear();
    await setup.clock.advance(30_000);
    expect(setup.begun()).toEqual([]);
  });

  test('stop at their disposal, and say nothing of what they stopped', async () => {
    const signals: AbortSignal[] = [];
    const untilAborted: Executor = {
      execute: (_action, { signal }) =>
        new Promise((resolve) => {
          signals.push(signal);
          const stop = (): void => resolve(failedOutcome(AbortReason.of(signal).kind, '', emptyUsage));
          signal.addEventListener('abort', stop, { once: true });
        }),
    };
    const setup = setUpWith({ executor: untilAborted }, checked('a'));
    await setup.clock.advance(30_000);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    await setup[Symbol.asyncDispose]();
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(setup.noted).toEqual([]);
  });
});

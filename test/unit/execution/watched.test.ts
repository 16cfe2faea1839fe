import { describe, expect, test } from 'vitest';
import { watched } from '../../../src/execution/watched.ts';
import type { ExecutionContext, PreparedAction } from '../../../src/model/execution.ts';
import { emptyUsage, failedOutcome, type Outcome } from '../../../src/model/outcome.ts';
import type { PluginVersion } from '../../../src/model/plugin.ts';
import type { RunFacts } from '../../../src/plugins/health.ts';
import { ok, prepared, version } from './fakes.ts';

const context: ExecutionContext = {
  id: 'execution',
  signal: new AbortController().signal,
  stop: () => {},
  report: () => {},
};

const noRun: Disposable = { [Symbol.dispose]: () => {} };

async function noted(outcome: Outcome, action: PreparedAction = prepared()) {
  const told: (readonly [PluginVersion, RunFacts])[] = [];
  const executor = watched(
    { execute: () => Promise.resolve(outcome) },
    { beginRun: () => noRun, noteRun: (version, facts) => told.push([version, facts]) },
  );
  expect(await executor.execute(action, context)).toBe(outcome);
  return told;
}

/** An action whose limit of memory is the version's own. */
function withMemory(memoryBytes: number): PreparedAction {
  const action = prepared({ version: version({ limits: { memoryBytes: 131_072 } }) });
  return { ...action, limits: { ...action.limits, memoryBytes } };
}

function using(memoryPeakBytes: number): Outcome {
  return { ...ok(), usage: { ...emptyUsage, memoryPeakBytes } };
}

describe('watched', () => {
  test('tells of every run that ended which version it was of', async () => {
    const action = prepared();
    expect(await noted(ok(), action)).toEqual([[action.version, { trapped: false, nearMemoryLimit: false }]]);
    expect(await noted(failedOutcome('GUEST_ERROR', '', emptyUsage))).toHaveLength(1);
    expect(await noted(failedOutcome('TIMEOUT', '', emptyUsage))).toHaveLength(1);
  });

  test('tells a trap from other failures', async () => {
    const trapped = async (outcome: Outcome): Promise<boolean | undefined> => (await noted(outcome))[0]?.[1].trapped;
    expect(await trapped(failedOutcome('UNREACHABLE', '', emptyUsage))).toBe(true);
    expect(await trapped(failedOutcome('FUEL', '', emptyUsage))).toBe(false);
  });

  test('calls memory near its limit from nine tenths of it on', async () => {
    const isNear = async (bytes: number): Promise<boolean | undefined> =>
      (await noted(using(bytes), withMemory(131_072)))[0]?.[1].nearMemoryLimit;
    expect(await isNear(Math.ceil(0.9 * 131_072))).toBe(true);
    expect(await isNear(Math.floor(0.9 * 131_072))).toBe(false);
  });

  test('calls memory that is exhausted near its limit, too', async () => {
    const outcome = failedOutcome('GUEST_MEMORY', '', emptyUsage);
    expect((await noted(outcome, withMemory(131_072)))[0]?.[1]).toEqual({ trapped: false, nearMemoryLimit: true });
  });

  test('does not blame the version for a limit that the caller has lowered', async () => {
    expect((await noted(using(65_536), withMemory(65_536)))[0]?.[1].nearMemoryLimit).toBe(false);
  });

  test('tells nothing of how runs of the server itself ended', async () => {
    expect(await noted(failedOutcome('UNREACHABLE', '', emptyUsage), prepared({ tenant: 'caisson' }))).toEqual([]);
  });

  test.each([
    ['its end', () => Promise.resolve(ok())],
    ['a failure of the host', () => Promise.reject(new Error('died'))],
  ])('has a run under way from its beginning to %s', async (_, end) => {
    const happened: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const executor = watched(
      { execute: () => promise.then(end) },
      {
        beginRun: ({ manifest }) => {
          happened.push(`begin ${manifest.name}`);
          return { [Symbol.dispose]: () => happened.push('end') };
        },
        noteRun: () => {},
      },
    );
    const run = executor.execute(prepared(), context).catch(() => {});
    expect(happened).toEqual(['begin echo']);
    resolve();
    await run;
    expect(happened).toEqual(['begin echo', 'end']);
  });

  test('tells nothing of runs that were stopped or that the host failed', async () => {
    expect(await noted(failedOutcome('CANCELED', '', emptyUsage))).toEqual([]);
    const told: unknown[] = [];
    const executor = watched(
      { execute: () => Promise.reject(new Error('died')) },
      { beginRun: () => noRun, noteRun: (...facts) => told.push(facts) },
    );
    await expect(executor.execute(prepared(), context)).rejects.toThrow('died');
    expect(told).toEqual([]);
  });
});

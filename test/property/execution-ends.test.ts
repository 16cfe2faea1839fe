import { getEventListeners } from 'node:events';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deadlined } from '../../src/execution/deadlined.ts';
import type { ExecutionSnapshot } from '../../src/execution/execution-record.ts';
import { type ExecutionHandle, Executions } from '../../src/execution/executions.ts';
import { AbortReason } from '../../src/model/abort-reason.ts';
import { ExecError } from '../../src/model/exec-error.ts';
import type { Executor } from '../../src/model/execution.ts';
import { silentLog } from '../../src/model/log.ts';
import { emptyUsage, failedOutcome, type Outcome } from '../../src/model/outcome.ts';
import { onAbort } from '../../src/base/signals.ts';
import { ManualClock, settled } from '../unit/base/manual-clock.ts';
import { action, grants, ok, registry, version } from '../unit/execution/fakes.ts';

const which = fc.nat(7);
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('start' as const),
      timeoutMs: fc.integer({ min: 1, max: 40 }),
      detached: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('run', 'finish', 'crash', 'cancel'), which }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'abort' as const }, { do: 'dispose' as const }) },
);

interface Guest {
  run(): void;
  finish(): void;
  crash(): void;
}

/** Runs guests that the test steers; each ends with its signal at the latest. */
class Guests implements Executor {
  readonly all: Guest[] = [];

  execute: Executor['execute'] = (_action, { signal, report }) =>
    new Promise<Outcome>((resolve, reject) => {
      this.all.push({
        run: () => report({ type: 'stage', stage: 'RUNNING' }),
        finish: () => resolve(ok()),
        crash: () => reject(new ExecError('SANDBOX_CRASHED', 'died')),
      });
      onAbort(signal, () => {
        const { kind, message } = AbortReason.of(signal);
        resolve(failedOutcome(kind, message, emptyUsage));
      });
    });
}

describe('Executions', () => {
  test('end exactly once, whoever ends them, and leave neither timers nor listeners behind', async () => {
    const trials = fc.asyncProperty(fc.array(step, { maxLength: 50 }), async (steps) => {
      const clock = new ManualClock();
      const guests = new Guests();
      const executions = new Executions({
        executor: deadlined(guests, clock),
        registry: registry(version()),
        grants,
        clock,
        log: silentLog,
        graceMs: 20,
      });
      const caller = new AbortController();
      const handles: ExecutionHandle[] = [];
      const ends: Promise<ExecutionSnapshot | ExecError>[] = [];
      const cancels: Promise<unknown>[] = [];
      let disposed: Promise<void> | undefined;
      for (const step of steps) {
        switch (step.do) {
          case 'start': {
            const start = () =>
              executions.start(
                action({ limits: { timeoutMs: step.timeoutMs } }),
                step.detached ? {} : { signal: caller.signal },
              );
            if (disposed) {
              expect(start).toThrow('shutting down');
              break;
            }
            const handle = start();
            handles.push(handle);
            ends.push(handle.ended.catch((error: unknown) => ExecError.from(error)));
            break;
          }
          case 'cancel': {
            const handle = handles[step.which];
            if (handle) cancels.push(executions.cancel(handle));
            break;
          }
          case 'run':
          case 'finish':
          case 'crash':
            guests.all[step.which]?.[step.do]();
            break;
          case 'wait':
            await clock.advance(step.ms);
            break;
          case 'abort':
            caller.abort(new AbortReason('DISCONNECTED'));
            break;
          case 'dispose':
            disposed ??= executions[Symbol.asyncDispose]();
            break;
        }
      }
      disposed ??= executions[Symbol.asyncDispose]();
      await clock.advance(20);
      await disposed;
      await settled();
      const ended = await Promise.all(ends);
      await Promise.all(cancels);
      for (const [at, end] of ended.entries()) {
        const snapshot = handles[at]?.snapshot();
        expect(snapshot?.stage).toBe('COMPLETED');
        expect(end instanceof ExecError ? snapshot?.failure : snapshot).toEqual(end);
        expect(executions.get({ tenant: 'default', id: handles[at]?.id ?? '' })).toEqual(snapshot);
      }
      expect(executions.list({ tenant: 'default', limit: 100, stage: 'COMPLETED' }).executions).toHaveLength(
        handles.length,
      );
      expect(clock.timers).toBe(0);
      expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
    });
    await fc.assert(trials, { numRuns: 200 });
  });
});

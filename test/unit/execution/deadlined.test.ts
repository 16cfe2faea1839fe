import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { deadlined } from '../../../src/execution/deadlined.ts';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import type { ExecutionContext, RunEvent } from '../../../src/model/execution.ts';
import { ManualClock } from '../base/manual-clock.ts';
import { log, ok, prepared, SteeredExecutor } from './fakes.ts';

const running: RunEvent = { type: 'stage', stage: 'RUNNING' };

function setUp(timeoutMs = 1_000) {
  const clock = new ManualClock();
  const inner = new SteeredExecutor();
  const caller = new AbortController();
  const events: RunEvent[] = [];
  const context: ExecutionContext = {
    id: 'one',
    signal: caller.signal,
    stop: (reason) => caller.abort(reason),
    report: (event) => events.push(event),
  };
  const action = prepared({ limits: { ...prepared().limits, timeoutMs } });
  const outcome = deadlined(inner, clock).execute(action, context);
  return {
    clock,
    inner,
    caller,
    events,
    outcome,
    signal: inner.last.context.signal,
    report: inner.last.context.report,
  };
}

describe('deadlined', () => {
  test('aborts with TIMEOUT when the limit has passed since RUNNING', async () => {
    const { clock, report, signal } = setUp(1_500);
    await clock.advance(5_000);
    report(running);
    await clock.advance(1_499);
    expect(signal.aborted).toBe(false);
    await clock.advance(1);
    expect(signal.reason).toBeInstanceOf(AbortReason);
    expect(signal.reason).toMatchObject({
      kind: 'TIMEOUT',
      message: 'The run lasted longer than limits.timeout, 1.5 s',
    });
  });

  test('never starts its timer for a run that stays in the queue', async () => {
    const { clock, signal, report } = setUp();
    report(log('early'));
    expect(clock.timers).toBe(0);
    await clock.advance(100_000);
    expect(signal.aborted).toBe(false);
  });

  test('passes on every event and the outcome', async () => {
    const { report, events, inner, outcome } = setUp();
    report(running);
    report(log('hello'));
    const ended = ok();
    inner.last.end(ended);
    expect(await outcome).toBe(ended);
    expect(events).toEqual([running, log('hello')]);
  });

  test('passes on the abort of the caller, and the first of both wins', async () => {
    const { caller, clock, report, signal } = setUp();
    report(running);
    caller.abort(new AbortReason('DISCONNECTED'));
    await clock.advance(1_000);
    expect(signal.reason).toMatchObject({ kind: 'DISCONNECTED' });
  });

  test('starts no timer for a report that comes after the end', async () => {
    const { clock, report, inner, outcome } = setUp();
    inner.last.end(ok());
    await outcome;
    report(running);
    expect(clock.timers).toBe(0);
  });

  test('leaves neither timer nor listener behind, however the run ends', async () => {
    const good = setUp();
    good.report(running);
    good.inner.last.end(ok());
    await good.outcome;
    const bad = setUp();
    bad.report(running);
    bad.inner.last.fail(new Error('boom'));
    await expect(bad.outcome).rejects.toThrow('boom');
    for (const { clock, caller } of [good, bad]) {
      expect(clock.timers).toBe(0);
      expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
    }
  });
});

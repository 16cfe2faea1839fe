import { describe, expect, test } from 'vitest';
import { traced } from '../../../src/execution/traced.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import type { ExecutionContext, Executor, RunPhases } from '../../../src/model/execution.ts';
import { emptyUsage, failedOutcome, type Outcome } from '../../../src/model/outcome.ts';
import { FakeSpan, ok, prepared, SteeredExecutor, version } from './fakes.ts';

const ran: RunPhases = {
  startMs: 100,
  compiledMs: 100.05,
  leasedMs: 110,
  guestStartMs: 112,
  guestEndMs: 150,
  endMs: 151,
};

function executorWith(phases: RunPhases, result: Outcome | Error): Executor {
  return {
    execute: (_action, context) => {
      context.measured?.(phases);
      return result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
    },
  };
}

async function spansOf(
  phases: RunPhases,
  result: Outcome | Error,
  functionName = 'echo',
): Promise<readonly FakeSpan[]> {
  const span = new FakeSpan('call');
  const context: ExecutionContext = {
    id: 'one',
    signal: new AbortController().signal,
    stop: () => {},
    span,
    report: () => {},
  };
  const run = traced(executorWith(phases, result)).execute(prepared({ function: functionName }), context);
  await run.catch(() => {});
  return span.children;
}

function told(spans: readonly FakeSpan[]): readonly unknown[] {
  return spans.map(({ name, startMs, endMs }) => [name, startMs, endMs]);
}

describe('traced', () => {
  test('costs a run without a span nothing: it goes straight to the inner executor', async () => {
    const inner = new SteeredExecutor();
    const context: ExecutionContext = {
      id: 'one',
      signal: new AbortController().signal,
      stop: () => {},
      report: () => {},
    };
    const action = prepared();
    const outcome = traced(inner).execute(action, context);
    expect(inner.last.context).toBe(context);
    expect(inner.last.action).toBe(action);
    inner.last.end(ok());
    expect(await outcome).toEqual(ok());
  });

  test('hangs queue wait, instance acquire and wasm call below the span, with the measured times', async () => {
    expect(told(await spansOf(ran, ok()))).toEqual([
      ['queue wait', 100.05, 110],
      ['instance acquire', 110, 112],
      ['wasm call echo', 112, 150],
    ]);
  });

  test('makes no span of a wait of up to 0.1 ms, but one of a compilation', async () => {
    const spans = await spansOf({ ...ran, compiledMs: 109.95 }, ok());
    expect(told(spans).slice(0, 2)).toEqual([
      ['wasm compile', 100, 109.95],
      ['instance acquire', 110, 112],
    ]);
  });

  test('says on the call which plugin ran and how it ended', async () => {
    const call = (await spansOf(ran, ok())).at(-1);
    expect(call?.attributes).toEqual({
      'caisson.plugin.name': version().manifest.name,
      'caisson.plugin.version': version().manifest.version,
      'caisson.execution.id': 'one',
      'caisson.outcome': 'OK',
    });
    expect(call?.failure).toBeUndefined();
  });

  test('fails the call, and no other span, when the guest failed', async () => {
    const spans = await spansOf(ran, failedOutcome('UNREACHABLE', 'panic', emptyUsage));
    expect(spans.map(({ failure }) => failure)).toEqual([undefined, undefined, 'UNREACHABLE']);
    expect(spans.at(-1)?.attributes).toMatchObject({ 'caisson.outcome': 'TRAP' });
  });

  test('ends the call of a guest that was killed with the run', async () => {
    const spans = await spansOf(
      { startMs: 1, compiledMs: 1, leasedMs: 1, endMs: 31 },
      failedOutcome('TIMEOUT', 'late', emptyUsage),
    );
    expect(told(spans)).toEqual([['wasm call echo', 1, 31]]);
    expect(spans.at(-1)?.failure).toBe('TIMEOUT');
  });

  test('fails the wait in which a run ended, and makes no call of it', async () => {
    const queued = await spansOf({ startMs: 1, compiledMs: 1, endMs: 31 }, failedOutcome('CANCELED', '', emptyUsage));
    expect(told(queued)).toEqual([['queue wait', 1, 31]]);
    expect(queued[0]).toMatchObject({ failure: 'CANCELED', attributes: { 'caisson.outcome': 'CANCELED' } });
    const compiling = await spansOf({ startMs: 1, endMs: 31 }, new ExecError('PLUGIN_CORRUPT', 'corrupt'));
    expect(told(compiling)).toEqual([['wasm compile', 1, 31]]);
    expect(compiling[0]).toMatchObject({ failure: 'PLUGIN_CORRUPT' });
    expect(compiling[0]?.attributes).not.toHaveProperty('caisson.outcome');
  });

  test('fails the call when the host failed, and rejects as the inner executor did', async () => {
    const crashed = new ExecError('SANDBOX_CRASHED', 'died');
    const spans = await spansOf({ startMs: 1, compiledMs: 1, leasedMs: 1, endMs: 3 }, crashed);
    expect(spans.at(-1)).toMatchObject({ name: 'wasm call echo', failure: 'SANDBOX_CRASHED' });
    const context = {
      id: 'one',
      signal: new AbortController().signal,
      stop: () => {},
      span: new FakeSpan('call'),
      report: () => {},
    };
    await expect(traced(executorWith(ran, crashed)).execute(prepared(), context)).rejects.toBe(crashed);
  });

  test('passes the measured phases on to whoever else wants them', async () => {
    const measured: RunPhases[] = [];
    await traced(executorWith(ran, ok())).execute(prepared(), {
      id: 'one',
      signal: new AbortController().signal,
      stop: () => {},
      span: new FakeSpan('call'),
      report: () => {},
      measured: (phases) => measured.push(phases),
    });
    expect(measured).toEqual([ran]);
  });

  test('makes no span when nothing was measured', async () => {
    const span = new FakeSpan('call');
    const context: ExecutionContext = {
      id: 'one',
      signal: new AbortController().signal,
      stop: () => {},
      span,
      report: () => {},
    };
    const inner: Executor = { execute: () => Promise.reject(new Error('boom')) };
    await expect(traced(inner).execute(prepared(), context)).rejects.toThrow('boom');
    expect(span.children).toEqual([]);
  });

  test('writes the hostile name of a function on one line and cut', async () => {
    const name = (await spansOf(ran, ok(), `a\n${'x'.repeat(500)}`)).at(-1)?.name ?? '';
    expect(name.startsWith('wasm call a\\u000ax')).toBe(true);
    expect(Buffer.byteLength(name)).toBeLessThan(150);
  });
});

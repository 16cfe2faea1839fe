import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import type { StoreBounds } from '../../../src/execution/execution-store.ts';
import { Executions, type PluginSource } from '../../../src/execution/executions.ts';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import type { Executor } from '../../../src/model/execution.ts';
import { type Log, silentLog } from '../../../src/model/log.ts';
import { emptyUsage, failedOutcome } from '../../../src/model/outcome.ts';
import { ManualClock, settled } from '../base/manual-clock.ts';
import { action, FakeSpan, grants, log, ok, progress, readAll, registry, SteeredExecutor, version } from './fakes.ts';

function setUp(
  options: { executor?: Executor; registry?: PluginSource; bounds?: Partial<StoreBounds>; log?: Log } = {},
) {
  const clock = new ManualClock();
  const executor = new SteeredExecutor();
  const executions = new Executions({
    executor: options.executor ?? executor,
    registry: options.registry ?? registry(version()),
    grants,
    clock,
    log: options.log ?? silentLog,
    graceMs: 10_000,
    ...(options.bounds && { bounds: options.bounds }),
  });
  return { clock, executor, executions };
}

/** An executor that ends with the outcome of the abort, as the real one does. */
const untilAborted: Executor = {
  execute: (_action, { signal }) =>
    new Promise((resolve) => {
      const stop = (): void => {
        const { kind, message } = AbortReason.of(signal);
        resolve(failedOutcome(kind, message, emptyUsage));
      };
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    }),
};

const nobody = { tenant: 'default', id: 'nobody' };

const never = new AbortController().signal;

describe('Executions.start', () => {
  test('gives the execution an id and the facts of action and version', () => {
    const { executions, clock } = setUp();
    const labels = new Map([['team', 'a']]);
    const handle = executions.start(action({ requestId: 'r-1', labels, input: new Uint8Array(3) }));
    expect(handle.snapshot()).toMatchObject({
      id: handle.id,
      plugin: 'echo@1.0.0',
      digest: version().digest,
      function: 'echo',
      requestId: 'r-1',
      labels,
      inputBytes: 3,
      createdMs: clock.now(),
      stage: 'QUEUED',
    });
    expect(handle.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
  });

  test('runs the prepared action and resolves with how it ended', async () => {
    const { executions, executor, clock } = setUp();
    const handle = executions.start(action());
    expect(executor.last.action).toMatchObject({ function: 'echo', limits: { timeoutMs: 30_000 } });
    await clock.advance(5);
    executor.last.end(ok('out'));
    const ended = await handle.ended;
    expect(ended).toMatchObject({ stage: 'COMPLETED', outcome: { name: 'OK' }, endedMs: clock.now() });
    expect(executions.get(handle)).toEqual(ended);
  });

  test('passes the span on only if there is one', () => {
    const { executions, executor } = setUp();
    const span = new FakeSpan('call');
    executions.start(action(), { span });
    expect(executor.last.context.span).toBe(span);
    executions.start(action());
    expect('span' in executor.last.context).toBe(false);
  });

  test('refuses at once what cannot begin, and remembers nothing of it', () => {
    const { executions, executor } = setUp();
    expect(() => executions.start(action({ plugin: 'nobody' }))).toThrow(
      expect.objectContaining({ reason: 'PLUGIN_NOT_FOUND' }),
    );
    expect(() => executions.start(action({ function: 'nothing' }))).toThrow(
      expect.objectContaining({ reason: 'FUNCTION_NOT_FOUND' }),
    );
    expect(executor.runs).toEqual([]);
    expect(executions.list({ tenant: 'default', limit: 10 }).executions).toEqual([]);
  });

  test('refuses when too many are alive', () => {
    const { executions } = setUp({ bounds: { liveMax: 1 } });
    executions.start(action());
    expect(() => executions.start(action())).toThrow(expect.objectContaining({ reason: 'EXECUTIONS_FULL' }));
  });

  test('stores what is reported with the time of the report', async () => {
    const { executions, executor, clock } = setUp();
    const handle = executions.start(action());
    executor.last.context.report({ type: 'stage', stage: 'RUNNING' });
    expect(executions.get(handle).stage).toBe('RUNNING');
    await clock.advance(3);
    executor.last.context.report(log('hello'));
    executor.last.context.report(progress('half'));
    executor.last.end(ok());
    const events = await readAll(executions.attach(handle, 0n, never));
    expect(events.map(({ event }) => event.type)).toEqual(['stage', 'stage', 'log', 'progress', 'outcome']);
    expect(events[2]?.timeMs).toBe((events[1]?.timeMs ?? 0) + 3);
  });

  test('turns whatever the executor throws into an ExecError, with its cause', async () => {
    const { executions, executor } = setUp();
    const handle = executions.start(action());
    const cause = new TypeError('boom');
    executor.last.fail(cause);
    await expect(handle.ended).rejects.toMatchObject({ reason: 'INTERNAL', cause });
    expect(executions.get(handle)).toMatchObject({ stage: 'COMPLETED', failure: { reason: 'INTERNAL' } });
  });

  test('survives an executor that throws instead of rejecting', async () => {
    const { executions } = setUp({
      executor: {
        execute: () => {
          throw new TypeError('boom');
        },
      },
    });
    await expect(executions.start(action()).ended).rejects.toMatchObject({ reason: 'INTERNAL' });
  });

  test('logs failures of the host, and only those', async () => {
    const lines: object[] = [];
    const logged: Log = { ...silentLog, error: (fields) => lines.push(fields) };
    const { executions, executor } = setUp({ log: logged });
    const handle = executions.start(action());
    executor.last.fail(new ExecError('SANDBOX_CRASHED', 'died'));
    executions.start(action());
    executor.last.fail(new ExecError('QUEUE_FULL', 'full'));
    executions.start(action());
    executor.last.end(ok());
    await settled();
    expect(lines).toEqual([
      expect.objectContaining({
        execution_id: handle.id,
        tenant: 'default',
        plugin: 'echo@1.0.0',
        reason: 'SANDBOX_CRASHED',
      }),
    ]);
  });

  test('does not remember what the queue refused, but what failed later', async () => {
    const { executions, executor } = setUp();
    const refused = executions.start(action());
    executor.last.fail(new ExecError('QUEUE_FULL', 'full'));
    const failed = executions.start(action());
    executor.last.fail(new ExecError('SANDBOX_UNAVAILABLE', 'none'));
    await expect(refused.ended).rejects.toMatchObject({ reason: 'QUEUE_FULL' });
    await expect(failed.ended).rejects.toMatchObject({ reason: 'SANDBOX_UNAVAILABLE' });
    const ran = executions.start(action());
    executor.last.context.report({ type: 'stage', stage: 'RUNNING' });
    executor.last.fail(new ExecError('QUEUE_FULL', 'full'));
    await expect(ran.ended).rejects.toMatchObject({ reason: 'QUEUE_FULL' });
    const remembered = executions.list({ tenant: 'default', limit: 10 }).executions.map(({ id }) => id);
    expect(remembered.toSorted()).toEqual([failed.id, ran.id].toSorted());
    expect(refused.snapshot()).toMatchObject({ stage: 'COMPLETED', failure: { reason: 'QUEUE_FULL' } });
  });

  test('lets nobody look at a failed end without an unhandled rejection', async () => {
    const unhandled: unknown[] = [];
    const keep = (reason: unknown): void => {
      unhandled.push(reason);
    };
    process.on('unhandledRejection', keep);
    const { executions, executor } = setUp();
    executions.start(action());
    executor.last.fail(new ExecError('SANDBOX_CRASHED', 'died'));
    await settled();
    process.off('unhandledRejection', keep);
    expect(unhandled).toEqual([]);
  });
});

describe('Executions of several tenants', () => {
  test('are visible only to the tenant that started them', async () => {
    const { executions } = setUp({ executor: untilAborted });
    const mine = executions.start(action({ tenant: 'mine' }));
    const theirs = { tenant: 'theirs', id: mine.id };
    const notFound = expect.objectContaining({ reason: 'EXECUTION_NOT_FOUND' });
    expect(mine.tenant).toBe('mine');
    expect(() => executions.get(theirs)).toThrow(notFound);
    expect(() => executions.attach(theirs, 0, never)).toThrow(notFound);
    await expect(executions.cancel(theirs)).rejects.toMatchObject({ reason: 'EXECUTION_NOT_FOUND' });
    expect(executions.list({ tenant: 'theirs', limit: 10 }).executions).toEqual([]);
    expect(executions.list({ tenant: 'mine', limit: 10 }).executions).toMatchObject([{ id: mine.id }]);
    expect(mine.snapshot().stage).toBe('QUEUED');
    expect(await executions.cancel(mine)).toMatchObject({ stage: 'COMPLETED' });
  });
});

describe('Executions under a policy', () => {
  const asking = version({ capabilities: ['http', 'secrets'] });

  test('hand the grant of the tenant on to the executor', () => {
    const { executions, executor } = setUp();
    executions.start(action({ tenant: 'acme' }));
    expect(executor.last.action.grant).toMatchObject({ tenant: 'acme', plugin: 'echo', capabilities: ['log'] });
  });

  test('end at once as DENIED where the manifest asks for more than the tenant may have', async () => {
    const { executions, executor } = setUp({ registry: registry(asking) });
    const handle = executions.start(action({ tenant: 'acme', input: new Uint8Array(3) }));
    const { outcome } = await handle.ended;
    expect(outcome).toMatchObject({
      name: 'DENIED',
      error: {
        kind: 'NOT_GRANTED',
        message: expect.stringMatching(
          /^"echo@1\.0\.0" cannot run for the tenant "acme"\. It needs the capability "http", /,
        ),
      },
      usage: { ...emptyUsage, inputBytes: 3 },
    });
    expect(executor.runs).toEqual([]);
    const events = await readAll(executions.attach(handle, 0, never));
    expect(events.map(({ event }) => event.type)).toEqual(['stage', 'outcome']);
  });

  test('refuse a wrong request before they deny it', () => {
    const { executions } = setUp({ registry: registry(asking) });
    expect(() => executions.start(action({ function: 'nothing' }))).toThrow(
      expect.objectContaining({ reason: 'FUNCTION_NOT_FOUND' }),
    );
  });
});

describe('Executions stops an execution', () => {
  test('when the signal of its caller aborts, for the same reason', async () => {
    const { executions } = setUp({ executor: untilAborted });
    const caller = new AbortController();
    const handle = executions.start(action(), { signal: caller.signal });
    caller.abort(new AbortReason('DISCONNECTED'));
    expect((await handle.ended).outcome).toMatchObject({ name: 'CANCELED', error: { kind: 'DISCONNECTED' } });
  });

  test('when the signal had aborted before the start, and for a reason of another kind', async () => {
    const { executions } = setUp({ executor: untilAborted });
    const handle = executions.start(action(), { signal: AbortSignal.abort(new Error('whatever')) });
    expect((await handle.ended).outcome).toMatchObject({ name: 'CANCELED', error: { kind: 'CANCELED' } });
  });

  test('on cancel, which answers when it has ended', async () => {
    const { executions } = setUp({ executor: untilAborted });
    const handle = executions.start(action());
    const canceled = await executions.cancel(handle);
    expect(canceled).toMatchObject({ stage: 'COMPLETED', outcome: { name: 'CANCELED', error: { kind: 'CANCELED' } } });
    expect(await executions.cancel(handle)).toEqual(canceled);
  });

  test('on several cancels at once', async () => {
    const { executions } = setUp({ executor: untilAborted });
    const handle = executions.start(action());
    const [first, second] = await Promise.all([executions.cancel(handle), executions.cancel(handle)]);
    expect(second).toEqual(first);
  });

  test('not when it has ended before: cancel changes nothing then', async () => {
    const { executions, executor } = setUp();
    const handle = executions.start(action());
    executor.last.end(ok('out'));
    const ended = await handle.ended;
    expect(await executions.cancel(handle)).toEqual(ended);
    expect(executor.last.context.signal.aborted).toBe(false);
  });

  test('and cancel answers also when the host fails meanwhile', async () => {
    const { executions, executor } = setUp();
    const handle = executions.start(action());
    const canceled = executions.cancel(handle);
    executor.last.fail(new ExecError('SANDBOX_CRASHED', 'died'));
    expect(await canceled).toMatchObject({ stage: 'COMPLETED', failure: { reason: 'SANDBOX_CRASHED' } });
  });

  test('unless there is none of that id', async () => {
    const { executions } = setUp();
    await expect(executions.cancel(nobody)).rejects.toMatchObject({ reason: 'EXECUTION_NOT_FOUND' });
  });
});

describe('Executions.attach', () => {
  test('follows a live execution from the sequence given', async () => {
    const { executions, executor } = setUp();
    const handle = executions.start(action());
    const read = readAll(executions.attach(handle, 1n, never));
    executor.last.context.report(log('a'));
    executor.last.end(ok());
    expect((await read).map(({ sequence }) => sequence)).toEqual([2, 3]);
  });

  test('refuses unknown executions and sequences, also beyond what a double holds exactly', () => {
    const { executions } = setUp();
    const handle = executions.start(action());
    expect(() => executions.attach(nobody, 0, never)).toThrow(
      expect.objectContaining({ reason: 'EXECUTION_NOT_FOUND' }),
    );
    expect(() => executions.attach(handle, 18_446_744_073_709_551_615n, never)).toThrow(
      expect.objectContaining({ reason: 'SEQUENCE_OUT_OF_RANGE', metadata: { last_sequence: '1' } }),
    );
  });
});

describe('Executions.list', () => {
  test('answers with pages of snapshots, newest first', async () => {
    const { executions, clock } = setUp();
    const ids: string[] = [];
    for (let at = 0; at < 3; at++) {
      ids.unshift(executions.start(action()).id);
      await clock.advance(1);
    }
    const first = executions.list({ tenant: 'default', limit: 2 });
    expect(first.executions.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    const second = executions.list({
      tenant: 'default',
      limit: 2,
      ...(first.next !== undefined && { after: first.next }),
    });
    expect(second).toEqual({ executions: [expect.objectContaining({ id: ids[2] })] });
  });
});

describe('Executions at its disposal', () => {
  test('starts nothing more, but lets what runs come to its end', async () => {
    const { executions, executor, clock } = setUp();
    const handle = executions.start(action());
    const closed = executions[Symbol.asyncDispose]();
    expect(() => executions.start(action())).toThrow(expect.objectContaining({ reason: 'SHUTTING_DOWN' }));
    await clock.advance(9_999);
    executor.last.end(ok());
    await closed;
    expect((await handle.ended).outcome?.name).toBe('OK');
    expect(clock.timers).toBe(0);
  });

  test('stops what still runs after the grace', async () => {
    const { executions, clock } = setUp({ executor: untilAborted });
    const handle = executions.start(action());
    const closed = executions[Symbol.asyncDispose]();
    await clock.advance(10_000);
    await closed;
    expect((await handle.ended).outcome).toMatchObject({ name: 'CANCELED', error: { kind: 'SHUTDOWN' } });
  });

  test('waits until what it stopped has ended', async () => {
    const { executions, executor, clock } = setUp();
    const handle = executions.start(action());
    const closed = executions[Symbol.asyncDispose]().then(() => handle.snapshot().stage);
    await clock.advance(10_500);
    expect(executor.last.context.signal.aborted).toBe(true);
    executor.last.end(ok());
    expect(await closed).toBe('COMPLETED');
  });

  test('cuts the grace short when all are stopped meanwhile', async () => {
    const { executions, clock } = setUp({ executor: untilAborted });
    const handles = [executions.start(action()), executions.start(action())];
    const closed = executions[Symbol.asyncDispose]();
    await clock.advance(5);
    executions.stopAll();
    await closed;
    for (const { ended } of handles) {
      expect((await ended).outcome).toMatchObject({ error: { kind: 'SHUTDOWN' } });
    }
    expect(clock.timers).toBe(0);
  });

  test('does not wait for ever for an executor that does not heed the signal', async () => {
    const { executions, executor, clock } = setUp();
    executions.start(action());
    const closed = executions[Symbol.asyncDispose]();
    await clock.advance(15_000);
    await closed;
    expect(executor.last.context.signal.aborted).toBe(true);
  });

  test('is done at once when nothing runs, and a second time', async () => {
    const { executions, clock } = setUp();
    const closed = executions[Symbol.asyncDispose]();
    expect(executions[Symbol.asyncDispose]()).toBe(closed);
    await closed;
    expect(clock.timers).toBe(0);
  });
});

test('Executions leaves no listener on a signal that 10,000 executions share', async () => {
  const { executions } = setUp({ executor: { execute: () => Promise.resolve(ok()) } });
  const shared = new AbortController();
  for (let at = 0; at < 10_000; at++) await executions.start(action(), { signal: shared.signal }).ended;
  expect(getEventListeners(shared.signal, 'abort')).toEqual([]);
});

/** ExecutionService over a real connection, on the real executions with an executor that the tests steer. */

import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { CallError } from '../../../src/client/call-error.ts';
import type { Client } from '../../../src/client/client.ts';
import { Executions } from '../../../src/execution/executions.ts';
import { ExecutionService, InstanceSource, Outcome, Stage } from '../../../src/gen/caisson/v1/execution_pb.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import { silentLog } from '../../../src/model/log.ts';
import { emptyUsage, failedOutcome } from '../../../src/model/outcome.ts';
import { bindService } from '../../../src/rpc/adapter.ts';
import { executionServiceOf } from '../../../src/rpc/execution-service.ts';
import { action, grants, log, ok, progress, registry, SteeredExecutor, version } from '../execution/fakes.ts';
import { collect, rejection, startRpc, streamOf, type TestRpc, until } from '../../helpers/grpc.ts';

interface Setup extends AsyncDisposable {
  readonly rpc: TestRpc;
  readonly client: Client<typeof ExecutionService>;
  readonly executor: SteeredExecutor;
  readonly executions: Executions;
}

async function setUp(): Promise<Setup> {
  const executor = new SteeredExecutor();
  const faults = { clock: systemClock, log: silentLog };
  const plugins = registry(version(), version({ name: 'other' }));
  const executions = new Executions({ executor, registry: plugins, grants, ...faults, graceMs: 0 });
  const rpc = await startRpc([bindService(ExecutionService, executionServiceOf(executions, faults))]);
  return {
    rpc,
    client: rpc.client(ExecutionService),
    executor,
    executions,
    async [Symbol.asyncDispose]() {
      for (const run of executor.runs) run.end(ok());
      await rpc[Symbol.asyncDispose]();
      await executions[Symbol.asyncDispose]();
    },
  };
}

/** Ends the run with CANCELED when its signal aborts, as real executors do. */
function heedSignal({ executor }: Setup, index: number): void {
  const run = executor.runs[index];
  run?.context.signal.addEventListener('abort', () => {
    const { kind, message } = AbortReason.of(run.context.signal);
    run.end(failedOutcome(kind, message, emptyUsage));
  });
}

async function failure(promise: Promise<unknown>): Promise<CallError> {
  const error = await rejection(promise);
  expect(error).toBeInstanceOf(CallError);
  return error as CallError;
}

const request = { plugin: 'echo', function: 'echo' };

describe('Execute', () => {
  test('answers with the ended execution', async () => {
    await using setup = await setUp();
    const call = setup.client.execute({
      ...request,
      input: new Uint8Array([1, 2]),
      requestId: 'r-1',
      labels: { team: 'a' },
      config: { key: 'value' },
      limits: { timeout: { seconds: 1n, nanos: 500_000_000 }, memoryBytes: 131_072n },
    });
    await until(() => setup.executor.runs.length === 1);
    const { action } = setup.executor.last;
    expect(action.limits).toMatchObject({ timeoutMs: 1_500, memoryBytes: 131_072 });
    expect([...action.config]).toEqual([['key', 'value']]);
    expect(action.input).toEqual(new Uint8Array([1, 2]));
    expect(action.input.buffer.byteLength).toBe(2);
    setup.executor.last.end({ ...ok('out'), usage: { ...emptyUsage, wallMs: 1_000.25, hostCalls: 3 } });
    const { execution } = await call;
    expect(execution).toMatchObject({
      outcome: Outcome.OK,
      stage: Stage.COMPLETED,
      plugin: 'echo@1.0.0',
      function: 'echo',
      requestId: 'r-1',
      labels: { team: 'a' },
      usage: { wallDuration: { seconds: 1n, nanos: 250_000 }, hostCalls: 3n },
      lastSequence: 2n,
    });
    expect(Buffer.from(execution?.output ?? []).toString()).toBe('out');
    expect(execution?.error).toBeUndefined();
    expect(execution?.endTime).toBeDefined();
  });

  test('answers OK with an outcome when the guest failed', async () => {
    await using setup = await setUp();
    const call = setup.client.execute(request);
    await until(() => setup.executor.runs.length === 1);
    const frame = { function: 'f', functionIndex: 3, offset: 99 };
    setup.executor.last.end(failedOutcome('UNREACHABLE', 'boom', emptyUsage, [frame]));
    const { execution } = await call;
    expect(execution).toMatchObject({ outcome: Outcome.TRAP, error: { kind: 'UNREACHABLE', message: 'boom' } });
    expect(execution?.error?.guestStack[0]).toMatchObject({ function: 'f', functionIndex: 3, offset: 99n });
  });

  test('names every wrong field at once', async () => {
    await using setup = await setUp();
    const error = await failure(
      setup.client.execute({ plugin: 'No Name', requestId: 'ä', limits: { outputBytes: -1n } }),
    );
    expect(error).toMatchObject({ codeName: 'INVALID_ARGUMENT', reason: 'REQUEST_INVALID' });
    const fields = error.violations.map(({ field }) => field);
    expect(fields).toEqual(['plugin', 'function', 'request_id', 'limits.output_bytes']);
    expect(setup.executor.runs).toHaveLength(0);
  });

  test('refuses an unknown plugin as NOT_FOUND', async () => {
    await using setup = await setUp();
    const error = await failure(setup.client.execute({ plugin: 'none', function: 'f' }));
    expect(error).toMatchObject({ codeName: 'NOT_FOUND', reason: 'PLUGIN_NOT_FOUND' });
  });

  test('passes on why the host could not run it', async () => {
    await using setup = await setUp();
    const call = failure(setup.client.execute(request));
    await until(() => setup.executor.runs.length === 1);
    setup.executor.last.fail(new ExecError('QUEUE_FULL', 'Full', { retryDelayMs: 200 }));
    expect(await call).toMatchObject({ codeName: 'RESOURCE_EXHAUSTED', reason: 'QUEUE_FULL', retryDelayMs: 200 });
  });

  test('stops the run when the caller cancels or its deadline passes', async () => {
    await using setup = await setUp();
    const canceling = new AbortController();
    const canceled = failure(setup.client.execute(request, { signal: canceling.signal }));
    await until(() => setup.executor.runs.length === 1);
    canceling.abort();
    expect((await canceled).codeName).toBe('CANCELLED');
    const late = failure(setup.client.execute(request, { timeoutMs: 100 }));
    expect((await late).codeName).toBe('DEADLINE_EXCEEDED');
    await until(() => setup.executor.runs.every((run) => run.context.signal.aborted));
    const kinds = setup.executor.runs.map((run) => AbortReason.of(run.context.signal).kind);
    expect(kinds).toEqual(['CANCELED', 'DEADLINE']);
  });

  test('is UNAVAILABLE when the shutdown cut the run short', async () => {
    await using setup = await setUp();
    const call = failure(setup.client.execute(request));
    await until(() => setup.executor.runs.length === 1);
    heedSignal(setup, 0);
    await setup.rpc.server.shutdown({ graceMs: 20 });
    const error = await call;
    expect(error).toMatchObject({ codeName: 'UNAVAILABLE', reason: 'SHUTTING_DOWN', retryDelayMs: 1_000 });
    expect(error.metadata['execution_id']).toMatch(/^[0-9a-f-]{36}$/);
  });
});

describe('ExecuteStream', () => {
  test('streams every event in order, the outcome last', async () => {
    await using setup = await setUp();
    const streaming = collect(setup.client.executeStream(request));
    await until(() => setup.executor.runs.length === 1);
    const { context, end } = setup.executor.last;
    context.report({ type: 'stage', stage: 'RUNNING' });
    context.report({ ...progress('half'), fraction: 0.5 });
    context.report(log('line'));
    end(ok('out'));
    const events = (await streaming).map(({ event }) => event);
    expect(events.map((event) => event?.event.case)).toEqual(['stage', 'stage', 'progress', 'log', 'outcome']);
    expect(events.map((event) => event?.sequence)).toEqual([1n, 2n, 3n, 4n, 5n]);
    expect(events.map((event) => event?.coalesced)).toEqual([0n, 0n, 0n, 0n, 0n]);
    expect(new Set(events.map((event) => event?.executionId))).toEqual(new Set([context.id]));
    expect(events[2]?.event.value).toMatchObject({ fraction: 0.5, message: 'half' });
    expect(events[4]?.event.value).toMatchObject({ id: context.id, outcome: Outcome.OK, lastSequence: 5n });
  });

  test('counts progress that was merged as the gap before the next event', async () => {
    await using setup = await setUp();
    const stream = setup.client.executeStream(request);
    await stream.next();
    const { context, end } = setup.executor.last;
    // More than an execution keeps, before the reader gets a turn.
    for (let index = 0; index < 1_000; index++) context.report(progress(String(index)));
    end(ok());
    const events = (await collect(stream)).map(({ event }) => event);
    let previous = 1n;
    for (const event of events) {
      expect(event?.coalesced).toBe((event?.sequence ?? 0n) - previous - 1n);
      previous = event?.sequence ?? 0n;
    }
    expect(previous).toBe(1_002n);
    expect(events.length).toBeLessThan(1_000);
  });

  test('stops the run when the stream is left, unless detached', async () => {
    await using setup = await setUp();
    for await (const _ of setup.client.executeStream(request)) break;
    await until(() => setup.executor.runs[0]?.context.signal.aborted === true);
    for await (const _ of setup.client.executeStream({ ...request, detached: true })) break;
    await systemClock.sleep(100);
    expect(setup.executor.runs[1]?.context.signal.aborted).toBe(false);
    const id = setup.executor.runs[1]?.context.id ?? '';
    setup.executor.runs[1]?.end(ok('late'));
    const events = await collect(setup.client.attachExecution({ id }));
    expect(events.at(-1)?.event?.event).toMatchObject({ case: 'outcome', value: { outcome: Outcome.OK } });
  });

  test('ends with the status that says why the host failed, after the outcome', async () => {
    await using setup = await setUp();
    const stream = setup.client.executeStream(request);
    await stream.next();
    setup.executor.last.fail(new ExecError('SANDBOX_UNAVAILABLE', 'None'));
    const last = await stream.next();
    expect(last.value?.event?.event).toMatchObject({
      case: 'outcome',
      value: { outcome: Outcome.UNSPECIFIED, error: { kind: 'SANDBOX_UNAVAILABLE' } },
    });
    expect((await failure(stream.next())).reason).toBe('SANDBOX_UNAVAILABLE');
  });
});

describe('AttachExecution', () => {
  test('continues after a sequence, without a gap or a duplicate', async () => {
    await using setup = await setUp();
    const { id } = setup.executions.start(action());
    const { context, end } = setup.executor.last;
    context.report(log('a'));
    context.report(log('b'));
    const attached = setup.client.attachExecution({ id, afterSequence: 2n });
    const first = await attached.next();
    expect(first.value?.event).toMatchObject({ sequence: 3n, coalesced: 0n });
    context.report(log('c'));
    end(ok());
    const rest = await collect(attached);
    expect(rest.map(({ event }) => event?.sequence)).toEqual([4n, 5n]);
  });

  test('detaching leaves the run alone', async () => {
    await using setup = await setUp();
    const { id } = setup.executions.start(action());
    for await (const _ of setup.client.attachExecution({ id })) break;
    await systemClock.sleep(50);
    expect(setup.executor.last.context.signal.aborted).toBe(false);
  });

  test('refuses unknown executions and sequences to come', async () => {
    await using setup = await setUp();
    const { id } = setup.executions.start(action());
    const attach = (request: { id: string; afterSequence?: bigint }): Promise<CallError> =>
      failure(collect(setup.client.attachExecution(request)));
    expect(await attach({ id: 'none' })).toMatchObject({ codeName: 'NOT_FOUND', reason: 'EXECUTION_NOT_FOUND' });
    expect(await attach({ id, afterSequence: 99n })).toMatchObject({ codeName: 'OUT_OF_RANGE' });
    expect(await attach({ id, afterSequence: 2n ** 64n - 1n })).toMatchObject({ codeName: 'OUT_OF_RANGE' });
    expect(await attach({ id: '' })).toMatchObject({ codeName: 'INVALID_ARGUMENT', violations: [{ field: 'id' }] });
  });

  test('ends at the shutdown with the last sequence, to attach with again', async () => {
    await using setup = await setUp();
    const { id } = setup.executions.start(action());
    setup.executor.last.context.report(log('a'));
    const attached = setup.client.attachExecution({ id });
    await attached.next();
    await attached.next();
    const stopped = setup.rpc.server.shutdown({ graceMs: 20_000 });
    const error = await failure(attached.next());
    expect(error).toMatchObject({ codeName: 'UNAVAILABLE', retryDelayMs: 1_000 });
    expect(error.metadata).toEqual({ execution_id: id, last_sequence: '2' });
    await stopped;
  });
});

describe('CancelExecution, GetExecution and ListExecutions', () => {
  test('answer with executions as they stand', async () => {
    await using setup = await setUp();
    const { id } = setup.executions.start(action());
    expect((await setup.client.getExecution({ id })).execution).toMatchObject({ id, stage: Stage.QUEUED });
    heedSignal(setup, 0);
    const { execution } = await setup.client.cancelExecution({ id });
    expect(execution).toMatchObject({ outcome: Outcome.CANCELED, error: { kind: 'CANCELED' } });
    expect((await failure(setup.client.getExecution({ id: 'x\u0000' }))).reason).toBe('REQUEST_INVALID');
    expect((await failure(setup.client.cancelExecution({ id: 'none' }))).codeName).toBe('NOT_FOUND');
  });

  test('list page by page, newest first, without outputs', async () => {
    await using setup = await setUp();
    const ids: string[] = [];
    for (let index = 0; index < 5; index++) {
      const { id, ended } = setup.executions.start(action({ plugin: index === 2 ? 'other' : 'echo' }));
      ids.unshift(id);
      setup.executor.last.end(ok('out'));
      await ended;
    }
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await setup.client.listExecutions({ pageSize: 2, pageToken });
      expect(page.executions.every((execution) => execution.output.length === 0)).toBe(true);
      seen.push(...page.executions.map((execution) => execution.id));
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen).toEqual(ids.toSorted().toReversed());
    const others = await setup.client.listExecutions({ plugin: 'other@1.0.0', stage: Stage.COMPLETED });
    expect(others.executions.map((execution) => execution.plugin)).toEqual(['other@1.0.0']);
    const { nextPageToken } = await setup.client.listExecutions({ pageSize: 1 });
    for (const wrong of [
      { pageToken: nextPageToken, plugin: 'echo' },
      { pageToken: `${nextPageToken}A` },
      { pageToken: 'AAAA' },
      { pageSize: -1 },
      { pageSize: 1_001 },
      { stage: 99 as Stage },
      { plugin: `sha256:${'a'.repeat(64)}` },
    ]) {
      expect((await failure(setup.client.listExecutions(wrong))).reason).toBe('REQUEST_INVALID');
    }
  });
});

describe('ExecuteMany', () => {
  test('answers each request as it ends, refusals as messages', async () => {
    await using setup = await setUp();
    const requests = streamOf(
      { ...request, requestId: 'a' },
      { ...request, requestId: 'b' },
      { plugin: 'none', function: 'f', requestId: 'c' },
      { plugin: '', function: '', requestId: '' },
    );
    const answers = setup.client.executeMany(requests);
    const refused = [(await answers.next()).value, (await answers.next()).value];
    expect(refused[0]).toMatchObject({ requestId: 'c', result: { case: 'refusal', value: { code: 5 } } });
    const value = { code: 3, reason: 'REQUEST_INVALID' };
    expect(refused[1]).toMatchObject({ requestId: '', result: { case: 'refusal', value } });
    setup.executor.runs[1]?.end(ok('B'));
    expect((await answers.next()).value).toMatchObject({ requestId: 'b', result: { case: 'execution' } });
    setup.executor.runs[0]?.fail(new ExecError('QUEUE_FULL', 'Full', { retryDelayMs: 1_500 }));
    const last = (await answers.next()).value;
    expect(last?.result.value).toMatchObject({ code: 8, retryDelay: { seconds: 1n, nanos: 500_000_000 } });
    expect((await answers.next()).done).toBe(true);
  });

  test('refuses a request_id that is not answered yet, and takes it again afterwards', async () => {
    await using setup = await setUp();
    let more = (): void => {};
    const held = new Promise<void>((resolve) => {
      more = resolve;
    });
    async function* requests(): AsyncGenerator<typeof request & { requestId: string }> {
      yield { ...request, requestId: 'a' };
      yield { ...request, requestId: 'a' };
      await held;
      yield { ...request, requestId: 'a' };
    }
    const answers = setup.client.executeMany(requests());
    const refused = (await answers.next()).value;
    expect(refused).toMatchObject({ requestId: 'a', result: { value: { reason: 'REQUEST_INVALID' } } });
    setup.executor.runs[0]?.end(ok());
    expect((await answers.next()).value?.result.case).toBe('execution');
    more();
    await until(() => setup.executor.runs.length === 2);
    setup.executor.runs[1]?.end(ok());
    expect((await answers.next()).value?.result.case).toBe('execution');
  });

  test('has at most 64 in flight', async () => {
    await using setup = await setUp();
    let sent = 0;
    async function* requests(): AsyncGenerator<typeof request & { requestId: string }> {
      for (; sent < 300; sent++) yield { ...request, requestId: `r${sent}` };
    }
    const answers = setup.client.executeMany(requests());
    const first = answers.next();
    await until(() => setup.executor.runs.length === 64);
    await systemClock.sleep(100);
    expect(setup.executor.runs).toHaveLength(64);
    setup.executor.runs[7]?.end(ok());
    expect((await first).value?.requestId).toBe('r7');
    await until(() => setup.executor.runs.length > 64);
    const ending = setInterval(() => {
      for (const run of setup.executor.runs) run.end(ok());
    }, 1);
    const rest = await collect(answers);
    clearInterval(ending);
    expect(rest).toHaveLength(299);
    expect(setup.executor.runs).toHaveLength(300);
  });

  test('stops reading while a client does not take its answers', async () => {
    await using setup = await setUp();
    async function* requests(): AsyncGenerator<typeof request & { requestId: string }> {
      for (let index = 0; index < 5_000; index++) yield { ...request, requestId: `r${index}` };
    }
    const answers = setup.client.executeMany(requests());
    const first = answers.next();
    const large = { name: 'OK', output: new Uint8Array(262_144), usage: emptyUsage } as const;
    const began = Date.now();
    while (Date.now() - began < 500) {
      for (const run of setup.executor.runs) run.end(large);
      await systemClock.sleep(5);
    }
    await first;
    expect(setup.executor.runs.length).toBeLessThan(300);
    await answers.return();
  });

  test('stops all its executions when the stream is canceled', async () => {
    await using setup = await setUp();
    const canceling = new AbortController();
    const requests = streamOf({ ...request, requestId: 'a' }, { ...request, requestId: 'b' });
    const answers = failure(collect(setup.client.executeMany(requests, { signal: canceling.signal })));
    await until(() => setup.executor.runs.length === 2);
    canceling.abort();
    expect((await answers).codeName).toBe('CANCELLED');
    await until(() => setup.executor.runs.every((run) => run.context.signal.aborted));
  });

  test('at the shutdown answers what is running and then ends UNAVAILABLE', async () => {
    await using setup = await setUp();
    async function* requests(): AsyncGenerator<typeof request & { requestId: string }> {
      yield { ...request, requestId: 'a' };
      await new Promise(() => {});
    }
    const answers = setup.client.executeMany(requests());
    const first = answers.next();
    await until(() => setup.executor.runs.length === 1);
    const stopped = setup.rpc.server.shutdown({ graceMs: 20_000 });
    await systemClock.sleep(50);
    setup.executor.runs[0]?.end(ok('A'));
    expect((await first).value).toMatchObject({ requestId: 'a', result: { case: 'execution' } });
    expect(await failure(answers.next())).toMatchObject({ codeName: 'UNAVAILABLE', reason: 'SHUTTING_DOWN' });
    await stopped;
  });
});

describe('Calls of several tenants', () => {
  const as = (tenant: string) => ({ metadata: { 'caisson-tenant': tenant } });

  test('reach the executor as theirs', async () => {
    await using setup = await setUp();
    const seed = new Uint8Array([1, 2]);
    const call = setup.client.execute({ ...request, randomSeed: seed, limits: { hostCalls: 7n } }, as('acme'));
    await until(() => setup.executor.runs.length === 1);
    expect(setup.executor.last.action).toMatchObject({
      tenant: 'acme',
      grant: { tenant: 'acme' },
      randomSeed: seed,
      limits: { hostCalls: 7 },
    });
    setup.executor.last.end(ok());
    await call;
    const stream = setup.client.executeMany(streamOf({ ...request, requestId: 'r' }), as('other'));
    const first = stream.next();
    await until(() => setup.executor.runs.length === 2);
    expect(setup.executor.last.action.tenant).toBe('other');
    setup.executor.last.end(ok());
    expect((await first).value?.result).toMatchObject({ case: 'execution' });
    await collect(stream);
  });

  test('find only executions of their own', async () => {
    await using setup = await setUp();
    const { id } = setup.executions.start(action({ tenant: 'acme' }));
    const { client } = setup;
    expect((await client.getExecution({ id }, as('acme'))).execution?.id).toBe(id);
    expect((await client.listExecutions({}, as('acme'))).executions.map((one) => one.id)).toEqual([id]);
    for (const options of [as('other'), {}]) {
      expect((await failure(client.getExecution({ id }, options))).reason).toBe('EXECUTION_NOT_FOUND');
      expect((await failure(client.cancelExecution({ id }, options))).reason).toBe('EXECUTION_NOT_FOUND');
      const attached = failure(collect(client.attachExecution({ id }, options)));
      expect((await attached).reason).toBe('EXECUTION_NOT_FOUND');
      expect((await client.listExecutions({}, options)).executions).toEqual([]);
    }
    expect(setup.executor.last.context.signal.aborted).toBe(false);
  });

  test('cannot read on where another tenant’s list stopped', async () => {
    await using setup = await setUp();
    for (let at = 0; at < 2; at++) setup.executions.start(action({ tenant: 'acme' }));
    const { nextPageToken } = await setup.client.listExecutions({ pageSize: 1 }, as('acme'));
    const page = { pageSize: 1, pageToken: nextPageToken };
    expect((await setup.client.listExecutions(page, as('acme'))).executions).toHaveLength(1);
    expect((await failure(setup.client.listExecutions(page, as('other')))).violations).toMatchObject([
      { field: 'page_token' },
    ]);
  });

  test('are refused where the tenant cannot be', async () => {
    await using setup = await setUp();
    const { client } = setup;
    for (const tenant of ['No', 'caisson']) {
      const refused = [
        client.execute(request, as(tenant)),
        collect(client.executeStream(request, as(tenant))),
        collect(client.executeMany(streamOf({ ...request, requestId: 'r' }), as(tenant))),
        collect(client.attachExecution({ id: 'x' }, as(tenant))),
        client.getExecution({ id: 'x' }, as(tenant)),
        client.cancelExecution({ id: 'x' }, as(tenant)),
        client.listExecutions({}, as(tenant)),
      ];
      for (const error of await Promise.all(refused.map(failure))) {
        expect(error).toMatchObject({ reason: 'REQUEST_INVALID', violations: [{ field: 'caisson-tenant' }] });
      }
    }
    expect(setup.executor.runs).toEqual([]);
  });
});

describe('The receipt', () => {
  test('has host calls by capability, the guest’s counters and where the instance came from', async () => {
    await using setup = await setUp();
    const call = setup.client.execute(request);
    await until(() => setup.executor.runs.length === 1);
    const usage = {
      ...emptyUsage,
      hostCallsByCapability: { kv: 3, log: 2 },
      counters: { tokens: 9_007_199_254_740_991, debt: -5 },
      instanceSource: 'PREPARED' as const,
    };
    setup.executor.last.end(failedOutcome('HOST_CALLS', 'too many', usage));
    const { execution } = await call;
    expect(execution).toMatchObject({ outcome: Outcome.DENIED, error: { kind: 'HOST_CALLS' } });
    expect(execution?.usage).toMatchObject({
      hostCallsByCapability: { kv: 3n, log: 2n },
      counters: { tokens: 9_007_199_254_740_991n, debt: -5n },
      instanceSource: InstanceSource.PREPARED,
    });
  });
});

import { describe, expect, test } from 'vitest';
import {
  type CompiledPluginSource,
  pooledExecutor,
  type SandboxSource,
} from '../../../src/execution/pooled-executor.ts';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import type { ExecutionContext, RunEvent, RunPhases } from '../../../src/model/execution.ts';
import { emptyUsage, type Outcome } from '../../../src/model/outcome.ts';
import type { CompiledPlugin } from '../../../src/sandbox/compiler.ts';
import type { AskingRun } from '../../../src/capabilities/services/service.ts';
import type { LeaseRequest } from '../../../src/pool/pool.ts';
import type { InstanceWish, SandboxCall, SandboxResult, SandboxRun } from '../../../src/sandbox/sandbox.ts';
import { ManualClock, settled } from '../base/manual-clock.ts';
import { log, ok, prepared, version } from './fakes.ts';

const compiled = { key: 'compiled' } as CompiledPlugin;

type RunGuest = (call: SandboxCall, run: SandboxRun) => Promise<SandboxResult>;

interface Set {
  readonly plugins?: CompiledPluginSource['compiled'];
  readonly lease?: (signal: AbortSignal) => Promise<void>;
  readonly run?: RunGuest;
}

const guestOk: RunGuest = () => Promise.resolve({ outcome: ok('out'), timings: undefined });

function setUp(steps: Set = {}) {
  const clock = new ManualClock();
  const events: RunEvent[] = [];
  const phases: RunPhases[] = [];
  const stopping = new AbortController();
  const requests: LeaseRequest[] = [];
  const blocks: string[] = [];
  const asked: AskingRun[] = [];
  let held = 0;
  let leases = 0;
  const executor = pooledExecutor({
    clock,
    plugins: { compiled: steps.plugins ?? (() => Promise.resolve(compiled)) },
    sandboxes: {
      lease: async (request, signal) => {
        requests.push(request);
        await steps.lease?.(signal);
        held += 1;
        leases += 1;
        const sandbox = { run: steps.run ?? guestOk };
        const block = (): Disposable => {
          blocks.push('blocked');
          return { [Symbol.dispose]: () => void blocks.push('freed') };
        };
        return { sandbox, block, queueMs: 0, [Symbol.dispose]: () => void (held -= 1) } as unknown as Awaited<
          ReturnType<SandboxSource['lease']>
        >;
      },
    },
    services: {
      answer: async (operation, _request, run) => {
        asked.push(run);
        return { code: 0, payload: Buffer.from(operation) };
      },
    },
  });
  const context: ExecutionContext = {
    id: 'execution',
    signal: stopping.signal,
    stop: () => {},
    report: (event) => events.push(event),
    measured: (measured) => phases.push(measured),
  };
  return {
    clock,
    events,
    phases,
    stopping,
    executor,
    context,
    requests,
    blocks,
    asked,
    held: () => held,
    leases: () => leases,
  };
}

describe('pooledExecutor', () => {
  test('compiles for the memory limit, leases, tells RUNNING, runs and gives the lease back', async () => {
    const asked: unknown[] = [];
    const { executor, context, events, held, leases } = setUp({
      plugins: (version, memoryBytes, signal) => {
        asked.push(version, memoryBytes, signal);
        return Promise.resolve(compiled);
      },
    });
    const action = prepared();
    const outcome = await executor.execute(action, context);
    expect(asked).toEqual([action.version, 65_536, context.signal]);
    expect(outcome).toMatchObject({ name: 'OK', output: ok('out').name === 'OK' ? expect.any(Uint8Array) : undefined });
    expect(events).toEqual([{ type: 'stage', stage: 'RUNNING' }]);
    expect([leases(), held()]).toEqual([1, 0]);
  });

  test('hands the sandbox the call, without a copy of the input', async () => {
    const calls: SandboxCall[] = [];
    const { executor, context } = setUp({
      run: (call, run) => {
        calls.push(call);
        return guestOk(call, run);
      },
    });
    const action = prepared({
      input: new Uint8Array([1, 2]),
      config: new Map([['k', 'v']]),
      version: version({ capabilities: ['log', 'vars'] }),
    });
    await executor.execute(action, context);
    expect(calls).toEqual([
      {
        executionId: 'execution',
        plugin: compiled,
        functionName: 'echo',
        input: action.input,
        config: action.config,
        grant: action.grant,
        limits: action.limits,
        instance: { mode: 'fresh', warm: 1, key: expect.any(String) },
        randomSeed: action.randomSeed,
        profiled: false,
      },
    ]);
    expect(calls[0]?.input).toBe(action.input);
  });

  test('passes on what the guest reports, and the signal', async () => {
    const { executor, context, events, stopping } = setUp({
      run: (_call, run) => {
        run.report(log('hello'));
        expect(run.signal).toBe(stopping.signal);
        return Promise.resolve({ outcome: ok(), timings: undefined });
      },
    });
    await executor.execute(prepared(), context);
    expect(events).toEqual([{ type: 'stage', stage: 'RUNNING' }, log('hello')]);
  });

  test('completes the receipt: queue is the wait for a sandbox, wall is everything', async () => {
    const { executor, context, clock } = setUp({
      plugins: async () => {
        await clock.sleep(7);
        return compiled;
      },
      lease: () => clock.sleep(20),
      run: async () => {
        await clock.sleep(100);
        return { outcome: { ...ok(), usage: { ...emptyUsage, runMs: 90, hostCalls: 3 } }, timings: undefined };
      },
    });
    const run = executor.execute(prepared(), context);
    await clock.advance(7);
    await clock.advance(20);
    await clock.advance(100);
    expect((await run).usage).toEqual({ ...emptyUsage, wallMs: 127, queueMs: 20, runMs: 90, hostCalls: 3 });
  });

  test('tells when each phase began', async () => {
    const { executor, context, phases, clock } = setUp({
      lease: () => clock.sleep(20),
      run: async () => {
        const guestStartMs = clock.now() + 2;
        await clock.sleep(10);
        return {
          outcome: ok(),
          timings: { instanceStartMs: guestStartMs - 1, guestStartMs, guestEndMs: guestStartMs + 7 },
        };
      },
    });
    const startMs = clock.now();
    const run = executor.execute(prepared(), context);
    await settled();
    await clock.advance(20);
    await clock.advance(10);
    await run;
    expect(phases).toEqual([
      {
        startMs,
        compiledMs: startMs,
        leasedMs: startMs + 20,
        guestStartMs: startMs + 22,
        guestEndMs: startMs + 29,
        endMs: startMs + 30,
      },
    ]);
  });
});

describe('pooledExecutor, stopped before the run began,', () => {
  const input = new Uint8Array(5);

  test('answers with the reason and the time in the queue, and lets no guest run', async () => {
    const { executor, context, clock, stopping, events, phases, leases } = setUp({
      lease: (signal) => clock.sleep(60_000, signal),
    });
    const run = executor.execute(prepared({ input }), context);
    await settled();
    await clock.advance(30);
    stopping.abort(new AbortReason('DEADLINE'));
    expect(await run).toEqual({
      name: 'CANCELED',
      error: { kind: 'DEADLINE', message: 'The deadline of the caller passed.', guestStack: [] },
      usage: { ...emptyUsage, inputBytes: 5, queueMs: 30, wallMs: 30 },
    } satisfies Outcome);
    expect([events, leases()]).toEqual([[], 0]);
    expect(phases).toEqual([{ startMs: clock.now() - 30, compiledMs: clock.now() - 30, endMs: clock.now() }]);
  });

  test('does the same while the module is compiled', async () => {
    const { executor, context, clock, stopping } = setUp({
      plugins: async (_version, _memory, signal) => {
        await clock.sleep(60_000, signal);
        return compiled;
      },
    });
    const run = executor.execute(prepared({ input }), context);
    await settled();
    await clock.advance(30);
    stopping.abort(new AbortReason('SHUTDOWN'));
    expect(await run).toMatchObject({ error: { kind: 'SHUTDOWN' }, usage: { wallMs: 30, queueMs: 0, runMs: 0 } });
  });

  test('asks for nothing when the signal had aborted before', async () => {
    let asked = 0;
    const { executor, context, stopping, leases } = setUp({
      plugins: () => {
        asked += 1;
        return Promise.resolve(compiled);
      },
    });
    stopping.abort(new AbortReason('CANCELED'));
    expect(await executor.execute(prepared(), context)).toMatchObject({ name: 'CANCELED' });
    expect([asked, leases()]).toEqual([0, 0]);
  });

  test('gives back a sandbox that came just as the signal aborted, unused', async () => {
    const { executor, context, stopping, held, leases, events } = setUp({
      lease: () => {
        stopping.abort(new AbortReason('CANCELED'));
        return Promise.resolve();
      },
      run: () => Promise.reject(new Error('ran')),
    });
    expect(await executor.execute(prepared(), context)).toMatchObject({ name: 'CANCELED' });
    expect([leases(), held(), events]).toEqual([1, 0, []]);
  });
});

describe('pooledExecutor, where the host fails,', () => {
  test('rejects when the queue is full', async () => {
    const full = new ExecError('QUEUE_FULL', 'full');
    const { executor, context, phases } = setUp({ lease: () => Promise.reject(full) });
    await expect(executor.execute(prepared(), context)).rejects.toBe(full);
    expect(phases).toHaveLength(1);
  });

  test('rejects when the module cannot be compiled', async () => {
    const corrupt = new ExecError('PLUGIN_CORRUPT', 'corrupt');
    const { executor, context, leases } = setUp({ plugins: () => Promise.reject(corrupt) });
    await expect(executor.execute(prepared(), context)).rejects.toBe(corrupt);
    expect(leases()).toBe(0);
  });

  test('gives the lease back when the sandbox crashed, and rejects', async () => {
    const crashed = new ExecError('SANDBOX_CRASHED', 'died');
    const { executor, context, held, leases } = setUp({ run: () => Promise.reject(crashed) });
    await expect(executor.execute(prepared(), context)).rejects.toBe(crashed);
    expect([leases(), held()]).toEqual([1, 0]);
  });

  test('asks for a thread with tenant, plugin and session, and for instances that serve nobody else', async () => {
    const wishes: InstanceWish[] = [];
    const set = setUp({
      run: (call) => {
        wishes.push(call.instance);
        return Promise.resolve({ outcome: ok('out'), timings: undefined });
      },
    });
    const instance = { mode: 'session', warm: 2 } as const;
    for (const [tenant, sessionId] of [
      ['a', 's'],
      ['a', 't'],
      ['b', 's'],
    ]) {
      const action = prepared({ tenant: tenant ?? '', sessionId: sessionId ?? '', version: version({ instance }) });
      await set.executor.execute(action, set.context);
    }
    await set.executor.execute(prepared(), { ...set.context, chain: ['outer@1.0.0'] });
    expect(wishes.map(({ mode, warm }) => [mode, warm])).toEqual([
      ['session', 2],
      ['session', 2],
      ['session', 2],
      ['fresh', 1],
    ]);
    expect(new Set(wishes.slice(0, 3).map(({ key }) => key)).size).toBe(3);
    expect(set.requests.map(({ session }) => session)).toEqual([
      ...wishes.slice(0, 3).map(({ key }) => key),
      undefined,
    ]);
    expect(set.requests.map(({ tenant, isNested }) => [tenant, isNested])).toEqual([
      ['a', false],
      ['a', false],
      ['b', false],
      ['default', true],
    ]);
  });

  test('answers host calls out of the services, and gives its place up while it waits for another plugin', async () => {
    const set = setUp({
      run: async (_call, run) => {
        await run.answer?.('kv.get', new Uint8Array(), 5);
        expect(set.blocks).toEqual([]);
        await run.answer?.('invoke.call', new Uint8Array(), 4);
        return { outcome: ok('out'), timings: undefined };
      },
    });
    await set.executor.execute(prepared(), { ...set.context, chain: ['outer@1.0.0'] });
    expect(set.blocks).toEqual(['blocked', 'freed']);
    expect(set.asked.map(({ fuelLeft, chain }) => [fuelLeft, chain.length, chain[0]])).toEqual([
      [5, 2, 'outer@1.0.0'],
      [4, 2, 'outer@1.0.0'],
    ]);
  });
});

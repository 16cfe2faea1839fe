import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import type { Lease, LeaseRequest, PoolOptions, SandboxPool } from '../../../src/pool/pool.ts';
import { settled } from '../base/manual-clock.ts';
import { type FakeSandbox, type PoolSetUp, setUpPool, startPool } from './fakes.ts';

const never = new AbortController().signal;
const anyCall = callOf('tenant');

function callOf(tenant: string, more: Partial<LeaseRequest> = {}): LeaseRequest {
  return { tenant, plugin: 'plugin', pluginKey: 'plugin/1', ...more };
}

async function start(
  options: Parameters<typeof setUpPool>[0] = {},
): Promise<PoolSetUp & { readonly pool: SandboxPool }> {
  const setUp = setUpPool(options);
  const pool = await startPool(setUp);
  await settled();
  return Object.assign(setUp, { pool });
}

function fakeOf(lease: Lease): FakeSandbox {
  return lease.sandbox as unknown as FakeSandbox;
}

function release(...leases: readonly Lease[]): void {
  for (const lease of leases) lease[Symbol.dispose]();
}

/** Lets a promise that is expected to reject do so without being reported as unhandled. */
function refusal(promise: Promise<unknown>, expected: object): Promise<void> {
  return expect(promise).rejects.toMatchObject(expected);
}

describe('SandboxPool.start', () => {
  test('has threadsMin threads ready', async () => {
    const { pool } = await start({ threadsMin: 3, threadsMax: 5 });
    expect(pool.stats()).toMatchObject({ threads: 3, idle: 3, busy: 0, starting: 0, started: 3 });
  });

  test('rejects when no thread can be started, and leaves nothing behind', async () => {
    const setUp = setUpPool();
    setUp.failures.push(...Array.from({ length: 20 }, () => new Error('no memory')));
    const refused = refusal(startPool(setUp), { reason: 'SANDBOX_UNAVAILABLE' });
    await settled();
    await setUp.clock.advance(60_000);
    await refused;
    expect(setUp.clock.timers).toBe(0);
  });

  test('with threadsMin 0 waits for none, but has a spare started', async () => {
    const { pool } = await start({ threadsMin: 0 });
    expect(pool.stats()).toMatchObject({ idle: 1 });
  });
});

describe('SandboxPool.lease', () => {
  test('gives the thread that was used last', async () => {
    const { pool } = await start({ threadsMin: 3, threadsMax: 3 });
    const [first, second] = [await pool.lease(anyCall, never), await pool.lease(anyCall, never)];
    release(first, second);
    const next = await pool.lease(anyCall, never);
    expect(next.sandbox).toBe(second.sandbox);
    expect(next.queueMs).toBe(0);
  });

  test('gives one thread to one call at a time, and the same release counts once', async () => {
    const { pool } = await start({ threadsMin: 2, threadsMax: 2 });
    const [first, second] = [await pool.lease(anyCall, never), await pool.lease(anyCall, never)];
    expect(first.sandbox).not.toBe(second.sandbox);
    release(first, first);
    expect(pool.stats()).toMatchObject({ idle: 1, busy: 1 });
  });

  test('keeps a spare started while others are busy, as far as threadsMax goes', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 3 });
    for (const threads of [2, 3, 3]) {
      await pool.lease(anyCall, never);
      await settled();
      expect(pool.stats()).toMatchObject({ threads });
    }
    expect(pool.stats()).toMatchObject({ idle: 0, busy: 3, starting: 0 });
  });

  test('makes calls wait in order of arrival, and tells how long', async () => {
    const { pool, clock } = await start({ threadsMin: 1, threadsMax: 1 });
    const first = await pool.lease(anyCall, never);
    const order: string[] = [];
    const waiting = ['second', 'third'].map(async (name) => {
      const lease = await pool.lease(anyCall, never);
      order.push(name);
      return lease;
    });
    await clock.advance(50);
    expect(pool.stats()).toMatchObject({ waiting: 2 });
    release(first);
    const second = (await waiting[0]) as Lease;
    expect(second.queueMs).toBe(50);
    expect(order).toEqual(['second']);
    await clock.advance(25);
    release(second);
    expect(((await waiting[1]) as Lease).queueMs).toBe(75);
    expect(pool.stats()).toMatchObject({ waiting: 0, busy: 1 });
  });

  test('refuses when the line is full, and tells how long the line is and when to come again', async () => {
    const { pool, clock } = await start({ threadsMin: 1, threadsMax: 1, queueMax: 2 });
    const first = await pool.lease(anyCall, never);
    const second = pool.lease(anyCall, never);
    const third = pool.lease(anyCall, never);
    await refusal(pool.lease(anyCall, never), {
      reason: 'QUEUE_FULL',
      message: 'Cannot wait for a sandbox: the waiting line is full (2 of 2)',
      metadata: { queueLength: '2', queueMax: '2', queueLengthOfTenant: '2' },
      retryDelayMs: 50,
    });
    await clock.advance(4_000);
    release(first);
    await second;
    const fourth = pool.lease(anyCall, never);
    await refusal(pool.lease(anyCall, never), { reason: 'QUEUE_FULL', retryDelayMs: 8_000 });
    expect(pool.stats()).toMatchObject({ refused: 2, waiting: 2 });
    release(await second);
    release(await third);
    release(await fourth);
  });

  test('with queueMax 0 lets nobody wait', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1, queueMax: 0 });
    const lease = await pool.lease(anyCall, never);
    await refusal(pool.lease(anyCall, never), { reason: 'QUEUE_FULL' });
    release(lease);
    release(await pool.lease(anyCall, never));
  });

  test('lets a call leave the line when its signal aborts', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1 });
    const first = await pool.lease(anyCall, never);
    const leaving = new AbortController();
    const left = refusal(pool.lease(anyCall, leaving.signal), { reason: 'DEADLINE_EXCEEDED' });
    const staying = pool.lease(anyCall, never);
    leaving.abort(new AbortReason('DEADLINE'));
    await left;
    release(first);
    expect((await staying).sandbox).toBe(first.sandbox);
    await refusal(pool.lease(anyCall, leaving.signal), { reason: 'DEADLINE_EXCEEDED' });
    expect(getEventListeners(leaving.signal, 'abort')).toEqual([]);
  });
});

describe('The choice of a thread', () => {
  test('falls on one with an instance ready, else on one that holds the plugin, else on the one used last', async () => {
    const { pool, sandboxes } = await start({ threadsMin: 3, threadsMax: 3 });
    const [first, second, third] = sandboxes;
    first?.keep('ready/1', { prepared: 1, kept: 0, keptBytes: 0 });
    first?.keep('held/1', undefined);
    second?.keep('used/1', { prepared: 0, kept: 1, keptBytes: 65_536 });
    second?.keep('ready/1', undefined);
    const idOf = async (pluginKey: string): Promise<number> => {
      using lease = await pool.lease(callOf('tenant', { pluginKey }), never);
      return lease.sandbox.id;
    };
    expect(await idOf('ready/1')).toBe(first?.id);
    expect(await idOf('used/1')).toBe(second?.id);
    expect(await idOf('held/1')).toBe(first?.id);
    expect(await idOf('other/1')).toBe(first?.id);
    expect(third?.state).toBe('idle');
  });

  test('has every thread forget a module, busy ones included', async () => {
    const { pool, sandboxes } = await start({ threadsMin: 2, threadsMax: 2 });
    using _busy = await pool.lease(anyCall, never);
    pool.forget('sha256:abc');
    expect(sandboxes.map(({ forgotten }) => forgotten)).toEqual([['sha256:abc'], ['sha256:abc']]);
  });

  test('shows what threads keep, added up by plugin', async () => {
    const { pool, sandboxes } = await start({ threadsMin: 2, threadsMax: 2 });
    for (const sandbox of sandboxes) sandbox.keep('a/1', { prepared: 2, kept: 1, keptBytes: 10 });
    expect([...pool.stats().instances]).toEqual([['a/1', { prepared: 4, kept: 2, keptBytes: 20 }]]);
  });
});

describe('Sessions', () => {
  const inSession = (session: string): LeaseRequest => callOf('tenant', { session });

  test('go to their thread and wait for it, though others are idle', async () => {
    const { pool } = await start({ threadsMin: 2, threadsMax: 2 });
    const first = await pool.lease(inSession('s'), never);
    const second = pool.lease(inSession('s'), never);
    await settled();
    expect(pool.stats()).toMatchObject({ idle: 1, waiting: 1 });
    release(first);
    expect((await second).sandbox).toBe(first.sandbox);
    using other = await pool.lease(inSession('t'), never);
    expect(other.sandbox).not.toBe(first.sandbox);
    release(await second);
  });

  test('whose first calls come together get one thread', async () => {
    const { pool } = await start({ threadsMin: 2, threadsMax: 2 });
    const busy = [await pool.lease(anyCall, never), await pool.lease(anyCall, never)];
    const calls = [pool.lease(inSession('s'), never), pool.lease(inSession('s'), never)];
    await settled();
    release(...busy);
    const first = (await calls[0]) as Lease;
    await settled();
    expect(pool.stats()).toMatchObject({ busy: 1, waiting: 1 });
    release(first);
    expect(((await calls[1]) as Lease).sandbox).toBe(first.sandbox);
  });

  test('and other calls take turns on a thread', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1 });
    let held = await pool.lease(inSession('s'), never);
    const order: string[] = [];
    const wait = async (name: string, request: LeaseRequest): Promise<void> => {
      held = await pool.lease(request, never);
      order.push(name);
    };
    const all = [1, 2, 3].flatMap((n) => [wait(`s${n}`, inSession('s')), wait(`o${n}`, callOf('other'))]);
    for (let round = 0; round < 6; round++) {
      release(held);
      await settled();
    }
    await Promise.all(all);
    expect(order).toEqual(['s1', 'o1', 's2', 'o2', 's3', 'o3']);
    release(held);
  });

  test('begin anew on another thread when theirs dies', async () => {
    const { pool } = await start({ threadsMin: 2, threadsMax: 2 });
    const first = await pool.lease(inSession('s'), never);
    const second = pool.lease(inSession('s'), never);
    await settled();
    fakeOf(first).die();
    const next = await second;
    expect(next.sandbox).not.toBe(first.sandbox);
    release(first, next);
  });

  test('keep their thread from being replaced for ten times as many calls', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1, callsMax: 2 });
    const ids = new Set<number>();
    for (let count = 0; count < 20; count++) {
      using lease = await pool.lease(inSession('s'), never);
      ids.add(lease.sandbox.id);
    }
    expect(ids.size).toBe(1);
    await settled();
    using next = await pool.lease(inSession('s'), never);
    expect(ids.has(next.sandbox.id)).toBe(false);
  });
});

describe('Tenants', () => {
  test('take turns, and their plugins too, however many calls one of them has waiting', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1, queueMax: 100 });
    let held = await pool.lease(anyCall, never);
    const order: string[] = [];
    const wait = async (name: string, request: LeaseRequest): Promise<void> => {
      held = await pool.lease(request, never);
      order.push(name);
    };
    const all = [
      ...[1, 2, 3, 4].map((n) => wait(`loud${n}`, callOf('loud'))),
      wait('loud-other', callOf('loud', { plugin: 'other' })),
      ...[1, 2].map((n) => wait(`quiet${n}`, callOf('quiet'))),
    ];
    for (let round = 0; round < 7; round++) {
      release(held);
      await settled();
    }
    await Promise.all(all);
    expect(order).toEqual(['loud1', 'quiet1', 'loud-other', 'quiet2', 'loud2', 'loud3', 'loud4']);
    release(held);
  });

  test('cannot fill the line: one alone has four fifths of it, and the next one still waits', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1, queueMax: 10 });
    const held = await pool.lease(anyCall, never);
    const waiting = Array.from({ length: 8 }, () => pool.lease(callOf('loud'), never));
    await refusal(pool.lease(callOf('loud'), never), {
      reason: 'QUEUE_FULL',
      message: expect.stringContaining('8 of 10, 8 of them of tenant "loud", whose share that is'),
    });
    const quiet = pool.lease(callOf('quiet'), never);
    expect(pool.stats()).toMatchObject({
      waiting: 9,
      refused: 1,
      tenants: [
        { tenant: 'loud', waiting: 8, running: 0 },
        { tenant: 'quiet', waiting: 1, running: 0 },
        { tenant: 'tenant', waiting: 0, running: 1 },
      ],
    });
    release(held);
    release((await waiting[0]) as Lease);
    release(await quiet);
    for (const one of waiting.slice(1)) release(await one);
  });

  test('leave a quarter of the threads to others', async () => {
    const { pool } = await start({ threadsMin: 4, threadsMax: 4 });
    const loud = [1, 2, 3].map(() => pool.lease(callOf('loud'), never));
    const held = await Promise.all(loud);
    const fourth = pool.lease(callOf('loud'), never);
    await settled();
    expect(pool.stats()).toMatchObject({ idle: 1, waiting: 1 });
    using quiet = await pool.lease(callOf('quiet'), never);
    expect(quiet.queueMs).toBe(0);
    release(...held.slice(0, 1));
    release(await fourth, ...held.slice(1));
  });
});

describe('Short calls', () => {
  test('run no more at once than they should, though threads are idle', async () => {
    const { pool } = await start({ threadsMin: 4, threadsMax: 4, shortCallsMax: 2 });
    const held = [await pool.lease(callOf('a'), never), await pool.lease(callOf('b'), never)];
    const third = pool.lease(callOf('c'), never);
    await settled();
    expect(pool.stats()).toMatchObject({ idle: 2, waiting: 1 });
    release(...held.slice(0, 1));
    expect((await third).sandbox).toBe(held[0]?.sandbox);
    release(await third, ...held.slice(1));
  });

  test('that turn out to be long keep nobody waiting, and threads are started as needed', async () => {
    const { pool, clock } = await start({ threadsMin: 2, threadsMax: 6, shortCallsMax: 2 });
    const held = await Promise.all(['a', 'b'].map((tenant) => pool.lease(callOf(tenant), never)));
    const waiting = ['c', 'd', 'e'].map((tenant) => pool.lease(callOf(tenant), never));
    await settled();
    expect(pool.stats()).toMatchObject({ busy: 2, waiting: 3 });
    for (let look = 0; look < 3; look++) await clock.advance(2);
    held.push(...(await Promise.all(waiting)));
    expect(pool.stats()).toMatchObject({ busy: 5, waiting: 0 });
    release(...held);
    await pool[Symbol.asyncDispose]();
    expect(clock.timers).toBe(0);
  });

  test('are not counted while they wait for calls of their own', async () => {
    const { pool } = await start({ threadsMin: 2, threadsMax: 2, shortCallsMax: 1 });
    const outer = await pool.lease(callOf('a'), never);
    using _block = outer.block();
    using inner = await pool.lease(callOf('a', { isNested: true }), never);
    expect(inner.queueMs).toBe(0);
    release(outer);
  });

  test('are as many as they should, however many long ones wait for calls of their own', async () => {
    const { pool, clock } = await start({ threadsMin: 4, threadsMax: 4, shortCallsMax: 1 });
    const outer = await pool.lease(callOf('a'), never);
    const block = outer.block();
    await clock.advance(5);
    const short = await pool.lease(callOf('b'), never);
    const next = pool.lease(callOf('c'), never);
    await settled();
    expect(pool.stats()).toMatchObject({ busy: 2, waiting: 1 });
    block[Symbol.dispose]();
    release(short);
    release(await next, outer);
  });
});

describe('A call that waits for a call of its own', () => {
  const nested = callOf('tenant', { isNested: true });

  test('makes room for it beyond threadsMax, and it goes before all others', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1 });
    const outer = await pool.lease(anyCall, never);
    const other = pool.lease(anyCall, never);
    const block = outer.block();
    const inner = await pool.lease(nested, never);
    expect(inner.sandbox).not.toBe(outer.sandbox);
    expect(pool.stats()).toMatchObject({ busy: 2, waiting: 1 });
    release(inner);
    block[Symbol.dispose]();
    release(outer);
    release(await other);
  });

  test('leaves the room to calls of its kind, so that those of all others can end', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 2 });
    const outer = [await pool.lease(anyCall, never), await pool.lease(anyCall, never)];
    const later = [pool.lease(anyCall, never), pool.lease(callOf('other'), never)];
    const blocks = outer.map((lease) => lease.block());
    await settled();
    expect(pool.stats()).toMatchObject({ busy: 2, waiting: 2 });
    const inner = [await pool.lease(nested, never), await pool.lease(nested, never)];
    release(...inner);
    for (const block of blocks) block[Symbol.dispose]();
    expect(pool.stats()).toMatchObject({ idle: 2, busy: 2, waiting: 2 });
    release(...outer);
    release(...(await Promise.all(later)));
  });

  test('is refused when four times as many wait so as there may be threads', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1 });
    const leases = [await pool.lease(anyCall, never)];
    const blocks: Disposable[] = [];
    for (let depth = 0; depth < 4; depth++) {
      blocks.push(...leases.slice(-1).map((lease) => lease.block()));
      leases.push(await pool.lease(nested, never));
    }
    blocks.push(...leases.slice(-1).map((lease) => lease.block()));
    await refusal(pool.lease(nested, never), { reason: 'QUEUE_FULL', message: expect.stringContaining('at most 4') });
    for (const block of blocks) block[Symbol.dispose]();
    release(...leases);
  });

  test('that is not nested itself waits in line however many wait so', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1, queueMax: 2 });
    const leases = [await pool.lease(anyCall, never)];
    const blocks = leases.map((lease) => [lease.block(), lease.block(), lease.block()]).flat();
    const next = pool.lease(callOf('other'), never);
    await settled();
    expect(pool.stats()).toMatchObject({ waiting: 1 });
    for (const block of blocks) block[Symbol.dispose]();
    release(...leases);
    release(await next);
  });
});

describe('A thread of the pool', () => {
  test('is replaced after callsMax calls', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 2, callsMax: 2 });
    const first = await pool.lease(anyCall, never);
    release(first);
    const again = await pool.lease(anyCall, never);
    expect(again.sandbox).toBe(first.sandbox);
    release(again);
    await settled();
    expect(fakeOf(first).state).toBe('dead');
    expect((await pool.lease(anyCall, never)).sandbox).not.toBe(first.sandbox);
    expect(pool.stats()).toMatchObject({ recycled: 1, lost: 0 });
  });

  test('that was killed during its call is replaced, and the next call finds the spare', async () => {
    const { pool, sandboxes } = await start({ threadsMin: 1, threadsMax: 2, endsAtOnce: false });
    const lease = await pool.lease(anyCall, never);
    await settled();
    fakeOf(lease).state = 'stopping';
    release(lease);
    expect(pool.stats()).toMatchObject({ ending: 1, idle: 1, starting: 0 });
    const next = await pool.lease(anyCall, never);
    expect(next.queueMs).toBe(0);
    fakeOf(lease).die();
    await settled();
    expect(pool.stats()).toMatchObject({ ending: 0, busy: 1, idle: 1, started: 3, lost: 1 });
    expect(sandboxes).toHaveLength(3);
  });

  test('that dies while idle is not given to a call, and is replaced', async () => {
    const { pool, sandboxes } = await start({ threadsMin: 1, threadsMax: 1 });
    sandboxes[0]?.die();
    await settled();
    const lease = await pool.lease(anyCall, never);
    expect(lease.sandbox.id).toBe(2);
    expect(pool.stats()).toMatchObject({ threads: 1, started: 2, lost: 1 });
  });

  test('that dies during its call before the lease is over is replaced', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1 });
    const lease = await pool.lease(anyCall, never);
    fakeOf(lease).die();
    await settled();
    expect(pool.stats()).toMatchObject({ busy: 0, idle: 1, lost: 1 });
    release(lease);
    expect(pool.stats()).toMatchObject({ busy: 0, idle: 1 });
  });

  test('that is still running when its lease is over is ended', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1 });
    const lease = await pool.lease(anyCall, never);
    fakeOf(lease).state = 'running';
    release(lease);
    await settled();
    expect(fakeOf(lease).state).toBe('dead');
    expect((await pool.lease(anyCall, never)).sandbox).not.toBe(lease.sandbox);
  });

  test('is never one of more than threadsMax, those that end included', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1, endsAtOnce: false });
    const lease = await pool.lease(anyCall, never);
    fakeOf(lease).state = 'stopping';
    const next = pool.lease(anyCall, never);
    release(lease);
    await settled();
    expect(pool.stats()).toMatchObject({ ending: 1, starting: 0, waiting: 1 });
    fakeOf(lease).die();
    expect((await next).sandbox.id).toBe(2);
  });

  test('that nobody needs is ended after idleMsMax, one spare and threadsMin excepted', async () => {
    const { pool, clock } = await start({ threadsMin: 2, threadsMax: 5, idleMsMax: 1_000 });
    const leases: Lease[] = [];
    for (let count = 0; count < 4; count++) {
      leases.push(await pool.lease(anyCall, never));
      await settled();
    }
    expect(pool.stats()).toMatchObject({ threads: 5 });
    release(...leases);
    await clock.advance(999);
    expect(pool.stats()).toMatchObject({ threads: 5 });
    await clock.advance(1);
    expect(pool.stats()).toMatchObject({ threads: 2, idle: 2 });
    await clock.advance(10_000);
    expect(pool.stats()).toMatchObject({ threads: 2, starting: 0 });
    expect(clock.timers).toBe(0);
  });

  test('that is used now and then stays, and the others go but for a spare', async () => {
    const { pool, clock } = await start({ threadsMin: 0, threadsMax: 3, idleMsMax: 1_000 });
    const first = await pool.lease(anyCall, never);
    await settled();
    const second = await pool.lease(anyCall, never);
    await settled();
    release(first, second);
    for (let round = 0; round < 5; round++) {
      await clock.advance(400);
      release(await pool.lease(anyCall, never));
    }
    expect(pool.stats()).toMatchObject({ threads: 2 });
    expect((await pool.lease(anyCall, never)).sandbox).toBe(second.sandbox);
  });
});

describe('Starts that fail', () => {
  test('are tried again, and those who wait are served', async () => {
    const { pool, clock, failures, sandboxes } = await start({ threadsMin: 1, threadsMax: 1 });
    failures.push(new Error('once'), new Error('twice'));
    sandboxes[0]?.die();
    await settled();
    const lease = pool.lease(anyCall, never);
    await clock.advance(1_000);
    expect((await lease).sandbox).toBe(sandboxes[1]?.asSandbox());
    expect(pool.stats()).toMatchObject({ startFailures: 2 });
  });

  test('for good turn away those who wait, and the next call has it tried anew', async () => {
    const { pool, clock, failures, sandboxes } = await start({ threadsMin: 1, threadsMax: 1 });
    failures.push(...Array.from({ length: 5 }, () => new Error('no memory')));
    sandboxes[0]?.die();
    await settled();
    const refused = refusal(pool.lease(anyCall, never), {
      reason: 'SANDBOX_UNAVAILABLE',
      retryDelayMs: expect.any(Number),
    });
    await clock.advance(60_000);
    await refused;
    expect(pool.stats()).toMatchObject({ threads: 0, waiting: 0, starting: 0 });
    expect((await pool.lease(anyCall, never)).sandbox.id).toBe(7);
  });

  test('leave those waiting who can still be served by a busy thread', async () => {
    const { pool, clock, failures } = await start({ threadsMin: 1, threadsMax: 2 });
    failures.push(...Array.from({ length: 5 }, () => new Error('no memory')));
    const first = await pool.lease(anyCall, never);
    const second = pool.lease(anyCall, never);
    await settled();
    await clock.advance(60_000);
    expect(pool.stats()).toMatchObject({ waiting: 1, starting: 0, startFailures: 5 });
    release(first);
    expect((await second).sandbox).toBe(first.sandbox);
  });
});

describe('SandboxPool, closed', () => {
  test('refuses those who wait and who come, and ends all threads, busy ones included', async () => {
    const { pool, sandboxes, clock } = await start({ threadsMin: 2, threadsMax: 2 });
    const leases = [await pool.lease(anyCall, never), await pool.lease(anyCall, never)];
    const waiting = refusal(pool.lease(anyCall, never), { reason: 'SHUTTING_DOWN' });
    await pool[Symbol.asyncDispose]();
    await waiting;
    await refusal(pool.lease(anyCall, never), { reason: 'SHUTTING_DOWN' });
    release(...leases);
    expect(sandboxes.map(({ state }) => state)).toEqual(['dead', 'dead']);
    expect(pool.stats()).toMatchObject({ threads: 0, ending: 0, starting: 0 });
    expect(clock.timers).toBe(0);
  });

  test('waits for threads that are being started, and ends them', async () => {
    const setUp = await start({ threadsMin: 1, threadsMax: 2 });
    const starting = Promise.withResolvers<void>();
    setUp.hold = starting.promise;
    await setUp.pool.lease(anyCall, never);
    const closing = setUp.pool[Symbol.asyncDispose]();
    starting.resolve();
    await closing;
    expect(setUp.sandboxes.map(({ state }) => state)).toEqual(['dead', 'dead']);
  });

  test('may be closed again, and waits for threads that end slowly', async () => {
    const { pool, sandboxes } = await start({ endsAtOnce: false });
    const closing = Promise.all([pool[Symbol.asyncDispose](), pool[Symbol.asyncDispose]()]);
    let isClosed = false;
    void closing.then(() => {
      isClosed = true;
    });
    await settled();
    expect(isClosed).toBe(false);
    for (const sandbox of sandboxes) sandbox.die();
    await closing;
  });
});

describe('SandboxPool, whatever happens', () => {
  const step = fc.oneof(
    fc.constant('lease' as const),
    fc.constant('release' as const),
    fc.constant('kill' as const),
    fc.constant('abort' as const),
    fc.constant('die idle' as const),
    fc.constant('fail a start' as const),
    fc.constant('wait' as const),
  );

  test('keeps its bounds, gives no thread twice, and serves everybody in the end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const options: Partial<PoolOptions> = {
          threadsMin: 1,
          threadsMax: 3,
          queueMax: 4,
          callsMax: 5,
          idleMsMax: 500,
        };
        const { pool, clock, sandboxes, failures } = await start(options);
        const held: Lease[] = [];
        const aborts: AbortController[] = [];
        const open = new Set<AbortController>();
        const lease = async (): Promise<void> => {
          const stopping = new AbortController();
          aborts.push(stopping);
          open.add(stopping);
          try {
            held.push(await pool.lease(anyCall, stopping.signal));
          } catch {
            // Refused: the checks below hold all the same.
          }
          open.delete(stopping);
        };
        const check = (): void => {
          const stats = pool.stats();
          expect(stats.threads + stats.starting + stats.ending).toBeLessThanOrEqual(3);
          expect(stats.waiting).toBeLessThanOrEqual(4);
          expect(new Set(held.map(({ sandbox }) => sandbox)).size).toBe(held.length);
          expect(stats.idle > 0 && stats.waiting > 0).toBe(false);
        };
        for (const now of steps) {
          if (now === 'lease') void lease();
          else if (now === 'release') release(...held.splice(0, 1));
          else if (now === 'kill') {
            const [killed] = held.splice(0, 1);
            if (killed) fakeOf(killed).die();
            if (killed) release(killed);
          } else if (now === 'abort') aborts.shift()?.abort(new AbortReason('CANCELED'));
          else if (now === 'die idle') sandboxes.findLast(({ state }) => state === 'idle' && !held.length)?.die();
          else if (now === 'fail a start') failures.push(new Error('failed'));
          else await clock.advance(300);
          await settled();
          check();
        }
        for (let round = 0; open.size > 0 && round < 100; round++) {
          release(...held.splice(0));
          await clock.advance(10_000);
        }
        expect(open.size).toBe(0);
        release(...held.splice(0));
        await pool[Symbol.asyncDispose]();
        expect(sandboxes.every(({ state }) => state === 'dead')).toBe(true);
        expect(clock.timers).toBe(0);
      }),
      { numRuns: 100 },
    );
  });
});

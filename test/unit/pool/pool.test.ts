import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import type { Lease, PoolOptions, SandboxPool } from '../../../src/pool/pool.ts';
import { settled } from '../base/manual-clock.ts';
import { type FakeSandbox, type PoolSetUp, setUpPool, startPool } from './fakes.ts';

const never = new AbortController().signal;

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
    const [first, second] = [await pool.lease(never), await pool.lease(never)];
    release(first, second);
    const next = await pool.lease(never);
    expect(next.sandbox).toBe(second.sandbox);
    expect(next.queueMs).toBe(0);
  });

  test('gives one thread to one call at a time, and the same release counts once', async () => {
    const { pool } = await start({ threadsMin: 2, threadsMax: 2 });
    const [first, second] = [await pool.lease(never), await pool.lease(never)];
    expect(first.sandbox).not.toBe(second.sandbox);
    release(first, first);
    expect(pool.stats()).toMatchObject({ idle: 1, busy: 1 });
  });

  test('keeps a spare started while others are busy, as far as threadsMax goes', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 3 });
    for (const threads of [2, 3, 3]) {
      await pool.lease(never);
      await settled();
      expect(pool.stats()).toMatchObject({ threads });
    }
    expect(pool.stats()).toMatchObject({ idle: 0, busy: 3, starting: 0 });
  });

  test('makes calls wait in order of arrival, and tells how long', async () => {
    const { pool, clock } = await start({ threadsMin: 1, threadsMax: 1 });
    const first = await pool.lease(never);
    const order: string[] = [];
    const waiting = ['second', 'third'].map(async (name) => {
      const lease = await pool.lease(never);
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
    const first = await pool.lease(never);
    const second = pool.lease(never);
    const third = pool.lease(never);
    await refusal(pool.lease(never), {
      reason: 'QUEUE_FULL',
      message: 'Cannot wait for a sandbox: the waiting line is full (2 of 2)',
      metadata: { queueLength: '2', queueMax: '2' },
      retryDelayMs: 50,
    });
    await clock.advance(4_000);
    release(first);
    await second;
    const fourth = pool.lease(never);
    await refusal(pool.lease(never), { reason: 'QUEUE_FULL', retryDelayMs: 8_000 });
    expect(pool.stats()).toMatchObject({ refused: 2, waiting: 2 });
    release(await second);
    release(await third);
    release(await fourth);
  });

  test('with queueMax 0 lets nobody wait', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1, queueMax: 0 });
    const lease = await pool.lease(never);
    await refusal(pool.lease(never), { reason: 'QUEUE_FULL' });
    release(lease);
    release(await pool.lease(never));
  });

  test('lets a call leave the line when its signal aborts', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1 });
    const first = await pool.lease(never);
    const leaving = new AbortController();
    const left = refusal(pool.lease(leaving.signal), { reason: 'DEADLINE_EXCEEDED' });
    const staying = pool.lease(never);
    leaving.abort(new AbortReason('DEADLINE'));
    await left;
    release(first);
    expect((await staying).sandbox).toBe(first.sandbox);
    await refusal(pool.lease(leaving.signal), { reason: 'DEADLINE_EXCEEDED' });
    expect(getEventListeners(leaving.signal, 'abort')).toEqual([]);
  });
});

describe('A thread of the pool', () => {
  test('is replaced after callsMax calls', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 2, callsMax: 2 });
    const first = await pool.lease(never);
    release(first);
    const again = await pool.lease(never);
    expect(again.sandbox).toBe(first.sandbox);
    release(again);
    await settled();
    expect(fakeOf(first).state).toBe('dead');
    expect((await pool.lease(never)).sandbox).not.toBe(first.sandbox);
    expect(pool.stats()).toMatchObject({ recycled: 1, lost: 0 });
  });

  test('that was killed during its call is replaced, and the next call finds the spare', async () => {
    const { pool, sandboxes } = await start({ threadsMin: 1, threadsMax: 2, endsAtOnce: false });
    const lease = await pool.lease(never);
    await settled();
    fakeOf(lease).state = 'stopping';
    release(lease);
    expect(pool.stats()).toMatchObject({ ending: 1, idle: 1, starting: 0 });
    const next = await pool.lease(never);
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
    const lease = await pool.lease(never);
    expect(lease.sandbox.id).toBe(2);
    expect(pool.stats()).toMatchObject({ threads: 1, started: 2, lost: 1 });
  });

  test('that dies during its call before the lease is over is replaced', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1 });
    const lease = await pool.lease(never);
    fakeOf(lease).die();
    await settled();
    expect(pool.stats()).toMatchObject({ busy: 0, idle: 1, lost: 1 });
    release(lease);
    expect(pool.stats()).toMatchObject({ busy: 0, idle: 1 });
  });

  test('that is still running when its lease is over is ended', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1 });
    const lease = await pool.lease(never);
    fakeOf(lease).state = 'running';
    release(lease);
    await settled();
    expect(fakeOf(lease).state).toBe('dead');
    expect((await pool.lease(never)).sandbox).not.toBe(lease.sandbox);
  });

  test('is never one of more than threadsMax, those that end included', async () => {
    const { pool } = await start({ threadsMin: 1, threadsMax: 1, endsAtOnce: false });
    const lease = await pool.lease(never);
    fakeOf(lease).state = 'stopping';
    const next = pool.lease(never);
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
      leases.push(await pool.lease(never));
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
    const first = await pool.lease(never);
    await settled();
    const second = await pool.lease(never);
    await settled();
    release(first, second);
    for (let round = 0; round < 5; round++) {
      await clock.advance(400);
      release(await pool.lease(never));
    }
    expect(pool.stats()).toMatchObject({ threads: 2 });
    expect((await pool.lease(never)).sandbox).toBe(second.sandbox);
  });
});

describe('Starts that fail', () => {
  test('are tried again, and those who wait are served', async () => {
    const { pool, clock, failures, sandboxes } = await start({ threadsMin: 1, threadsMax: 1 });
    failures.push(new Error('once'), new Error('twice'));
    sandboxes[0]?.die();
    await settled();
    const lease = pool.lease(never);
    await clock.advance(1_000);
    expect((await lease).sandbox).toBe(sandboxes[1]?.asSandbox());
    expect(pool.stats()).toMatchObject({ startFailures: 2 });
  });

  test('for good turn away those who wait, and the next call has it tried anew', async () => {
    const { pool, clock, failures, sandboxes } = await start({ threadsMin: 1, threadsMax: 1 });
    failures.push(...Array.from({ length: 5 }, () => new Error('no memory')));
    sandboxes[0]?.die();
    await settled();
    const refused = refusal(pool.lease(never), { reason: 'SANDBOX_UNAVAILABLE', retryDelayMs: expect.any(Number) });
    await clock.advance(60_000);
    await refused;
    expect(pool.stats()).toMatchObject({ threads: 0, waiting: 0, starting: 0 });
    expect((await pool.lease(never)).sandbox.id).toBe(7);
  });

  test('leave those waiting who can still be served by a busy thread', async () => {
    const { pool, clock, failures } = await start({ threadsMin: 1, threadsMax: 2 });
    failures.push(...Array.from({ length: 5 }, () => new Error('no memory')));
    const first = await pool.lease(never);
    const second = pool.lease(never);
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
    const leases = [await pool.lease(never), await pool.lease(never)];
    const waiting = refusal(pool.lease(never), { reason: 'SHUTTING_DOWN' });
    await pool[Symbol.asyncDispose]();
    await waiting;
    await refusal(pool.lease(never), { reason: 'SHUTTING_DOWN' });
    release(...leases);
    expect(sandboxes.map(({ state }) => state)).toEqual(['dead', 'dead']);
    expect(pool.stats()).toMatchObject({ threads: 0, ending: 0, starting: 0 });
    expect(clock.timers).toBe(0);
  });

  test('waits for threads that are being started, and ends them', async () => {
    const setUp = await start({ threadsMin: 1, threadsMax: 2 });
    const starting = Promise.withResolvers<void>();
    setUp.hold = starting.promise;
    await setUp.pool.lease(never);
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
            held.push(await pool.lease(stopping.signal));
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

import { describe, expect, test } from 'vitest';
import { subscriptionsMax } from '../../../../src/capabilities/wasi/time-functions.ts';
import { MemoryGuest, memoryBytes } from './guest.ts';

const subscriptionsAt = 10_000;
const eventsAt = 30_000;

interface Subscription {
  readonly type: number;
  /** Clock id or descriptor. */
  readonly source: number;
  readonly timeoutNs?: bigint;
  readonly isAbsolute?: boolean;
}

interface Event {
  readonly userdata: bigint;
  readonly errno: number;
  readonly type: number;
  readonly bytes: bigint;
}

function put(guest: MemoryGuest, subscriptions: readonly Subscription[]): void {
  for (const [index, { type, source, timeoutNs = 0n, isAbsolute = false }] of subscriptions.entries()) {
    const data = new DataView(guest.memory.buffer, subscriptionsAt + index * 48, 48);
    data.setBigUint64(0, BigInt(index + 100), true);
    data.setUint8(8, type);
    data.setUint32(16, source, true);
    data.setBigUint64(24, timeoutNs, true);
    data.setUint16(40, isAbsolute ? 1 : 0, true);
  }
}

function poll(guest: MemoryGuest, ...subscriptions: readonly Subscription[]): readonly Event[] {
  put(guest, subscriptions);
  const count = guest.u32('poll_oneoff', subscriptionsAt, eventsAt, subscriptions.length);
  return Array.from({ length: count }, (_, index) => {
    const data = new DataView(guest.memory.buffer, eventsAt + index * 32, 32);
    return {
      userdata: data.getBigUint64(0, true),
      errno: data.getUint16(8, true),
      type: data.getUint8(10),
      bytes: data.getBigUint64(16, true),
    };
  });
}

const sleepMs = (ms: number): Subscription => ({ type: 0, source: 1, timeoutNs: BigInt(ms) * 1_000_000n });
const reading = (fd: number): Subscription => ({ type: 1, source: fd });

describe('Clocks', () => {
  test('show the time of day and the time since the run began, asked for outside', () => {
    const guest = new MemoryGuest();
    expect(guest.u64('clock_time_get', 0, 0n)).toBe(1_750_000_000_000_000_000n);
    expect(guest.u64('clock_time_get', 1, 0n)).toBe(0n);
    expect(guest.call.asked.map(({ operation, request }) => [operation, [...request]])).toEqual([
      ['wasi.clock', [0]],
      ['wasi.clock', [1]],
    ]);
  });

  test('have a resolution', () => {
    const guest = new MemoryGuest();
    expect(guest.u64('clock_res_get', 0)).toBe(1_000n);
    expect(guest.u64('clock_res_get', 1)).toBe(1_000n);
  });

  test('of processor time are not supported, and there are no others', () => {
    const guest = new MemoryGuest();
    for (const name of ['clock_time_get', 'clock_res_get']) {
      const errnos = [2, 3, 4, -1].map((id) => guest.errno(name, id, ...(name === 'clock_res_get' ? [8] : [0n, 8])));
      expect(errnos).toEqual([58, 58, 28, 28]);
    }
    expect(guest.call.asked).toEqual([]);
  });

  test('are not asked when there is no place to tell the time', () => {
    const guest = new MemoryGuest();
    expect(guest.errno('clock_time_get', 0, 0n, memoryBytes - 7)).toBe(21);
    expect(guest.call.asked).toEqual([]);
    expect(guest.errno('clock_time_get', 0, 0n, memoryBytes - 8)).toBe(0);
  });
});

describe('poll_oneoff', () => {
  test('waits for the soonest clock and tells it alone', () => {
    const guest = new MemoryGuest();
    const startMs = guest.call.clock.now();
    expect(poll(guest, sleepMs(50), sleepMs(20), sleepMs(90))).toEqual([
      { userdata: 101n, errno: 0, type: 0, bytes: 0n },
    ]);
    expect(guest.call.clock.now() - startMs).toBe(20);
  });

  test('tells all clocks that come true together', () => {
    const guest = new MemoryGuest();
    expect(poll(guest, sleepMs(5), sleepMs(9), sleepMs(5)).map(({ userdata }) => userdata)).toEqual([100n, 102n]);
  });

  test('waits until a time of day, and not for one that is past', () => {
    const guest = new MemoryGuest();
    const startMs = guest.call.clock.now();
    const at = (ms: number): Subscription => ({
      type: 0,
      source: 0,
      timeoutNs: BigInt(startMs + ms) * 1_000_000n,
      isAbsolute: true,
    });
    expect(poll(guest, at(30))).toHaveLength(1);
    expect(guest.call.clock.now() - startMs).toBe(30);
    expect(poll(guest, at(-30), sleepMs(5))).toEqual([{ userdata: 100n, errno: 0, type: 0, bytes: 0n }]);
    expect(guest.call.clock.now() - startMs).toBe(30);
  });

  test('never waits longer than the run may last', () => {
    const guest = new MemoryGuest({ limits: { timeoutMs: 700 } });
    const startMs = guest.call.clock.now();
    poll(guest, { type: 0, source: 1, timeoutNs: 2n ** 64n - 1n });
    expect(guest.call.clock.now() - startMs).toBe(700);
  });

  test('does not wait when a descriptor is asked for, which is always ready', () => {
    const guest = new MemoryGuest({ input: Buffer.from('12345') });
    const startMs = guest.call.clock.now();
    expect(poll(guest, sleepMs(50), reading(0), { type: 2, source: 1 }, reading(9))).toEqual([
      { userdata: 101n, errno: 0, type: 1, bytes: 5n },
      { userdata: 102n, errno: 0, type: 2, bytes: 0n },
      { userdata: 103n, errno: 8, type: 1, bytes: 0n },
    ]);
    expect(guest.call.clock.now()).toBe(startMs);
  });

  test('tells of clocks that there are none of without waiting', () => {
    const guest = new MemoryGuest();
    expect(poll(guest, { type: 0, source: 2, timeoutNs: 5n }, { type: 0, source: 7 })).toMatchObject([
      { errno: 58 },
      { errno: 28 },
    ]);
  });

  test('takes as many subscriptions as the bound, and not one more, nor none', () => {
    const guest = new MemoryGuest();
    const many = Array.from({ length: subscriptionsMax }, () => reading(0));
    expect(poll(guest, ...many)).toHaveLength(subscriptionsMax);
    expect(guest.errno('poll_oneoff', subscriptionsAt, eventsAt, subscriptionsMax + 1, 0)).toBe(28);
    expect(guest.errno('poll_oneoff', subscriptionsAt, eventsAt, 0, 0)).toBe(28);
  });

  test('refuses kinds of subscriptions that it does not know, and pointers outside', () => {
    const guest = new MemoryGuest();
    put(guest, [{ type: 3, source: 0 }]);
    expect(guest.errno('poll_oneoff', subscriptionsAt, eventsAt, 1, 0)).toBe(28);
    put(guest, [sleepMs(1)]);
    expect(guest.errno('poll_oneoff', memoryBytes - 47, eventsAt, 1, 0)).toBe(21);
    expect(guest.errno('poll_oneoff', subscriptionsAt, memoryBytes - 31, 1, 0)).toBe(21);
    expect(guest.errno('poll_oneoff', subscriptionsAt, eventsAt, 1, memoryBytes - 3)).toBe(21);
    expect(guest.errno('poll_oneoff', subscriptionsAt, memoryBytes - 32, 1, 0)).toBe(0);
  });

  test('lets the stop of a run pass', () => {
    const guest = new MemoryGuest();
    const stop = new Error('stopped');
    guest.call.sleep = () => {
      throw stop;
    };
    put(guest, [sleepMs(1)]);
    expect(() => guest.errno('poll_oneoff', subscriptionsAt, eventsAt, 1, 0)).toThrow(stop);
  });
});

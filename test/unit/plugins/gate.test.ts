import { describe, expect, test } from 'vitest';
import { Gate, KeyedGates } from '../../../src/plugins/gate.ts';
import { execErrorOf, reasonOf } from './fakes.ts';

const live = new AbortController().signal;

/** Work that goes on until it is told to end. */
function held(): { readonly work: () => Promise<void>; readonly end: () => void; readonly began: () => boolean } {
  const ending = Promise.withResolvers<void>();
  let began = false;
  const work = async (): Promise<void> => {
    began = true;
    await ending.promise;
  };
  return { work, end: ending.resolve, began: () => began };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

describe('Gate', () => {
  test('lets in as many as it may and the others in order', async () => {
    const gate = new Gate({ holdersMax: 2, waitersMax: 10, subject: 'room' });
    const works = [held(), held(), held(), held()];
    const runs = works.map(({ work }) => gate.run(live, work));
    const began = (): readonly boolean[] => works.map((work) => work.began());
    await settle();
    expect(began()).toEqual([true, true, false, false]);
    works[1]?.end();
    await settle();
    expect(began()).toEqual([true, true, true, false]);
    works[0]?.end();
    await settle();
    expect(began()).toEqual([true, true, true, true]);
    expect(gate.idle).toBe(false);
    for (const { end } of works) end();
    await Promise.all(runs);
    expect(gate.idle).toBe(true);
  });

  test('refuses more waiters than its bound at once', async () => {
    const gate = new Gate({ holdersMax: 1, waitersMax: 1, subject: '"echo@1.0.0"' });
    const first = held();
    const runs = [gate.run(live, first.work), gate.run(live, async () => {})];
    const error = await execErrorOf(() => gate.run(live, async () => {}));
    expect(error.reason).toBe('QUEUE_FULL');
    expect(error.message).toBe('More than 1 calls wait for "echo@1.0.0": try again later');
    first.end();
    await Promise.all(runs);
  });

  test('lets a waiter go that is aborted, and the next one in all the same', async () => {
    const gate = new Gate({ holdersMax: 1, waitersMax: 10, subject: 'room' });
    const first = held();
    const running = gate.run(live, first.work);
    const canceling = new AbortController();
    const canceled = reasonOf(() => gate.run(canceling.signal, async () => {}));
    const last = gate.run(live, async () => 'done');
    canceling.abort();
    expect(await canceled).toBe('CANCELED');
    first.end();
    expect(await last).toBe('done');
    await running;
    expect(gate.idle).toBe(true);
    expect(await reasonOf(() => gate.run(canceling.signal, async () => {}))).toBe('CANCELED');
  });

  test('opens again after work that fails', async () => {
    const gate = new Gate({ holdersMax: 1, waitersMax: 1, subject: 'room' });
    await expect(gate.run(live, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await gate.run(live, async () => 1)).toBe(1);
  });
});

describe('KeyedGates', () => {
  test('hold up only work for the same key', async () => {
    const gates = new KeyedGates(10);
    const first = held();
    const second = held();
    const runs = [gates.run('a', live, first.work), gates.run('a', live, second.work)];
    expect(await gates.run('b', live, async () => 'b')).toBe('b');
    expect(second.began()).toBe(false);
    first.end();
    await runs[0];
    await settle();
    expect(second.began()).toBe(true);
    second.end();
    await Promise.all(runs);
  });
});

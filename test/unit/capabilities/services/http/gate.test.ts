import { describe, expect, test } from 'vitest';
import { Gate } from '../../../../../src/capabilities/services/http/gate.ts';
import { HttpFailure } from '../../../../../src/capabilities/services/http/refusals.ts';
import { settled } from '../../../base/manual-clock.ts';

const { signal } = new AbortController();

describe('A gate', () => {
  test('lets in as many as it may, then in the order of their coming', async () => {
    const gate = new Gate('things', 10);
    const first = await gate.enter(2, signal);
    const second = await gate.enter(2, signal);
    const entered: string[] = [];
    const enter = async (name: string): Promise<Disposable> => {
      const place = await gate.enter(2, signal);
      entered.push(name);
      return place;
    };
    const waiting = ['a', 'b', 'c'].map(enter);
    await settled();
    expect(entered).toEqual([]);
    first[Symbol.dispose]();
    await settled();
    expect(entered).toEqual(['a']);
    second[Symbol.dispose]();
    await settled();
    expect(entered).toEqual(['a', 'b']);
    (await waiting[0])?.[Symbol.dispose]();
    for (const place of waiting) (await place)[Symbol.dispose]();
    expect(gate.isEmpty).toBe(true);
  });

  test('is left once, however often the place is disposed of', async () => {
    const gate = new Gate('things', 10);
    const place = await gate.enter(1, signal);
    place[Symbol.dispose]();
    place[Symbol.dispose]();
    using _held = await gate.enter(1, signal);
    expect(gate.isEmpty).toBe(false);
  });

  test('lets those wait whose own bound is lower than that of others', async () => {
    const gate = new Gate('things', 10);
    const [one, two] = [await gate.enter(2, signal), await gate.enter(2, signal)];
    let isIn = false;
    const low = gate.enter(1, signal).then((place) => {
      isIn = true;
      return place;
    });
    one[Symbol.dispose]();
    await settled();
    expect(isIn).toBe(false);
    using _high = await gate.enter(2, signal);
    _high[Symbol.dispose]();
    two[Symbol.dispose]();
    (await low)[Symbol.dispose]();
    expect(gate.isEmpty).toBe(true);
  });

  test('has a line of bounded length', async () => {
    const gate = new Gate('things', 2);
    const held = await gate.enter(1, signal);
    const waiting = [gate.enter(1, signal), gate.enter(1, signal)];
    await expect(gate.enter(1, signal)).rejects.toThrow(HttpFailure);
    await expect(gate.enter(1, signal)).rejects.toThrow(
      'There are too many things at once: 1 are allowed, and 2 may wait',
    );
    held[Symbol.dispose]();
    for (const place of waiting) (await place)[Symbol.dispose]();
  });

  test('forgets those whose signal aborts, also between their turn and their entry', async () => {
    const gate = new Gate('things', 2);
    const held = await gate.enter(1, signal);
    const stops = [new AbortController(), new AbortController()];
    const waiting = stops.map((stop) => gate.enter(1, stop.signal));
    stops[0]?.abort(new Error('first'));
    await expect(waiting[0]).rejects.toThrow('first');
    held[Symbol.dispose]();
    stops[1]?.abort(new Error('second'));
    await expect(waiting[1]).rejects.toThrow('second');
    expect(gate.isEmpty).toBe(true);
    await expect(gate.enter(1, AbortSignal.abort(new Error('third')))).rejects.toThrow('third');
    expect(gate.isEmpty).toBe(true);
  });
});

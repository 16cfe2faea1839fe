import { describe, expect, test } from 'vitest';
import { rememberSecret } from '../../../src/capabilities/secrets-read.ts';
import { usageFamily } from '../../../src/capabilities/usage.ts';
import { fixedLimits } from '../../../src/model/limits.ts';
import { callHost, fakeCall } from './fakes.ts';

function setUp(logBytes?: number) {
  const call = fakeCall({ limits: logBytes === undefined ? {} : { logBytes } });
  const family = usageFamily(call);
  const add = (name: string | Uint8Array | bigint, amount: bigint): unknown =>
    callHost(family.functions, 'usage_add', typeof name === 'bigint' ? name : call.block(name), amount);
  const flush = (): void => family.flush?.();
  const notes = (): unknown[] => call.sent.flatMap((note) => (note.type === 'counters' ? [note.counters] : []));
  const warnings = (): unknown[] => call.sent.flatMap((event) => (event.type === 'log' ? [event.message] : []));
  return { call, add, flush, notes, warnings };
}

describe('usage_add', () => {
  test('adds up by name and tells it at the end, once', () => {
    const { call, add, flush, notes } = setUp();
    add('tokens', 3n);
    add('cost', 10n);
    add('tokens', 4n);
    expect(call.sent).toEqual([]);
    flush();
    flush();
    expect(notes()).toEqual([{ tokens: 7, cost: 10 }]);
    expect(call.held.size).toBe(0);
  });

  test('tells what was added since, at most once in 100 ms', async () => {
    const { call, add, flush, notes } = setUp();
    await call.clock.advance(99);
    add('a', 1n);
    expect(notes()).toEqual([]);
    await call.clock.advance(1);
    add('a', 2n);
    expect(notes()).toEqual([{ a: 3 }]);
    await call.clock.advance(99);
    add('b', 4n);
    expect(notes()).toHaveLength(1);
    await call.clock.advance(1);
    add('a', 5n);
    flush();
    expect(notes()).toEqual([{ a: 3 }, { b: 4, a: 5 }]);
  });

  test('says nothing at the end of a call that counted nothing', () => {
    const { call, flush } = setUp();
    flush();
    expect(call.sent).toEqual([]);
  });

  test('keeps names of object members apart from them, also in a message', () => {
    const { call, add, flush } = setUp();
    add('__proto__', 1n);
    add('constructor', 2n);
    flush();
    const [note] = structuredClone(call.sent);
    expect(note?.type === 'counters' && Object.entries(note.counters)).toEqual([
      ['__proto__', 1],
      ['constructor', 2],
    ]);
  });

  test('takes names as long as the bound, and ignores longer ones', () => {
    const { call, add, flush, notes, warnings } = setUp();
    const name = 'n'.repeat(fixedLimits.counterNameBytes);
    add(name, 1n);
    expect(warnings()).toEqual([]);
    add(`${name}n`, 1n);
    flush();
    expect(notes()).toEqual([{ [name]: 1 }]);
    expect(warnings()).toEqual([
      'A call of usage_add was ignored: a name has 1 to 64 bytes of UTF-8 without control characters',
    ]);
    expect(call.held.size).toBe(0);
  });

  test('takes as many counters as the bound, goes on counting those, and ignores others', () => {
    const { add, flush, notes, warnings } = setUp();
    for (let index = 0; index < fixedLimits.counters; index++) add(`c${index}`, 1n);
    expect(warnings()).toEqual([]);
    add('one more', 1n);
    add('c0', 1n);
    flush();
    const [counters] = notes() as Record<string, number>[];
    expect(Object.keys(counters ?? {})).toHaveLength(fixedLimits.counters);
    expect(counters).toMatchObject({ c0: 2, c31: 1 });
    expect(warnings()).toEqual(['A call of usage_add was ignored: a run has at most 32 counters']);
  });

  test.each([
    ['no block', 99_999n, 1n],
    ['no name', 0n, 1n],
    ['a name that is not UTF-8', Uint8Array.of(0xff), 1n],
    ['a name of several lines', 'a\nb', 1n],
    ['a negative amount', 'a', -1n],
    ['the most negative amount', 'a', -(2n ** 63n)],
  ])('ignores %s', (_what, name, amount) => {
    const { add, flush, notes, warnings } = setUp();
    add(name, amount);
    flush();
    expect(notes()).toEqual([]);
    expect(warnings()).toHaveLength(1);
  });

  test('says the first that it ignores, and counts the others as lines dropped', () => {
    const { call, add, warnings } = setUp();
    for (let time = 0; time < 5; time++) add('', 1n);
    expect(warnings()).toHaveLength(1);
    expect(call.meters.logLinesDropped).toBe(4);
  });

  test('only counts what it ignores when the log has no room for it', () => {
    const { call, add } = setUp(10);
    add('', 1n);
    add('', 1n);
    expect(call.sent).toEqual([]);
    expect(call.meters.logLinesDropped).toBe(2);
  });

  test('stops adding at the greatest number that is exact', async () => {
    const { call, add, flush, notes } = setUp();
    const most = BigInt(Number.MAX_SAFE_INTEGER);
    add('a', most - 1n);
    add('b', 2n ** 63n - 1n);
    await call.clock.advance(100);
    add('a', 1n);
    add('a', 5n);
    flush();
    expect(notes()).toEqual([{ a: Number.MAX_SAFE_INTEGER, b: Number.MAX_SAFE_INTEGER }, { a: 0 }]);
  });

  test('charges for the name whether it is new or known, early or late, and not for one that is too long', async () => {
    const { call, add } = setUp();
    add('tokens', 1n);
    await call.clock.advance(1_000);
    add('tokens', 1n);
    expect(call.chargedBytes).toBe(12);
    const before = call.chargedBytes;
    add('', 1n);
    const warned = call.chargedBytes - before;
    add(new Uint8Array(1_000_000), 1n);
    expect(call.chargedBytes - before).toBe(warned);
  });

  test('keeps secrets out of names', () => {
    const { call, add, flush, notes } = setUp();
    rememberSecret(call, Buffer.from('hunter22'));
    add('x hunter22', 1n);
    flush();
    expect(notes()).toEqual([{ 'x [redacted]': 1 }]);
  });
});

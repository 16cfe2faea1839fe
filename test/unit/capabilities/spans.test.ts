import { describe, expect, test } from 'vitest';
import { rememberSecret } from '../../../src/capabilities/secrets-read.ts';
import { spansFamily } from '../../../src/capabilities/spans.ts';
import type { GuestSpan } from '../../../src/model/execution.ts';
import { fixedLimits } from '../../../src/model/limits.ts';
import { callHost, fakeCall } from './fakes.ts';

const beganMs = 1_750_000_000_000;

function setUp() {
  const call = fakeCall();
  const family = spansFamily(call);
  const host = (name: string, ...parameters: bigint[]): unknown => callHost(family.functions, name, ...parameters);
  const start = (name: string): bigint => host('span_start', call.block(name)) as bigint;
  const set = (id: bigint, key: string, value: string): unknown =>
    host('span_set', id, call.block(key), call.block(value));
  const end = (id: bigint): unknown => host('span_end', id);
  const flush = (): void => family.flush?.();
  const spans = (): GuestSpan[] => call.sent.flatMap((note) => (note.type === 'span' ? [note.span] : []));
  return { call, host, start, set, end, flush, spans };
}

describe('A span', () => {
  test('is told when it ends, with its times and attributes', async () => {
    const { call, start, set, end, spans } = setUp();
    const id = start('parse');
    await call.clock.advance(5);
    set(id, 'rows', '10');
    set(id, 'rows', '20');
    set(id, 'kind', 'csv');
    expect(spans()).toEqual([]);
    await call.clock.advance(7);
    end(id);
    expect(spans()).toEqual([
      { name: 'parse', startMs: beganMs, endMs: beganMs + 12, index: 0, attributes: { rows: '20', kind: 'csv' } },
    ]);
    expect(call.held.size).toBe(0);
  });

  test('is within the innermost one that is open', () => {
    const { start, end, flush, spans } = setUp();
    const outer = start('outer');
    const first = start('first');
    end(first);
    start('second');
    start('in second');
    end(outer);
    start('still in second');
    flush();
    const parents = spans().map(({ name, parent }) => [name, parent]);
    expect(Object.fromEntries(parents)).toEqual({
      outer: undefined,
      first: 0,
      second: 0,
      'in second': 2,
      'still in second': 3,
    });
    expect('parent' in (spans().find(({ name }) => name === 'outer') ?? {})).toBe(false);
  });

  test('that is open at the end of the call is ended there, inner ones first', async () => {
    const { call, start, flush, spans } = setUp();
    start('outer');
    start('inner');
    await call.clock.advance(3);
    flush();
    flush();
    expect(spans().map(({ name, endMs }) => [name, endMs])).toEqual([
      ['inner', beganMs + 3],
      ['outer', beganMs + 3],
    ]);
  });

  test('has ids from 1 on, up to the bound, ended ones counted', () => {
    const { call, host, start, end, flush, spans } = setUp();
    for (let number = 1; number <= fixedLimits.spans; number++) {
      const id = start('some');
      expect(id).toBe(BigInt(number));
      if (number % 2 === 0) end(id);
    }
    expect(start('one more')).toBe(0n);
    expect(host('span_start', 99_999n)).toBe(0n);
    flush();
    expect(spans()).toHaveLength(fixedLimits.spans);
    expect(call.held.size).toBe(0);
  });

  test.each([0n, 2n, -1n, 101n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n])('is none under the id %d', (id) => {
    const { call, start, set, end, flush, spans } = setUp();
    start('the only one');
    set(id, 'key', 'value');
    end(id);
    expect(spans()).toEqual([]);
    flush();
    expect(spans()).toMatchObject([{ name: 'the only one', attributes: {} }]);
    expect(call.held.size).toBe(0);
  });

  test('takes nothing any more once it has ended', () => {
    const { start, set, end, spans } = setUp();
    const id = start('ended');
    end(id);
    end(id);
    set(id, 'key', 'value');
    expect(spans()).toMatchObject([{ attributes: {} }]);
  });

  test('has as many attributes as the bound, of which each can still change, and no more', () => {
    const { start, set, end, spans } = setUp();
    const id = start('span');
    for (let index = 0; index < fixedLimits.spanAttributes; index++) set(id, `k${index}`, 'v');
    set(id, 'one more', 'v');
    set(id, 'k0', 'changed');
    end(id);
    const attributes = spans()[0]?.attributes ?? {};
    expect(Object.keys(attributes)).toHaveLength(fixedLimits.spanAttributes);
    expect(attributes).toMatchObject({ k0: 'changed', k15: 'v' });
  });

  test('has its texts cut to the bound and put on one line', () => {
    const { call, start, set, end, spans } = setUp();
    const bound = fixedLimits.spanTextBytes;
    const id = start('n'.repeat(bound));
    set(id, 'k'.repeat(bound + 1), 'a\nb\u0000c');
    set(id, 'escaped', '\n'.repeat(bound));
    end(id);
    expect(spans()).toMatchObject([{ name: 'n'.repeat(bound) }]);
    const attributes = spans()[0]?.attributes ?? {};
    expect(attributes[`${'k'.repeat(bound - 3)}…`]).toBe('a\\u000ab\\u0000c');
    expect(Buffer.byteLength(attributes['escaped'] ?? '')).toBeLessThanOrEqual(bound);
    end(start('n'.repeat(bound + 1)));
    expect(spans()[1]?.name).toBe(`${'n'.repeat(bound - 3)}…`);
    expect(call.held.size).toBe(0);
  });

  test('is unnamed if its name is empty or no block, and well-formed if it is not UTF-8', () => {
    const { call, host, flush, spans } = setUp();
    host('span_start', 0n);
    host('span_start', 99_999n);
    host('span_start', call.block(Uint8Array.of(0xff, 0x61)));
    flush();
    expect(spans().map(({ name }) => name)).toEqual(['\ufffda', 'unnamed', 'unnamed']);
  });

  test('has no attribute without a key', () => {
    const { call, host, start, flush, spans } = setUp();
    const id = start('span');
    host('span_set', id, 99_999n, call.block('value'));
    host('span_set', id, 0n, call.block('value'));
    host('span_set', id, call.block('empty'), 99_999n);
    flush();
    expect(spans()).toMatchObject([{ attributes: { empty: '' } }]);
    expect(call.held.size).toBe(0);
  });

  test('never ends before it began', () => {
    const { call, start, end, spans } = setUp();
    let nowMs = beganMs;
    call.clock.now = () => nowMs;
    const id = start('span');
    nowMs -= 1_000;
    end(id);
    expect(spans()).toMatchObject([{ startMs: beganMs, endMs: beganMs }]);
  });

  test('charges for its texts, up to the bound', () => {
    const { call, start, set } = setUp();
    const id = start('name');
    set(id, 'key', 'value');
    expect(call.chargedBytes).toBe(4 + 3 + 5);
    set(id, 'key', 'v'.repeat(10_000));
    expect(call.chargedBytes).toBe(12 + 3 + fixedLimits.spanTextBytes);
    set(99n, 'key', 'value');
    expect(call.chargedBytes).toBe(15 + fixedLimits.spanTextBytes);
  });

  test('carries no secret, not even in part', () => {
    const { call, start, set, flush, spans } = setUp();
    rememberSecret(call, Buffer.from('hunter22'));
    const id = start('login hunter22');
    set(id, 'key', `${'v'.repeat(fixedLimits.spanTextBytes - 4)}hunter22`);
    flush();
    expect(spans()).toMatchObject([{ name: 'login [redacted]' }]);
    expect(spans()[0]?.attributes['key']).toMatch(/^v+\[…$/);
  });
});

import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import {
  type ExecutionEvent,
  type ExecutionReader,
  ExecutionRecord,
  type StoredEvent,
} from '../../../src/execution/execution-record.ts';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import { settled } from '../base/manual-clock.ts';
import { facts, log, ok, progress, readAll } from './fakes.ts';

const never = new AbortController().signal;

function record(bounds: { progressMax?: number; readersMax?: number } = {}): ExecutionRecord {
  return new ExecutionRecord(facts(), { progressMax: 256, readersMax: 100, ...bounds });
}

function told(events: readonly StoredEvent[]): readonly string[] {
  return events.map(({ sequence, event }) => `${sequence} ${toldOf(event)}`);
}

function toldOf(event: ExecutionEvent): string {
  if (event.type === 'stage') return event.stage;
  if (event.type !== 'outcome') return `${event.type} ${event.message}`;
  return event.execution.failure?.reason ?? event.execution.outcome?.name ?? '?';
}

/** Whether a read is answered now, and with what. */
async function state(read: Promise<unknown>): Promise<'waiting' | 'settled'> {
  let state: 'waiting' | 'settled' = 'waiting';
  const settle = (): void => {
    state = 'settled';
  };
  read.then(settle, settle);
  await settled();
  return state;
}

describe('ExecutionRecord', () => {
  test('begins with the stage QUEUED at sequence 1, at the time of its making', () => {
    const queued = new ExecutionRecord(facts({ createdMs: 7 }), { progressMax: 1, readersMax: 1 });
    expect(queued.eventAfter(0)).toEqual({ sequence: 1, timeMs: 7, event: { type: 'stage', stage: 'QUEUED' } });
    expect(queued.snapshot()).toMatchObject({
      stage: 'QUEUED',
      lastSequence: 1,
      outcome: undefined,
      endedMs: undefined,
    });
  });

  test('numbers events without gaps and tells them with their times', async () => {
    const one = record();
    one.report({ type: 'stage', stage: 'RUNNING' }, 10);
    one.report(log('hello'), 11);
    one.report(progress('half'), 12);
    one.end(ok('out'), 13);
    const events = await readAll(one.attach(0, never));
    expect(told(events)).toEqual(['1 QUEUED', '2 RUNNING', '3 log hello', '4 progress half', '5 OK']);
    expect(events.map(({ timeMs }) => timeMs)).toEqual([0, 10, 11, 12, 13]);
    expect(one.snapshot()).toMatchObject({ stage: 'COMPLETED', endedMs: 13, lastSequence: 5, outcome: { name: 'OK' } });
  });

  test('carries in the outcome event the execution as it ended', async () => {
    const one = record();
    one.end(ok('out'), 13);
    const last = (await readAll(one.attach(0, never))).at(-1);
    expect(last?.event).toEqual({ type: 'outcome', execution: one.snapshot() });
  });

  test('tells a failure of the host as an outcome event without outcome', async () => {
    const one = record();
    const failure = new ExecError('SANDBOX_CRASHED', 'The thread died');
    one.end(failure, 5);
    const last = (await readAll(one.attach(0, never))).at(-1);
    expect(last?.event).toMatchObject({
      type: 'outcome',
      execution: { outcome: undefined, failure, stage: 'COMPLETED' },
    });
  });

  test('ignores a stage that was told already and everything after the end', () => {
    const one = record();
    one.report({ type: 'stage', stage: 'RUNNING' }, 1);
    one.report({ type: 'stage', stage: 'RUNNING' }, 2);
    one.end(ok(), 3);
    one.report(log('late'), 4);
    one.report(progress('late'), 4);
    one.report({ type: 'stage', stage: 'RUNNING' }, 4);
    expect(one.snapshot().lastSequence).toBe(3);
    expect(one.stage).toBe('COMPLETED');
  });

  test('refuses to end twice', () => {
    const one = record();
    one.end(ok(), 1);
    expect(() => one.end(ok(), 2)).toThrow('ends once');
  });

  test('drops the oldest progress beyond its bound, and nothing else', async () => {
    const one = record({ progressMax: 2 });
    one.report(log('a'), 1);
    for (const message of ['1', '2', '3', '4']) one.report(progress(message), 1);
    one.report(log('b'), 1);
    one.end(ok(), 2);
    expect(told(await readAll(one.attach(0, never)))).toEqual([
      '1 QUEUED',
      '2 log a',
      '5 progress 3',
      '6 progress 4',
      '7 log b',
      '8 OK',
    ]);
  });

  test('counts output, events and labels in its bytes', () => {
    const bare = new ExecutionRecord(facts(), { progressMax: 9, readersMax: 1 });
    const full = new ExecutionRecord(facts({ labels: new Map([['k', 'v']]) }), { progressMax: 9, readersMax: 1 });
    full.report(log('x'.repeat(500)), 1);
    full.report({ type: 'progress', message: 'm'.repeat(50), data: new Uint8Array(300) }, 1);
    bare.end(ok(), 1);
    full.end(ok('y'.repeat(10_000)), 1);
    expect(full.bytes() - bare.bytes()).toBe(10_000 + (128 + 1_000) + (128 + 100 + 300) + 4);
  });

  test('counts the text and the stack of a failure in its bytes', () => {
    const short = record();
    const long = record();
    const failed = (message: string, name: string) =>
      ({
        name: 'TRAP',
        error: { kind: 'TRAP', message, guestStack: [{ function: name, functionIndex: 0, offset: 0 }] },
        usage: ok().usage,
      }) as const;
    short.end(failed('', ''), 1);
    long.end(failed('m'.repeat(100), 'f'.repeat(10)), 1);
    expect(long.bytes() - short.bytes()).toBe(2 * 110);
  });
});

describe('ExecutionRecord.attach', () => {
  test('sends only events with a greater sequence', async () => {
    const one = record();
    one.report(log('a'), 1);
    one.report(log('b'), 1);
    one.end(ok(), 2);
    expect(told(await readAll(one.attach(2, never)))).toEqual(['3 log b', '4 OK']);
  });

  test('ends at once when everything was read before', async () => {
    const one = record();
    one.end(ok(), 2);
    expect(await readAll(one.attach(2, never))).toEqual([]);
    expect(one.readers).toBe(0);
  });

  test('gives everything to each of two readers of an ended execution', async () => {
    const one = record();
    one.report(log('a'), 1);
    one.end(ok(), 2);
    const [first, second] = await Promise.all([readAll(one.attach(0, never)), readAll(one.attach(0, never))]);
    expect(told(first)).toEqual(['1 QUEUED', '2 log a', '3 OK']);
    expect(second).toEqual(first);
  });

  test('waits for live events and wakes every waiting reader', async () => {
    const one = record();
    const readers = [one.attach(1, never), one.attach(1, never)];
    const reads = readers.map((reader) => reader.next());
    expect(await Promise.all(reads.map(state))).toEqual(['waiting', 'waiting']);
    one.report(log('a'), 1);
    for (const { value } of await Promise.all(reads)) expect(value?.sequence).toBe(2);
  });

  test('gives a slow reader the newest progress and every other event', async () => {
    const one = record({ progressMax: 1 });
    const slow = one.attach(0, never);
    await slow.next();
    for (let at = 0; at < 1_000; at++) one.report(progress(String(at)), 1);
    one.report(log('a'), 1);
    one.end(ok(), 1);
    expect(told(await readAll(slow))).toEqual(['1001 progress 999', '1002 log a', '1003 OK']);
  });

  test('refuses a sequence that was never given, and says which was last', () => {
    const refused = catching(() => record().attach(2, never));
    expect(refused.reason).toBe('SEQUENCE_OUT_OF_RANGE');
    expect(refused.metadata).toEqual({ last_sequence: '1' });
  });

  test('refuses readers beyond the bound, until one is done', async () => {
    const one = record({ readersMax: 2 });
    const first = one.attach(0, never);
    one.attach(0, never);
    expect(catching(() => one.attach(0, never)).reason).toBe('READERS_FULL');
    await first.return();
    expect(one.attach(0, never)).toBeDefined();
  });

  test('gives its place back at the outcome, even if it is read no further', async () => {
    const one = record();
    one.end(ok(), 1);
    const reader = one.attach(1, never);
    await reader.next();
    expect(one.readers).toBe(0);
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  test('ends a waiting read when it is returned', async () => {
    const one = record();
    const reader = one.attach(1, never);
    const read = reader.next();
    await reader.return();
    expect(await read).toEqual({ done: true, value: undefined });
    expect(await reader.next()).toEqual({ done: true, value: undefined });
    expect(one.readers).toBe(0);
  });

  test('rejects a waiting read, and every later one, with the reason of the signal', async () => {
    const one = record();
    const stopping = new AbortController();
    const reader = one.attach(1, stopping.signal);
    const read = reader.next();
    const reason = new AbortReason('SHUTDOWN');
    stopping.abort(reason);
    await expect(read).rejects.toBe(reason);
    await expect(reader.next()).rejects.toBe(reason);
    expect(one.readers).toBe(0);
  });

  test('gives its place back when the signal aborts before it was ever read', () => {
    const one = record();
    const stopping = new AbortController();
    one.attach(0, stopping.signal);
    stopping.abort(new AbortReason('CANCELED'));
    expect(one.readers).toBe(0);
  });

  test('throws the reason of a signal that has aborted already', () => {
    const reason = new AbortReason('CANCELED');
    const one = record();
    expect(() => one.attach(0, AbortSignal.abort(reason))).toThrow(reason);
    expect(one.readers).toBe(0);
  });

  test('leaves no listener on the signal, whether it was read to its end or returned', async () => {
    const one = record();
    const { signal } = new AbortController();
    const returned = one.attach(1, signal);
    const read = one.attach(1, signal);
    await returned.return();
    one.end(ok(), 1);
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await read.next();
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('is not disturbed by an abort after the outcome', async () => {
    const one = record();
    const stopping = new AbortController();
    one.end(ok(), 1);
    const reader = one.attach(1, stopping.signal);
    await reader.next();
    stopping.abort(new AbortReason('CANCELED'));
    expect(await reader.next()).toEqual({ done: true, value: undefined });
  });

  test('does not let two read one reader at once', async () => {
    const reader: ExecutionReader = record().attach(1, never);
    void reader.next();
    expect(() => reader.next()).toThrow('one at a time');
  });
});

function catching(attempt: () => unknown): ExecError {
  try {
    attempt();
  } catch (error) {
    if (error instanceof ExecError) return error;
  }
  throw new Error('No ExecError was thrown');
}

import { describe, expect, test } from 'vitest';
import type { ExecutionFacts } from '../../../src/execution/execution-record.ts';
import { type ExecutionKey, ExecutionStore, type StoreBounds } from '../../../src/execution/execution-store.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import { ManualClock } from '../base/manual-clock.ts';
import { facts, ok, readAll } from './fakes.ts';

function setUp(bounds: Partial<StoreBounds> = {}) {
  const clock = new ManualClock();
  const store = new ExecutionStore({ clock, bounds });
  const ended = (id: string, output = '', overrides: Partial<ExecutionFacts> = {}): void => {
    store.end(store.create(facts({ ...overrides, id })), ok(output));
  };
  return { clock, store, ended };
}

function ids(store: ExecutionStore, query: Partial<Parameters<ExecutionStore['list']>[0]> = {}): readonly string[] {
  return store.list({ tenant: 'default', limit: 100, ...query }).records.map(({ facts }) => facts.id);
}

function key(id: string, tenant = 'default'): ExecutionKey {
  return { tenant, id };
}

describe('ExecutionStore', () => {
  test('remembers live and ended executions', () => {
    const { store, ended } = setUp();
    ended('a');
    store.create(facts({ id: 'b' }));
    expect(store.get(key('a')).stage).toBe('COMPLETED');
    expect(store.get(key('b')).stage).toBe('QUEUED');
  });

  test('refuses an id that it does not know, quoted on one line', () => {
    const { store } = setUp();
    expect(() => store.get(key('x\ny'))).toThrow(
      new ExecError('EXECUTION_NOT_FOUND', 'There is no execution "x\\u000ay", or it is no longer remembered'),
    );
  });

  test('refuses more live executions than its bound, until one ends', () => {
    const { store } = setUp({ liveMax: 2 });
    const first = store.create(facts({ id: 'a' }));
    store.create(facts({ id: 'b' }));
    expect(() => store.create(facts({ id: 'c' }))).toThrow(expect.objectContaining({ reason: 'EXECUTIONS_FULL' }));
    store.end(first, ok());
    expect(store.create(facts({ id: 'c' })).stage).toBe('QUEUED');
  });

  test('refuses an input that would pass the bound of all live inputs together, but never the only one', () => {
    const { store } = setUp({ liveInputBytesMax: 100, tenantShareMax: 1 });
    const only = store.create(facts({ id: 'a', inputBytes: 200 }));
    expect(() => store.create(facts({ id: 'b', inputBytes: 1 }))).toThrow('100 bytes');
    store.end(only, ok());
    store.create(facts({ id: 'c', inputBytes: 60 }));
    store.create(facts({ id: 'd', inputBytes: 40 }));
    expect(() => store.create(facts({ id: 'e', inputBytes: 1 }))).toThrow('100 bytes');
  });

  test('knows no execution of one tenant when another asks for it, live or ended', () => {
    const { store, ended } = setUp();
    ended('a', '', { tenant: 'one' });
    store.create(facts({ id: 'b', tenant: 'one' }));
    for (const id of ['a', 'b']) {
      expect(store.get(key(id, 'one')).facts.id).toBe(id);
      expect(() => store.get(key(id, 'two'))).toThrow(
        new ExecError('EXECUTION_NOT_FOUND', `There is no execution "${id}", or it is no longer remembered`),
      );
    }
    expect(ids(store, { tenant: 'one' })).toEqual(['b', 'a']);
    expect(ids(store, { tenant: 'two' })).toEqual([]);
  });

  test('leaves room for other tenants when one has taken its share of the number', () => {
    const { store } = setUp({ liveMax: 4, tenantShareMax: 0.5 });
    const first = store.create(facts({ id: 'a', tenant: 'greedy' }));
    store.create(facts({ id: 'b', tenant: 'greedy' }));
    expect(() => store.create(facts({ id: 'c', tenant: 'greedy' }))).toThrow(
      new ExecError('EXECUTIONS_FULL', 'Too many executions are alive: there are 2 of the tenant "greedy" already'),
    );
    store.create(facts({ id: 'd', tenant: 'modest' }));
    store.end(first, ok());
    expect(store.create(facts({ id: 'e', tenant: 'greedy' })).stage).toBe('QUEUED');
  });

  test('leaves room for other tenants when one has taken its share of the inputs', () => {
    const { store } = setUp({ liveInputBytesMax: 100, tenantShareMax: 0.5 });
    store.create(facts({ id: 'a', tenant: 'greedy', inputBytes: 20 }));
    store.create(facts({ id: 'b', tenant: 'greedy', inputBytes: 30 }));
    expect(() => store.create(facts({ id: 'c', tenant: 'greedy', inputBytes: 1 }))).toThrow(
      'the inputs of the tenant "greedy" would exceed 50 bytes together',
    );
    store.create(facts({ id: 'd', tenant: 'modest', inputBytes: 50 }));
    expect(() => store.create(facts({ id: 'e', tenant: 'third', inputBytes: 1 }))).toThrow(
      'the inputs would exceed 100 bytes together',
    );
  });

  test('forgets the one that ended first when there are too many', () => {
    const { store, ended } = setUp({ endedMax: 2 });
    const late = store.create(facts({ id: 'a' }));
    ended('b');
    store.end(late, ok());
    ended('c');
    expect(ids(store)).toEqual(['c', 'a']);
  });

  test('forgets what ended longer ago than it remembers, also while nothing happens', async () => {
    const { store, ended, clock } = setUp({ endedMsMax: 1_000 });
    ended('a');
    await clock.advance(600);
    ended('b');
    await clock.advance(401);
    expect(ids(store)).toEqual(['b']);
    await clock.advance(600);
    expect(() => store.get(key('b'))).toThrow(expect.objectContaining({ reason: 'EXECUTION_NOT_FOUND' }));
  });

  test('forgets the oldest when outputs grow over the bound in bytes', () => {
    const { store, ended } = setUp({ endedBytesMax: 30_000 });
    ended('a', 'x'.repeat(10_000));
    ended('b', 'x'.repeat(10_000));
    expect(ids(store)).toEqual(['b', 'a']);
    ended('c', 'x'.repeat(10_000));
    expect(ids(store)).toEqual(['c', 'b']);
    ended('d', 'x'.repeat(40_000));
    expect(ids(store)).toEqual([]);
    ended('e');
    expect(ids(store)).toEqual(['e']);
  });

  test('never forgets a live execution', async () => {
    const { store, ended, clock } = setUp({ endedMax: 1, endedMsMax: 1_000 });
    store.create(facts({ id: 'live' }));
    await clock.advance(5_000);
    ended('a');
    ended('b');
    expect(ids(store)).toEqual(['live', 'b']);
  });

  test('lets a reader of a forgotten execution read on', async () => {
    const { store, ended } = setUp({ endedMax: 1 });
    ended('a');
    const reader = store.get(key('a')).attach(0, new AbortController().signal);
    ended('b');
    expect(() => store.get(key('a'))).toThrow();
    expect((await readAll(reader)).map(({ event }) => event.type)).toEqual(['stage', 'outcome']);
  });

  test('does not remember a refused execution, but tells its readers', async () => {
    const { store } = setUp({ liveMax: 1 });
    const record = store.create(facts({ id: 'a' }));
    const reader = record.attach(1, new AbortController().signal);
    store.refuse(record, new ExecError('QUEUE_FULL', 'full'));
    expect(() => store.get(key('a'))).toThrow();
    expect((await reader.next()).value?.event).toMatchObject({ execution: { failure: { reason: 'QUEUE_FULL' } } });
    expect(store.create(facts({ id: 'b' })).stage).toBe('QUEUED');
  });
});

describe('ExecutionStore.list', () => {
  test('answers newest first in pages that neither repeat nor skip, though executions come and go', () => {
    const { store, ended } = setUp({ endedMax: 4 });
    for (const id of ['a', 'b', 'c', 'd']) ended(id);
    const first = store.list({ tenant: 'default', limit: 2 });
    expect(first.records.map(({ facts }) => facts.id)).toEqual(['d', 'c']);
    ended('e');
    const second = store.list({ tenant: 'default', limit: 2, ...(first.next !== undefined && { after: first.next }) });
    expect(second.records.map(({ facts }) => facts.id)).toEqual(['b']);
    expect(second.next).toBeUndefined();
  });

  test('has no next page when the last one is exactly full', () => {
    const { store, ended } = setUp();
    ended('a');
    ended('b');
    expect(store.list({ tenant: 'default', limit: 2 }).next).toBeUndefined();
    expect(store.list({ tenant: 'default', limit: 1 }).next).toBe('b');
  });

  test('filters by plugin, with and without version, and by stage', () => {
    const { store, ended } = setUp();
    ended('a', '', { plugin: 'echo@1.0.0', pluginName: 'echo' });
    ended('b', '', { plugin: 'echo@2.0.0', pluginName: 'echo' });
    ended('c', '', { plugin: 'other@1.0.0', pluginName: 'other' });
    store.create(facts({ id: 'd' })).report({ type: 'stage', stage: 'RUNNING' }, 1);
    expect(ids(store, { plugin: 'echo' })).toEqual(['d', 'b', 'a']);
    expect(ids(store, { plugin: 'echo@2.0.0' })).toEqual(['b']);
    expect(ids(store, { plugin: 'ech' })).toEqual([]);
    expect(ids(store, { stage: 'RUNNING' })).toEqual(['d']);
    expect(ids(store, { stage: 'COMPLETED', plugin: 'echo' })).toEqual(['b', 'a']);
  });
});

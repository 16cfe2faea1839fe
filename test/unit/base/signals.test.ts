import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { linkSignals, onAbort } from '../../../src/base/signals.ts';

describe('linkSignals', () => {
  test.each([0, 1])('aborts with the reason of source %i, whichever it is', (which) => {
    const sources = [new AbortController(), new AbortController()];
    using link = linkSignals(...sources.map(({ signal }) => signal));
    expect(link.signal.aborted).toBe(false);
    const reason = new Error('stop');
    sources[which]?.abort(reason);
    expect(link.signal.reason).toBe(reason);
  });

  test('keeps the reason of the first abort', () => {
    const [first, second] = [new AbortController(), new AbortController()];
    using link = linkSignals(first.signal, second.signal);
    const reason = new Error('second');
    second.abort(reason);
    first.abort(new Error('first'));
    expect(link.signal.reason).toBe(reason);
  });

  test('has aborted already if a source had', () => {
    const reason = new Error('stop');
    using link = linkSignals(new AbortController().signal, AbortSignal.abort(reason));
    expect(link.signal.reason).toBe(reason);
  });

  test('leaves no listener on a source after its disposal, and does not abort any more', () => {
    const source = new AbortController();
    const other = new AbortController();
    const link = linkSignals(source.signal, AbortSignal.abort(), other.signal);
    link[Symbol.dispose]();
    for (const { signal } of [source, other]) expect(getEventListeners(signal, 'abort')).toEqual([]);
    const undone = linkSignals(source.signal);
    undone[Symbol.dispose]();
    source.abort();
    expect(undone.signal.aborted).toBe(false);
  });

  test('leaves nothing on a signal that 10,000 links shared', () => {
    const shared = new AbortController();
    for (let at = 0; at < 10_000; at++) linkSignals(shared.signal)[Symbol.dispose]();
    expect(getEventListeners(shared.signal, 'abort')).toEqual([]);
  });
});

describe('onAbort', () => {
  test('calls once when the signal aborts', () => {
    const source = new AbortController();
    let calls = 0;
    onAbort(source.signal, () => calls++);
    expect(calls).toBe(0);
    source.abort();
    source.abort();
    expect(calls).toBe(1);
  });

  test('calls at once when the signal has aborted already', () => {
    let calls = 0;
    onAbort(AbortSignal.abort(), () => calls++);
    expect(calls).toBe(1);
  });

  test('does not call after its disposal', () => {
    const source = new AbortController();
    let calls = 0;
    onAbort(source.signal, () => calls++)[Symbol.dispose]();
    expect(getEventListeners(source.signal, 'abort')).toEqual([]);
    source.abort();
    expect(calls).toBe(0);
  });
});

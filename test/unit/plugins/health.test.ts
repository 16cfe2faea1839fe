import { describe, expect, test } from 'vitest';
import { HealthBook } from '../../../src/plugins/health.ts';
import { version } from '../execution/fakes.ts';

const echo = version();
const well = { trapped: false, nearMemoryLimit: false };
const trapped = { trapped: true, nearMemoryLimit: false };
const near = { trapped: false, nearMemoryLimit: true };

/** A book in which `echo` has run since the time 0. */
function begun(): HealthBook {
  const book = new HealthBook();
  book.begin(echo, 0);
  return book;
}

/** Notes so many runs; answers whether the state changed with any of them. */
function note(book: HealthBook, facts: typeof well, count: number, nowMs = 1): boolean {
  let changed = false;
  for (let at = 0; at < count; at++) changed = book.noteRun(echo, facts, nowMs) || changed;
  return changed;
}

describe('HealthBook', () => {
  test('has nothing against a version that begins to run', () => {
    expect(begun().of(echo)).toEqual({ state: 'HEALTHY', reasons: [], changedMs: 0 });
  });

  test('knows only versions that run', () => {
    const book = begun();
    book.forget(echo);
    expect(book.noteRun(echo, trapped, 1)).toBe(false);
    expect(book.noteCheck(echo, 'failed', 1)).toBe(false);
    expect(book.of(echo)).toBeUndefined();
    expect(book.of(version({ version: '2.0.0' }))).toBeUndefined();
  });

  test('takes a number published again with another module for another version', () => {
    const book = begun();
    expect(book.of({ ...echo, digest: `sha256:${'b'.repeat(64)}` })).toBeUndefined();
  });

  test('begins anew when the version does', () => {
    const book = begun();
    note(book, trapped, 10);
    book.begin(echo, 7);
    expect(book.of(echo)).toEqual({ state: 'HEALTHY', reasons: [], changedMs: 7 });
    expect(note(book, trapped, 4, 8)).toBe(false);
  });

  test('is degraded by five traps, and failed by ten', () => {
    const book = begun();
    expect(note(book, trapped, 4)).toBe(false);
    expect(note(book, trapped, 1, 5)).toBe(true);
    expect(book.of(echo)).toEqual({ state: 'DEGRADED', reasons: ['5 of the last 5 runs trapped'], changedMs: 5 });
    expect(note(book, trapped, 4, 6)).toBe(false);
    expect(book.of(echo)?.state).toBe('DEGRADED');
    expect(note(book, trapped, 1, 7)).toBe(true);
    expect(book.of(echo)).toEqual({ state: 'FAILED', reasons: ['10 of the last 10 runs trapped'], changedMs: 7 });
  });

  test('looks back on the last twenty runs', () => {
    const book = begun();
    note(book, trapped, 1);
    note(book, well, 19);
    expect(note(book, trapped, 4)).toBe(false);
    expect(note(book, trapped, 1)).toBe(true);
    expect(book.of(echo)?.reasons).toEqual(['5 of the last 20 runs trapped']);
  });

  test('is degraded by three runs near their memory limit', () => {
    const book = begun();
    expect(note(book, near, 2)).toBe(false);
    expect(note(book, near, 1)).toBe(true);
    expect(book.of(echo)).toMatchObject({
      state: 'DEGRADED',
      reasons: ['3 of the last 3 runs came near their memory limit'],
    });
    expect(note(book, near, 17)).toBe(false);
  });

  test('recovers when the runs get better, but not within ten seconds', () => {
    const book = begun();
    note(book, trapped, 5, 1_000);
    expect(note(book, well, 100, 10_999)).toBe(false);
    expect(book.of(echo)).toMatchObject({ state: 'DEGRADED', reasons: ['5 of the last 20 runs trapped'] });
    expect(note(book, well, 1, 11_000)).toBe(true);
    expect(book.of(echo)).toEqual({ state: 'HEALTHY', reasons: [], changedMs: 11_000 });
  });

  test('changes a bounded number of times, however the runs go', () => {
    const book = begun();
    let changes = 0;
    for (let at = 0; at < 10_000; at++) if (book.noteRun(echo, at % 40 < 10 ? trapped : well, at)) changes++;
    expect(changes).toBeGreaterThan(0);
    expect(changes).toBeLessThanOrEqual(2);
  });

  test('is failed by a failed check until one goes well', () => {
    const book = begun();
    expect(book.noteCheck(echo, undefined, 1)).toBe(false);
    expect(book.of(echo)).toEqual({ state: 'HEALTHY', reasons: [], changedMs: 0, checkedMs: 1 });
    expect(book.noteCheck(echo, 'health_check failed: no\nroom', 30_000)).toBe(true);
    expect(book.of(echo)).toEqual({
      state: 'FAILED',
      reasons: ['health_check failed: no\\u000aroom'],
      changedMs: 30_000,
      checkedMs: 30_000,
    });
    expect(note(book, well, 100, 59_000)).toBe(false);
    expect(book.noteCheck(echo, undefined, 60_000)).toBe(true);
    expect(book.of(echo)?.state).toBe('HEALTHY');
  });

  test('gives every reason, and the state of the worst', () => {
    const book = begun();
    note(book, near, 3);
    note(book, trapped, 5);
    book.noteCheck(echo, 'failed', 2);
    expect(book.of(echo)).toMatchObject({
      state: 'FAILED',
      reasons: ['failed', '5 of the last 8 runs trapped', '3 of the last 8 runs came near their memory limit'],
    });
  });

  test('cuts a long reason', () => {
    const book = begun();
    book.noteCheck(echo, 'x'.repeat(256), 1);
    expect(book.of(echo)?.reasons[0]).toHaveLength(256);
    book.noteCheck(echo, 'x'.repeat(257), 2);
    expect(book.of(echo)?.reasons[0]).toBe(`${'x'.repeat(253)}…`);
  });
});

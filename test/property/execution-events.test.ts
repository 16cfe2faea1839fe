import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ExecutionReader, ExecutionRecord, StoredEvent } from '../../src/execution/execution-record.ts';
import { ExecutionStore } from '../../src/execution/execution-store.ts';
import { ManualClock, settled } from '../unit/base/manual-clock.ts';
import { facts, log, ok, progress } from '../unit/execution/fakes.ts';

type Step =
  | { readonly do: 'report'; readonly what: 'progress' | 'log' | 'running'; readonly times: number }
  | { readonly do: 'attach'; readonly after: number; readonly hasty: boolean }
  | { readonly do: 'read'; readonly reader: number; readonly times: number }
  | { readonly do: 'return'; readonly reader: number }
  | { readonly do: 'evict' }
  | { readonly do: 'end' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      what: fc.constantFrom('progress', 'progress', 'progress', 'log', 'running'),
      times: fc.integer({ min: 1, max: 12 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('attach' as const), after: fc.nat(40), hasty: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('read' as const),
      reader: fc.nat(9),
      times: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('return' as const), reader: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'evict' as const }, { do: 'end' as const }) },
);

/** A reader and what it was given. */
class TestReader {
  readonly after: number;
  readonly seen: StoredEvent[] = [];
  returned = false;
  done = false;
  readonly #reader: ExecutionReader;
  #wanted = 0;
  #reading = false;

  constructor(reader: ExecutionReader, after: number) {
    this.#reader = reader;
    this.after = after;
  }

  /** Reads so many more events, as they come. */
  read(times: number): void {
    this.#wanted += times;
    if (!this.#reading) void this.#readWanted();
  }

  async return(): Promise<void> {
    this.returned = true;
    await this.#reader.return();
  }

  async #readWanted(): Promise<void> {
    this.#reading = true;
    for (; this.#wanted > 0 && !this.done; this.#wanted--) {
      const result = await this.#reader.next();
      if (result.done) this.done = true;
      else this.seen.push(result.value);
    }
    this.#reading = false;
  }
}

/** An execution in a store that forgets quickly, and what it was told: the kinds of its events, by sequence. */
class Trial {
  readonly told: string[] = ['stage'];
  readonly readers: TestReader[] = [];
  readonly #store: ExecutionStore;
  readonly #record: ExecutionRecord;
  #others = 0;

  constructor(progressMax: number) {
    this.#store = new ExecutionStore({ clock: new ManualClock(), bounds: { progressMax, endedMax: 1 } });
    this.#record = this.#store.create(facts({ id: 'tried' }));
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case 'report':
        for (let at = 0; at < step.times; at++) this.#report(step.what);
        break;
      case 'attach':
        this.#attach(step.after, step.hasty);
        break;
      case 'read':
        this.readers[step.reader]?.read(step.times);
        break;
      case 'return':
        await this.readers[step.reader]?.return();
        break;
      case 'evict':
        this.#store.end(this.#store.create(facts({ id: `other ${this.#others++}` })), ok());
        break;
      case 'end':
        this.end();
        break;
    }
  }

  end(): void {
    if (this.#record.stage === 'COMPLETED') return;
    this.#store.end(this.#record, ok('out'));
    this.told.push('outcome');
  }

  get lastSequence(): number {
    return this.#record.snapshot().lastSequence;
  }

  get readersAttached(): number {
    return this.#record.readers;
  }

  #report(what: 'progress' | 'log' | 'running'): void {
    const { stage } = this.#record;
    if (what === 'running') this.#record.report({ type: 'stage', stage: 'RUNNING' }, 0);
    else this.#record.report(what === 'log' ? log('line') : progress(), 0);
    if (stage === 'COMPLETED' || (what === 'running' && stage === 'RUNNING')) return;
    this.told.push(what === 'running' ? 'stage' : what);
  }

  #attach(after: number, hasty: boolean): void {
    if (after > this.lastSequence) return expect(() => this.#record.attach(after, never)).toThrow('after_sequence is');
    const reader = new TestReader(this.#record.attach(after, never), after);
    this.readers.push(reader);
    if (hasty) reader.read(Number.POSITIVE_INFINITY);
  }
}

const never = new AbortController().signal;

function checkOrder({ after, seen }: TestReader, told: readonly string[]): void {
  let last = after;
  for (const { sequence, event } of seen) {
    expect(sequence).toBeGreaterThan(last);
    expect(event.type).toBe(told[sequence - 1]);
    expect(told.slice(last, sequence - 1).filter((kind) => kind !== 'progress')).toEqual([]);
    last = sequence;
  }
}

function checkComplete({ after, seen }: TestReader, told: readonly string[], progressMax: number): void {
  const kept = told.flatMap((kind, at) => (kind !== 'progress' && at >= after ? [at + 1] : []));
  expect(seen.filter(({ event }) => event.type !== 'progress').map(({ sequence }) => sequence)).toEqual(kept);
  const newest = told.flatMap((kind, at) => (kind === 'progress' ? [at + 1] : [])).slice(-progressMax);
  const expected = newest.filter((sequence) => sequence > after);
  expect(seen.map(({ sequence }) => sequence)).toEqual(expect.arrayContaining(expected));
}

describe('Readers of an execution', () => {
  test('get every stage, log and outcome once and in order, with gaps of progress only, however slow they are', async () => {
    const trials = fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 8 }),
      async (steps, progressMax) => {
        const trial = new Trial(progressMax);
        for (const step of steps) {
          await trial.take(step);
          // Readers go on between some steps only, so that several events may come before they are woken.
          if (trial.told.length % 2 === 0) await settled();
        }
        trial.end();
        for (const reader of trial.readers) reader.read(Number.POSITIVE_INFINITY);
        await settled();
        expect(trial.lastSequence).toBe(trial.told.length);
        expect(trial.readersAttached).toBe(0);
        for (const reader of trial.readers) {
          expect(reader.done).toBe(true);
          checkOrder(reader, trial.told);
          if (!reader.returned) checkComplete(reader, trial.told, progressMax);
        }
      },
    );
    await fc.assert(trials, { numRuns: 500 });
  });
});

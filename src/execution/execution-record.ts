/**
 * One execution as it is remembered: its facts, its stage, and its events in
 * order. Stages, logs and the outcome are always kept; of the progress only the
 * newest. Readers are cursors over the events and not queues: however slow, they
 * hold nothing up and hold nothing of their own. Which executions are remembered
 * is the store's business.
 */

import { assert } from '../base/assert.ts';
import type { Digest } from '../base/digest.ts';
import { onAbort } from '../base/signals.ts';
import { ExecError } from '../model/exec-error.ts';
import type { GuestEvent, RunEvent } from '../model/execution.ts';
import type { Outcome } from '../model/outcome.ts';

/** What an execution is of; fixed from its start. */
export interface ExecutionFacts {
  /** A UUID that sorts by time. */
  readonly id: string;
  /** Who started it. */
  readonly tenant: string;
  /** "name@version". */
  readonly plugin: string;
  readonly pluginName: string;
  readonly digest: Digest;
  readonly function: string;
  readonly requestId: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly inputBytes: number;
  readonly createdMs: number;
}

export type Stage = 'QUEUED' | 'RUNNING' | 'COMPLETED';

/** An execution as it stood when it was asked for. */
export interface ExecutionSnapshot extends ExecutionFacts {
  readonly stage: Stage;
  /** How the run ended; absent before the end and if the host failed. */
  readonly outcome: Outcome | undefined;
  /** Why the host could not run it, or not to its end. */
  readonly failure: ExecError | undefined;
  readonly endedMs: number | undefined;
  readonly lastSequence: number;
}

/** What happened. The outcome is the last event, and stands for the stage COMPLETED too. */
export type ExecutionEvent =
  | { readonly type: 'stage'; readonly stage: Exclude<Stage, 'COMPLETED'> }
  | GuestEvent
  | { readonly type: 'outcome'; readonly execution: ExecutionSnapshot };

export interface StoredEvent {
  /** From 1, without gaps but for progress that was dropped. */
  readonly sequence: number;
  readonly timeMs: number;
  readonly event: ExecutionEvent;
}

export interface RecordBounds {
  /** Progress events kept; the oldest are dropped first. */
  readonly progressMax: number;
  /** Readers attached at once. */
  readonly readersMax: number;
}

/** Bytes that any event is counted with besides its texts and data. */
const eventBytes = 128;
const frameBytes = 64;
const factsBytes = 1_024;

export class ExecutionRecord {
  readonly facts: ExecutionFacts;
  readonly #bounds: RecordBounds;
  readonly #kept: StoredEvent[] = [];
  readonly #progress: StoredEvent[] = [];
  readonly #waiting = new Set<ExecutionReader>();
  #readers = 0;
  #stage: Stage = 'QUEUED';
  #outcome: Outcome | undefined;
  #failure: ExecError | undefined;
  #endedMs: number | undefined;
  #lastSequence = 0;

  constructor(facts: ExecutionFacts, bounds: RecordBounds) {
    this.facts = facts;
    this.#bounds = bounds;
    this.#append(this.#kept, { type: 'stage', stage: 'QUEUED' }, facts.createdMs);
  }

  get stage(): Stage {
    return this.#stage;
  }

  /** How many readers are attached. */
  get readers(): number {
    return this.#readers;
  }

  /** Stores an event; one that comes after the end, or tells a stage again, is ignored. */
  report(event: RunEvent, timeMs: number): void {
    if (this.#stage === 'COMPLETED') return;
    if (event.type === 'stage') {
      if (this.#stage === event.stage) return;
      this.#stage = event.stage;
    }
    if (event.type === 'progress') this.#appendProgress(event, timeMs);
    else this.#append(this.#kept, event, timeMs);
  }

  /** Ends the execution with what the guest did, or with why the host failed. */
  end(result: Outcome | ExecError, timeMs: number): void {
    assert(this.#stage !== 'COMPLETED', `execution ${this.facts.id} ends once`);
    this.#stage = 'COMPLETED';
    this.#endedMs = timeMs;
    if (result instanceof ExecError) this.#failure = result;
    else this.#outcome = result;
    this.#lastSequence += 1;
    const event: ExecutionEvent = { type: 'outcome', execution: this.snapshot() };
    this.#kept.push({ sequence: this.#lastSequence, timeMs, event });
    this.#wake();
  }

  snapshot(): ExecutionSnapshot {
    return {
      ...this.facts,
      stage: this.#stage,
      outcome: this.#outcome,
      failure: this.#failure,
      endedMs: this.#endedMs,
      lastSequence: this.#lastSequence,
    };
  }

  /** The first event stored with a greater sequence. */
  eventAfter(sequence: number): StoredEvent | undefined {
    const kept = firstAfter(this.#kept, sequence);
    const progress = firstAfter(this.#progress, sequence);
    if (!kept || !progress) return kept ?? progress;
    return kept.sequence < progress.sequence ? kept : progress;
  }

  /**
   * A reader of all events with a greater sequence, stored and to come. It ends
   * after the outcome. Throws SEQUENCE_OUT_OF_RANGE, READERS_FULL, or the
   * signal's reason.
   */
  attach(afterSequence: number, signal: AbortSignal): ExecutionReader {
    signal.throwIfAborted();
    if (afterSequence > this.#lastSequence) throw sequenceOutOfRange(afterSequence, this.#lastSequence);
    if (this.#readers >= this.#bounds.readersMax) throw readersFull(this.#bounds.readersMax);
    this.#readers += 1;
    return new ExecutionReader({
      record: this,
      waiting: this.#waiting,
      afterSequence,
      signal,
      onClosed: () => {
        this.#readers -= 1;
      },
    });
  }

  /** About how many bytes remembering this costs. */
  bytes(): number {
    let bytes = factsBytes + (this.#outcome ? bytesOfOutcome(this.#outcome) : 0);
    for (const [key, value] of this.facts.labels) bytes += 2 * (key.length + value.length);
    for (const { event } of this.#kept) bytes += bytesOf(event);
    for (const { event } of this.#progress) bytes += bytesOf(event);
    return bytes;
  }

  #appendProgress(event: ExecutionEvent, timeMs: number): void {
    if (this.#progress.length >= this.#bounds.progressMax) this.#progress.shift();
    this.#append(this.#progress, event, timeMs);
  }

  #append(events: StoredEvent[], event: ExecutionEvent, timeMs: number): void {
    this.#lastSequence += 1;
    events.push({ sequence: this.#lastSequence, timeMs, event });
    this.#wake();
  }

  #wake(): void {
    if (this.#waiting.size === 0) return;
    const readers = [...this.#waiting];
    this.#waiting.clear();
    for (const reader of readers) reader.wake();
  }
}

interface ReaderOptions {
  readonly record: ExecutionRecord;
  /** Where the reader stands while it waits for an event. */
  readonly waiting: Set<ExecutionReader>;
  readonly afterSequence: number;
  readonly signal: AbortSignal;
  readonly onClosed: () => void;
}

type ReadResult = IteratorResult<StoredEvent, undefined>;

const ended: ReadResult = { done: true, value: undefined };

/**
 * A cursor over an execution's events. Not a generator: `return` must also end
 * a `next` that waits, and a reader that was never read must give its place back.
 */
export class ExecutionReader implements AsyncIterableIterator<StoredEvent, undefined> {
  readonly #options: ReaderOptions;
  readonly #aborting: Disposable;
  #cursor: number;
  #pending: PromiseWithResolvers<ReadResult> | undefined;
  #state: 'open' | 'closed' | 'aborted' = 'open';

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#cursor = options.afterSequence;
    this.#aborting = onAbort(options.signal, () => this.#abort());
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The next event; rejects with the signal's reason once it has aborted. */
  next(): Promise<ReadResult> {
    assert(!this.#pending, 'a reader is read by one at a time');
    if (this.#state === 'aborted') return Promise.reject(this.#options.signal.reason as Error);
    if (this.#state === 'closed') return Promise.resolve(ended);
    const result = this.#read();
    if (result) return Promise.resolve(result);
    this.#pending = Promise.withResolvers<ReadResult>();
    this.#options.waiting.add(this);
    return this.#pending.promise;
  }

  return(): Promise<ReadResult> {
    this.#close();
    this.#settle()?.resolve(ended);
    return Promise.resolve(ended);
  }

  /** Called by the record when there is more to read. */
  wake(): void {
    const result = this.#read();
    assert(result, 'a reader is woken for an event');
    this.#settle()?.resolve(result);
  }

  #read(): ReadResult | undefined {
    const { record } = this.#options;
    const stored = record.eventAfter(this.#cursor);
    if (stored) {
      this.#cursor = stored.sequence;
      if (stored.event.type === 'outcome') this.#close();
      return { done: false, value: stored };
    }
    if (record.stage !== 'COMPLETED') return undefined;
    this.#close();
    return ended;
  }

  #abort(): void {
    this.#close('aborted');
    this.#settle()?.reject(this.#options.signal.reason);
  }

  #settle(): PromiseWithResolvers<ReadResult> | undefined {
    const pending = this.#pending;
    this.#pending = undefined;
    return pending;
  }

  #close(state: 'closed' | 'aborted' = 'closed'): void {
    if (this.#state !== 'open') return;
    this.#state = state;
    this.#aborting[Symbol.dispose]();
    this.#options.waiting.delete(this);
    this.#options.onClosed();
  }
}

/** Binary search: the events are in order of sequence. */
function firstAfter(events: readonly StoredEvent[], sequence: number): StoredEvent | undefined {
  let low = 0;
  let high = events.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((events[middle]?.sequence ?? 0) > sequence) high = middle;
    else low = middle + 1;
  }
  return events[low];
}

function bytesOfOutcome(outcome: Outcome): number {
  if (outcome.name === 'OK') return outcome.output.byteLength;
  const { message, guestStack } = outcome.error;
  return guestStack.reduce((bytes, frame) => bytes + frameBytes + 2 * frame.function.length, 2 * message.length);
}

function bytesOf(event: ExecutionEvent): number {
  const textBytes = event.type === 'progress' || event.type === 'log' ? 2 * event.message.length : 0;
  return eventBytes + textBytes + (event.type === 'progress' ? event.data.byteLength : 0);
}

function sequenceOutOfRange(asked: number, last: number): ExecError {
  return new ExecError(
    'SEQUENCE_OUT_OF_RANGE',
    `after_sequence is ${asked}, but the last event so far has sequence ${last}`,
    {
      metadata: { last_sequence: String(last) },
    },
  );
}

function readersFull(readersMax: number): ExecError {
  return new ExecError('READERS_FULL', `The execution has ${readersMax} readers already, the most there can be`);
}

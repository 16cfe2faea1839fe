/**
 * The executions that the server remembers: all that are alive, and of the ended
 * ones the newest, bounded in number, age and bytes. In memory only. It knows
 * nothing of how executions are run.
 */

import type { Clock } from '../base/clock.ts';
import { boundedText, singleLine } from '../base/text.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Outcome } from '../model/outcome.ts';
import { type ExecutionFacts, ExecutionRecord, type RecordBounds, type Stage } from './execution-record.ts';

const mebi = 1_048_576;

export interface StoreBounds extends RecordBounds {
  /** Executions that have not ended. */
  readonly liveMax: number;
  /** Bytes of input that they hold together. */
  readonly liveInputBytesMax: number;
  /** Share of both that one tenant may take, so that there is always room for another. */
  readonly tenantShareMax: number;
  /** Ended executions remembered, for how long, and their outputs and events in bytes together. */
  readonly endedMax: number;
  readonly endedMsMax: number;
  readonly endedBytesMax: number;
}

const boundsDefault: StoreBounds = {
  liveMax: 2_000,
  liveInputBytesMax: 512 * mebi,
  tenantShareMax: 0.75,
  endedMax: 1_000,
  endedMsMax: 600_000,
  endedBytesMax: 64 * mebi,
  progressMax: 256,
  readersMax: 100,
};

/** Names one execution. To other tenants than its own there is none. */
export interface ExecutionKey {
  readonly tenant: string;
  readonly id: string;
}

export interface ExecutionQuery {
  /** Only those that this tenant started. */
  readonly tenant: string;
  /** Only those of this plugin: "name" or "name@version". */
  readonly plugin?: string;
  readonly stage?: Stage;
  /** Only those older than the execution with this id. */
  readonly after?: string;
  readonly limit: number;
}

export interface RecordPage {
  /** Newest first. */
  readonly records: readonly ExecutionRecord[];
  /** What to ask for next as `after`; absent if this is the last page. */
  readonly next?: string;
}

/** Executions that have not ended. */
interface Load {
  readonly count: number;
  readonly inputBytes: number;
}

interface EndedRecord {
  readonly record: ExecutionRecord;
  readonly endedMs: number;
  readonly bytes: number;
}

export class ExecutionStore {
  readonly #clock: Clock;
  readonly #bounds: StoreBounds;
  readonly #live = new Map<string, ExecutionRecord>();
  /** In order of ending. */
  readonly #ended = new Map<string, EndedRecord>();
  #load: Load = noLoad;
  /** Tenants that have any. */
  readonly #loads = new Map<string, Load>();
  #endedBytes = 0;

  constructor(options: { readonly clock: Clock; readonly bounds?: Partial<StoreBounds> }) {
    this.#clock = options.clock;
    this.#bounds = { ...boundsDefault, ...options.bounds };
  }

  /** Remembers a new execution; throws EXECUTIONS_FULL. */
  create(facts: ExecutionFacts): ExecutionRecord {
    this.#evict();
    this.#checkRoom(facts);
    const record = new ExecutionRecord(facts, this.#bounds);
    this.#live.set(facts.id, record);
    this.#changeLoad(facts, 1);
    return record;
  }

  /** Ends an execution and remembers it, at the cost of the oldest ended ones. */
  end(record: ExecutionRecord, result: Outcome | ExecError): void {
    const endedMs = this.#clock.now();
    this.#removeLive(record);
    record.end(result, endedMs);
    const bytes = record.bytes();
    this.#ended.set(record.facts.id, { record, endedMs, bytes });
    this.#endedBytes += bytes;
    this.#evict();
  }

  /** Ends an execution that was refused, without remembering it; its readers still get the end. */
  refuse(record: ExecutionRecord, failure: ExecError): void {
    this.#removeLive(record);
    record.end(failure, this.#clock.now());
  }

  /** Throws EXECUTION_NOT_FOUND. */
  get({ tenant, id }: ExecutionKey): ExecutionRecord {
    this.#evict();
    const record = this.#live.get(id) ?? this.#ended.get(id)?.record;
    if (record?.facts.tenant === tenant) return record;
    const quoted = singleLine(boundedText(id, 128));
    throw new ExecError('EXECUTION_NOT_FOUND', `There is no execution "${quoted}", or it is no longer remembered`);
  }

  list(query: ExecutionQuery): RecordPage {
    this.#evict();
    const all = [...this.#live.values(), ...Array.from(this.#ended.values(), ({ record }) => record)];
    const matching = all.filter((record) => matches(record, query)).toSorted(newestFirst);
    const records = matching.slice(0, query.limit);
    const last = records.at(-1);
    return last && matching.length > records.length ? { records, next: last.facts.id } : { records };
  }

  #checkRoom({ tenant, inputBytes }: ExecutionFacts): void {
    const { liveMax, liveInputBytesMax, tenantShareMax } = this.#bounds;
    refuseOver(this.#load, inputBytes, { count: liveMax, inputBytes: liveInputBytesMax }, '');
    const share = { count: Math.ceil(liveMax * tenantShareMax), inputBytes: liveInputBytesMax * tenantShareMax };
    refuseOver(this.#loads.get(tenant) ?? noLoad, inputBytes, share, ` of the tenant "${tenant}"`);
  }

  #removeLive(record: ExecutionRecord): void {
    this.#live.delete(record.facts.id);
    this.#changeLoad(record.facts, -1);
  }

  #changeLoad({ tenant, inputBytes }: ExecutionFacts, sign: 1 | -1): void {
    const changed = ({ count, inputBytes: bytes }: Load): Load => {
      return { count: count + sign, inputBytes: bytes + sign * inputBytes };
    };
    this.#load = changed(this.#load);
    const load = changed(this.#loads.get(tenant) ?? noLoad);
    if (load.count > 0) this.#loads.set(tenant, load);
    else this.#loads.delete(tenant);
  }

  #evict(): void {
    const { endedMax, endedMsMax, endedBytesMax } = this.#bounds;
    const oldestMs = this.#clock.now() - endedMsMax;
    for (const [id, { endedMs, bytes }] of this.#ended) {
      if (this.#ended.size <= endedMax && this.#endedBytes <= endedBytesMax && endedMs >= oldestMs) return;
      this.#ended.delete(id);
      this.#endedBytes -= bytes;
    }
  }
}

function matches({ facts, stage }: ExecutionRecord, query: ExecutionQuery): boolean {
  return (
    facts.tenant === query.tenant &&
    (query.plugin === undefined || query.plugin === facts.plugin || query.plugin === facts.pluginName) &&
    (query.stage === undefined || query.stage === stage) &&
    (query.after === undefined || facts.id < query.after)
  );
}

function newestFirst(one: ExecutionRecord, other: ExecutionRecord): number {
  return one.facts.id < other.facts.id ? 1 : -1;
}

const noLoad: Load = { count: 0, inputBytes: 0 };

/** One execution alone is always let in, however small the bound. */
function refuseOver(load: Load, inputBytes: number, max: Load, whose: string): void {
  if (load.count >= max.count) throw executionsFull(`there are ${max.count}${whose} already`);
  if (load.count === 0 || load.inputBytes + inputBytes <= max.inputBytes) return;
  throw executionsFull(`the inputs${whose} would exceed ${max.inputBytes} bytes together`);
}

function executionsFull(why: string): ExecError {
  return new ExecError('EXECUTIONS_FULL', `Too many executions are alive: ${why}`);
}

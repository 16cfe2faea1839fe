/**
 * Starts, stops and remembers executions: the one door to running anything. It
 * knows how an action becomes an execution and how that ends; how it is run is
 * the executor's business, and who asked for it the caller's.
 */

import type { Clock } from '../base/clock.ts';
import { timeOrderedId } from '../base/identifier.ts';
import { onAbort } from '../base/signals.ts';
import { AbortReason } from '../model/abort-reason.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Action, ExecutionContext, Executor, PreparedAction } from '../model/execution.ts';
import type { FuelProfile } from '../model/fuel-profile.ts';
import type { GrantRefusal } from '../model/grant.ts';
import { refusalText } from '../model/grant-refusal.ts';
import type { Log } from '../model/log.ts';
import { emptyUsage, failedOutcome } from '../model/outcome.ts';
import { type PluginVersion, referenceOf } from '../model/plugin.ts';
import { reasons } from '../model/reasons.ts';
import type { TraceSpan } from '../model/trace.ts';
import type { ExecutionFacts, ExecutionRecord, ExecutionSnapshot, StoredEvent } from './execution-record.ts';
import { type ExecutionKey, type ExecutionQuery, ExecutionStore, type StoreBounds } from './execution-store.ts';
import { type Permit, prepareAction } from './prepared-action.ts';

/** What executions need of the registry. */
export interface PluginSource {
  /** The version that a reference names, if it can be executed; else throws an ExecError. */
  resolve(reference: string): PluginVersion;
}

/** What executions need of the policy. */
export interface GrantSource {
  grantFor(tenant: string, version: PluginVersion): GrantDecision;
}

/** What the policy decides of a tenant's runs of a version. */
export interface GrantDecision extends Permit {
  /** What the manifest asks for and the policy does not allow; if there is any, nothing runs. */
  readonly refusals: readonly GrantRefusal[];
}

export interface ExecutionsOptions {
  readonly executor: Executor;
  readonly registry: PluginSource;
  readonly grants: GrantSource;
  readonly clock: Clock;
  readonly log: Log;
  /** Makes the identifiers of executions, which must sort by time; default timeOrderedId. */
  readonly newId?: (nowMs: number) => string;
  /** How long running executions may go on once this is disposed; default 10 s. */
  readonly graceMs?: number;
  /** Bounds of what is remembered, where they differ from the defaults. */
  readonly bounds?: Partial<StoreBounds>;
}

export interface StartOptions {
  /** Stops the execution when it aborts. A detached execution has none. */
  readonly signal?: AbortSignal;
  /** The span of the call, to hang spans under. */
  readonly span?: TraceSpan;
  /** Told at the end where the fuel went. Asking for it makes the run slower, but not its fuel another. */
  readonly profiled?: (profile: FuelProfile) => void;
}

export interface ExecutionHandle extends ExecutionKey {
  snapshot(): ExecutionSnapshot;
  /** Rejects with an ExecError if the host failed or the run never began. */
  readonly ended: Promise<ExecutionSnapshot>;
}

export interface ExecutionPage {
  /** Newest first. */
  readonly executions: readonly ExecutionSnapshot[];
  /** What to ask for next as `after`; absent if this is the last page. */
  readonly next?: string;
}

interface LiveExecution {
  readonly stopping: AbortController;
  /** Never rejects. */
  readonly ended: Promise<void>;
}

const graceMsDefault = 10_000;
/** How long aborted executions may take to end before they are left behind. */
const abortMsMax = 5_000;

export class Executions implements AsyncDisposable {
  readonly #options: ExecutionsOptions;
  readonly #store: ExecutionStore;
  /** Bounded by the store's bound on live executions. */
  readonly #live = new Map<string, LiveExecution>();
  #closed: Promise<void> | undefined;

  constructor(options: ExecutionsOptions) {
    this.#options = options;
    this.#store = new ExecutionStore({ clock: options.clock, bounds: options.bounds ?? {} });
  }

  /** Starts an execution, or throws an ExecError if it cannot begin: unknown plugin or function, limits, input, bounds. */
  start(action: Action, options: StartOptions = {}): ExecutionHandle {
    if (this.#closed) throw new ExecError('SHUTTING_DOWN', 'The server is shutting down and starts no execution');
    const { registry, grants } = this.#options;
    const version = registry.resolve(action.plugin);
    const decision = grants.grantFor(action.tenant, version);
    const prepared = prepareAction(action, version, decision);
    const record = this.#store.create(this.#factsOf(prepared));
    const [refusal] = decision.refusals;
    const running = refusal ? this.#deny(record, refusal) : this.#begin(record, prepared, options);
    const ended = running.then(() => endOf(record));
    // Whoever reads the events need not look at the promise: its rejection is no fault of theirs.
    ended.catch(() => {});
    return { id: record.facts.id, tenant: record.facts.tenant, snapshot: () => record.snapshot(), ended };
  }

  /**
   * The events after a sequence, stored ones first, then live ones, up to the
   * outcome. Throws EXECUTION_NOT_FOUND, SEQUENCE_OUT_OF_RANGE or READERS_FULL;
   * reading rejects with the signal's reason once it aborts.
   */
  attach(key: ExecutionKey, afterSequence: bigint | number, signal: AbortSignal): AsyncIterableIterator<StoredEvent> {
    return this.#store.get(key).attach(Number(afterSequence), signal);
  }

  /** Stops an execution and answers when it has ended; one that has ended already is answered as it is. */
  async cancel(key: ExecutionKey): Promise<ExecutionSnapshot> {
    const record = this.#store.get(key);
    const live = this.#live.get(key.id);
    live?.stopping.abort(new AbortReason('CANCELED', 'CancelExecution was called'));
    await live?.ended;
    return record.snapshot();
  }

  /** Throws EXECUTION_NOT_FOUND. */
  get(key: ExecutionKey): ExecutionSnapshot {
    return this.#store.get(key).snapshot();
  }

  list(query: ExecutionQuery): ExecutionPage {
    const { records, next } = this.#store.list(query);
    const executions = records.map((record) => record.snapshot());
    return next === undefined ? { executions } : { executions, next };
  }

  /** Stops all that are alive with SHUTDOWN, and grants no grace. */
  stopAll(): void {
    for (const { stopping } of this.#live.values()) stopping.abort(new AbortReason('SHUTDOWN'));
  }

  /** Starts nothing more, lets running executions go on for the grace, then stops them with SHUTDOWN. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #factsOf(action: PreparedAction): ExecutionFacts {
    const { clock, newId = timeOrderedId } = this.#options;
    const createdMs = clock.now();
    return {
      id: newId(createdMs),
      tenant: action.tenant,
      plugin: referenceOf(action.version),
      pluginName: action.version.manifest.name,
      digest: action.version.digest,
      function: action.function,
      requestId: action.requestId,
      labels: action.labels,
      inputBytes: action.input.byteLength,
      createdMs,
    };
  }

  /** Ends the execution before it has begun: the policy does not let this tenant run this version. */
  async #deny(record: ExecutionRecord, refusal: GrantRefusal): Promise<void> {
    const { tenant, plugin, inputBytes } = record.facts;
    const message = `"${plugin}" cannot run for the tenant "${tenant}". ${refusalText(refusal)}`;
    this.#store.end(record, failedOutcome('NOT_GRANTED', message, { ...emptyUsage, inputBytes }));
  }

  #begin(record: ExecutionRecord, action: PreparedAction, options: StartOptions): Promise<void> {
    const { id } = record.facts;
    const stopping = new AbortController();
    const { signal: source } = options;
    const caller = source && onAbort(source, () => stopping.abort(AbortReason.of(source)));
    const ended = this.#run(record, action, { stopping, span: options.span, profiled: options.profiled }).finally(
      () => {
        caller?.[Symbol.dispose]();
        this.#live.delete(id);
      },
    );
    this.#live.set(id, { stopping, ended });
    return ended;
  }

  async #run(
    record: ExecutionRecord,
    action: PreparedAction,
    options: {
      readonly stopping: AbortController;
      readonly span: TraceSpan | undefined;
      readonly profiled: StartOptions['profiled'] | undefined;
    },
  ): Promise<void> {
    const { clock, executor } = this.#options;
    const context: ExecutionContext = {
      id: record.facts.id,
      signal: options.stopping.signal,
      stop: (reason) => options.stopping.abort(reason),
      report: (event) => record.report(event, clock.now()),
      ...(options.span && { span: options.span }),
      ...(options.profiled && { profiled: options.profiled }),
    };
    try {
      this.#store.end(record, await executor.execute(action, context));
    } catch (error) {
      this.#fail(record, ExecError.from(error));
    }
  }

  /** What was turned away at the door is not remembered: it would push out what really ran when there is a rush. */
  #fail(record: ExecutionRecord, failure: ExecError): void {
    const { code } = reasons[failure.reason];
    if (record.stage === 'QUEUED' && code === 'RESOURCE_EXHAUSTED') return this.#store.refuse(record, failure);
    this.#store.end(record, failure);
    if (code !== 'INTERNAL' && code !== 'DATA_LOSS') return;
    const { id, tenant, plugin } = record.facts;
    this.#options.log.error(
      { execution_id: id, tenant, plugin, reason: failure.reason, error: failure },
      'Execution failed',
    );
  }

  async #close(): Promise<void> {
    await this.#allEndedWithin(this.#options.graceMs ?? graceMsDefault);
    this.stopAll();
    await this.#allEndedWithin(abortMsMax);
  }

  async #allEndedWithin(ms: number): Promise<void> {
    if (this.#live.size === 0) return;
    const waited = Promise.withResolvers<void>();
    using _timer = this.#options.clock.after(ms, waited.resolve, { keepAlive: true });
    await Promise.race([waited.promise, Promise.all(Array.from(this.#live.values(), ({ ended }) => ended))]);
  }
}

function endOf(record: ExecutionRecord): ExecutionSnapshot {
  const snapshot = record.snapshot();
  if (snapshot.failure) throw snapshot.failure;
  return snapshot;
}

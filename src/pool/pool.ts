/**
 * Sandboxes ready for calls, and the line of those who wait for one. It decides
 * how many threads there are, who gets the next and which one; what runs in them it
 * does not know.
 */

import type { Clock } from '../base/clock.ts';
import type { Digest } from '../base/digest.ts';
import { onAbort } from '../base/signals.ts';
import { ExecError } from '../model/exec-error.ts';
import type { InstanceCounts, Sandbox } from '../sandbox/sandbox.ts';
import { abortRefusal } from '../sandbox/refusal.ts';
import { SandboxStarter } from './sandbox-starter.ts';
import { type LeaseRequest, type TenantLoad, Turns, type Waiting } from './turns.ts';
import { WaitTimes } from './wait-times.ts';

export type { LeaseRequest } from './turns.ts';

export interface PoolOptions {
  readonly clock: Clock;
  /** Threads kept even when nobody needs them. */
  readonly threadsMin: number;
  /** Threads at any time, those that are being started or ended included; those that wait for calls of their own calls come on top. */
  readonly threadsMax: number;
  /** Calls that may wait for a thread. */
  readonly queueMax: number;
  /** Calls that run at once as long as they are short: as many as there are processors. Default threadsMax. */
  readonly shortCallsMax?: number;
  readonly startSandbox: (id: number) => Promise<Sandbox>;
  /** Calls after which a thread is replaced. Default 100,000: starting one takes as much as a thousand calls. */
  readonly callsMax?: number;
  /** Time after which a thread that nobody needs is ended. Default 300,000. */
  readonly idleMsMax?: number;
}

/** The right to use a sandbox for one call. Dispose it when the call is over. */
export interface Lease extends Disposable {
  readonly sandbox: Sandbox;
  /** Time waited for it. */
  readonly queueMs: number;
  /** The call waits for a call of its own until this is disposed: there may be one thread more meanwhile, for such calls alone. */
  block(): Disposable;
}

export interface PoolStats {
  /** Threads that can run calls: idle and busy ones. */
  readonly threads: number;
  readonly idle: number;
  readonly busy: number;
  readonly starting: number;
  readonly ending: number;
  /** Calls that wait. */
  readonly waiting: number;
  readonly waitingMax: number;
  /** How long the calls that got a thread lately had waited: half of them, and 99 of 100, no longer than this. */
  readonly waitP50Ms: number;
  readonly waitP99Ms: number;
  /** Threads started since the beginning. */
  readonly started: number;
  /** Threads ended after callsMax calls. */
  readonly recycled: number;
  /** Threads that were killed or died. */
  readonly lost: number;
  /** Starts of threads that failed. */
  readonly startFailures: number;
  /** Calls turned away because the line was full. */
  readonly refused: number;
  /** Those who wait or run, most waiting first. */
  readonly tenants: readonly TenantLoad[];
  /** What threads keep, by key of the compiled plugin. */
  readonly instances: ReadonlyMap<string, InstanceCounts>;
}

const callsMaxDefault = 100_000;
const idleMsMaxDefault = 300_000;
/** A thread with sessions is replaced later: they end with it. */
const sessionCallsFactor = 10;

/**
 * Calls that run longer than this are not short. More short calls at once than
 * there are processors only get in each other's way: on two processors two threads
 * served a third more no-ops a second than eight.
 */
const shortCallMs = 2;

/** Threads kept idle for the next call while others are busy, so that replacing a killed one keeps nobody waiting. */
const spares = 1;

/**
 * Calls that may wait for calls of their own, as a multiple of threadsMax: of as
 * many calls as there are threads all may nest as deep as policies allow by default.
 */
const blockedFactor = 4;

const retryDelayMsRange = { min: 50, max: 30_000 } as const;
/** Weight of the newest call in the moving average of how long calls take. */
const averageWeight = 0.1;

/**
 * | from   | to     | by                                        |
 * |--------|--------|-------------------------------------------|
 * | idle   | busy   | a lease                                   |
 * | busy   | idle   | the lease's end, if the sandbox is intact |
 * | busy   | ending | the lease's end otherwise                 |
 * | idle   | ending | idleMsMax passed; the pool closes         |
 * | any    | gone   | the thread's end                          |
 */
type ThreadState = 'idle' | 'busy' | 'ending';

interface Thread {
  readonly sandbox: Sandbox;
  state: ThreadState;
  calls: number;
  /** Calls of its own that its call waits for. */
  blocks: number;
  /** When it became idle, or busy. */
  sinceMs: number;
}

export class SandboxPool implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #options: Required<PoolOptions>;
  readonly #starter: SandboxStarter;
  readonly #turns: Turns<Thread>;
  readonly #waits = new WaitTimes();
  #blocked = 0;
  readonly #threads = new Set<Thread>();
  /** The last one is used next: the one that was used last. The first one is ended first when there are too many. */
  readonly #idle: Thread[] = [];
  readonly #prewarmed = Promise.withResolvers<void>();
  readonly #counts = { started: 0, recycled: 0, lost: 0, refused: 0 };
  #callMsAverage: number | undefined;
  #shrinking: Disposable | undefined;
  #secondLook: Disposable | undefined;
  #isClosed = false;

  private constructor(options: PoolOptions) {
    this.#options = {
      ...options,
      shortCallsMax: options.shortCallsMax ?? options.threadsMax,
      callsMax: options.callsMax ?? callsMaxDefault,
      idleMsMax: options.idleMsMax ?? idleMsMaxDefault,
    };
    this.#clock = options.clock;
    this.#turns = new Turns({ threadsMax: options.threadsMax, waitingMax: options.queueMax });
    this.#starter = new SandboxStarter({
      clock: options.clock,
      startSandbox: options.startSandbox,
      onStarted: (sandbox) => this.#admit(sandbox),
      onGaveUp: (error) => this.#giveUp(error),
    });
  }

  /** Resolves when threadsMin threads are ready; rejects SANDBOX_UNAVAILABLE if they cannot be started. */
  static async start(options: PoolOptions): Promise<SandboxPool> {
    const pool = new SandboxPool(options);
    pool.#fill();
    if (options.threadsMin === 0) pool.#prewarmed.resolve();
    try {
      await pool.#prewarmed.promise;
      return pool;
    } catch (error) {
      await pool[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Waits for a sandbox. Rejects QUEUE_FULL at once if too many wait already;
   * SANDBOX_UNAVAILABLE if no thread can be started; CANCELED, DEADLINE_EXCEEDED
   * or SHUTTING_DOWN if the signal aborts or the pool closes.
   */
  async lease(request: LeaseRequest, signal: AbortSignal): Promise<Lease> {
    if (this.#isClosed) throw shuttingDown();
    if (signal.aborted) throw abortRefusal(signal, 'a sandbox');
    const startMs = this.#clock.monotonic();
    const thread = this.#takeIdle(request) ?? (await this.#wait(request, signal));
    const queueMs = this.#clock.monotonic() - startMs;
    this.#waits.add(queueMs);
    return this.#leaseOf(thread, request, queueMs);
  }

  /** Idle sandboxes, those that would be used next first. */
  get idle(): readonly Sandbox[] {
    return this.#idle.map(({ sandbox }) => sandbox).toReversed();
  }

  /** Has all threads drop what they hold of a plugin's module, when nobody may call it any more. */
  forget(digest: Digest): void {
    for (const { sandbox } of this.#threads) sandbox.forget(digest);
  }

  stats(): PoolStats {
    const busy = this.#count('busy');
    const idle = this.#idle.length;
    return {
      threads: idle + busy,
      idle,
      busy,
      starting: this.#starter.pending,
      ending: this.#count('ending'),
      waiting: this.#turns.length,
      waitingMax: this.#options.queueMax,
      waitP50Ms: this.#waits.quantile(0.5),
      waitP99Ms: this.#waits.quantile(0.99),
      startFailures: this.#starter.failures,
      ...this.#counts,
      tenants: this.#turns.tenants,
      instances: this.#instances(),
    };
  }

  /** Turns away all who wait, and ends all threads, whatever they do. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#shrinking?.[Symbol.dispose]();
    this.#secondLook?.[Symbol.dispose]();
    this.#refuseAll(shuttingDown());
    const threads = [...this.#threads];
    for (const thread of threads) this.#end(thread);
    await Promise.all([this.#starter[Symbol.asyncDispose](), ...threads.map(({ sandbox }) => sandbox.ended)]);
    await Promise.all([...this.#threads].map(({ sandbox }) => sandbox.ended));
  }

  /** Nobody waits for an idle thread but calls of tenants that have all that they may have. */
  #takeIdle(request: LeaseRequest): Thread | undefined {
    if (!this.#turns.mayRun(request) || (this.#isCrowded && request.isNested !== true)) return undefined;
    const thread = this.#fittingIdle(request);
    if (thread === undefined) return undefined;
    this.#leaveIdle(thread);
    this.#occupy(thread, request);
    this.#fill();
    return thread;
  }

  /** Of a session its thread alone; else one with an instance ready, else one that holds the plugin, else the one used last. */
  #fittingIdle({ session, pluginKey }: LeaseRequest): Thread | undefined {
    const pinned = session === undefined ? undefined : this.#turns.sessions.threadOf(session);
    if (pinned) return pinned.state === 'idle' ? pinned : undefined;
    const isReady = ({ sandbox }: Thread): boolean => {
      const counts = sandbox.counts(pluginKey);
      return counts !== undefined && counts.prepared + counts.kept > 0;
    };
    return (
      this.#idle.findLast(isReady) ??
      this.#idle.findLast(({ sandbox }) => sandbox.holds(pluginKey)) ??
      this.#idle.at(-1)
    );
  }

  /** Whether as many short calls run as should at once. */
  get #isCrowded(): boolean {
    const startedMs = this.#clock.monotonic() - shortCallMs;
    let short = 0;
    for (const { state, blocks, sinceMs } of this.#threads) {
      if (state === 'busy' && blocks === 0 && sinceMs > startedMs) short++;
    }
    return short >= this.#options.shortCallsMax;
  }

  /** Those who wait only because of short calls are looked at again when these turn out to be none. */
  #planSecondLook(): void {
    if (this.#turns.length === 0 || this.#secondLook !== undefined || !this.#isCrowded) return;
    this.#secondLook = this.#clock.after(shortCallMs, () => {
      this.#secondLook = undefined;
      this.#serveIdle();
      this.#fill();
      this.#planSecondLook();
    });
  }

  #occupy(thread: Thread, request: LeaseRequest): void {
    thread.state = 'busy';
    thread.sinceMs = this.#clock.monotonic();
    this.#turns.began(request, thread);
    this.#planSecondLook();
  }

  async #wait(request: LeaseRequest, signal: AbortSignal): Promise<Thread> {
    if (request.isNested === true && this.#blocked > this.#blockedMax) throw this.#tooManyBlocked();
    if (request.isNested !== true && !this.#turns.mayWait(request)) throw this.#queueFull(request.tenant);
    const { promise, resolve, reject } = Promise.withResolvers<Thread>();
    const waiting: Waiting<Thread> = { ...request, resolve, reject };
    this.#turns.join(waiting);
    using _listening = onAbort(signal, () => {
      this.#turns.leave(waiting);
      reject(abortRefusal(signal, 'a sandbox'));
    });
    this.#fill();
    this.#planSecondLook();
    return await promise;
  }

  #queueFull(tenant: string): ExecError {
    this.#counts.refused++;
    const { queueMax } = this.#options;
    const { length } = this.#turns;
    const ofTenant = this.#turns.lengthOf(tenant);
    const whose = length < queueMax ? `, ${ofTenant} of them of tenant "${tenant}", whose share that is` : '';
    return new ExecError(
      'QUEUE_FULL',
      `Cannot wait for a sandbox: the waiting line is full (${length} of ${queueMax}${whose})`,
      {
        retryDelayMs: this.#retryDelayMs(),
        metadata: {
          queue: 'sandboxes',
          queueLength: String(length),
          queueMax: String(queueMax),
          queueLengthOfTenant: String(ofTenant),
        },
      },
    );
  }

  /** Whoever waited might wait for threads that all wait in the same way. */
  #tooManyBlocked(): ExecError {
    this.#counts.refused++;
    const message = `Cannot wait for a sandbox: ${this.#blocked} calls wait for calls of their own, at most ${this.#blockedMax} may`;
    return new ExecError('QUEUE_FULL', message, { retryDelayMs: this.#retryDelayMs() });
  }

  /** How long the line will take to empty, going by how long calls took lately. */
  #retryDelayMs(): number {
    const { min, max } = retryDelayMsRange;
    const estimateMs = ((this.#callMsAverage ?? 0) * this.#turns.length) / Math.max(1, this.#options.threadsMax);
    return Math.round(Math.min(max, Math.max(min, estimateMs)));
  }

  #leaseOf(thread: Thread, request: LeaseRequest, queueMs: number): Lease {
    const startMs = this.#clock.monotonic();
    let isOver = false;
    const release = (): void => {
      if (isOver) return;
      isOver = true;
      this.#noteCallMs(this.#clock.monotonic() - startMs);
      this.#turns.ended(request);
      this.#release(thread);
    };
    return { sandbox: thread.sandbox, queueMs, block: () => this.#block(thread), [Symbol.dispose]: release };
  }

  #block(thread: Thread): Disposable {
    this.#blocked++;
    thread.blocks++;
    this.#fill();
    const unblock = (): void => {
      this.#blocked--;
      thread.blocks--;
    };
    return { [Symbol.dispose]: unblock };
  }

  #noteCallMs(callMs: number): void {
    const average = this.#callMsAverage ?? callMs;
    this.#callMsAverage = average + (callMs - average) * averageWeight;
  }

  #release(thread: Thread): void {
    if (!this.#threads.has(thread)) return;
    thread.calls++;
    const isIntact = thread.sandbox.state === 'idle';
    const isWorn = thread.calls >= this.#callsMaxOf(thread);
    if (isIntact && !isWorn && !this.#isClosed) {
      if (!this.#serve(thread)) this.#beIdle(thread, 'next');
      // The end of this call may have given its tenant a turn on another thread.
      this.#serveIdle();
      return;
    }
    if (!isIntact) this.#counts.lost++;
    else if (isWorn) this.#counts.recycled++;
    this.#end(thread);
    this.#fill();
  }

  #callsMaxOf(thread: Thread): number {
    const { callsMax } = this.#options;
    return this.#turns.sessions.countOf(thread) === 0 ? callsMax : callsMax * sessionCallsFactor;
  }

  /** Whether somebody was waiting for it. */
  #serve(thread: Thread): boolean {
    const waiting = this.#turns.next(thread);
    if (waiting === undefined) return false;
    this.#occupy(thread, waiting);
    waiting.resolve(thread);
    return true;
  }

  /** Serves those who wait although threads are idle, because their turn or their thread was not free before. */
  #serveIdle(): void {
    for (const thread of this.#idle.toReversed()) {
      if (this.#turns.length === 0 || this.#isCrowded) return;
      if (this.#serve(thread)) this.#leaveIdle(thread);
    }
  }

  #beIdle(thread: Thread, place: 'next' | 'last'): void {
    thread.state = 'idle';
    thread.sinceMs = this.#clock.monotonic();
    if (place === 'next') this.#idle.push(thread);
    else this.#idle.unshift(thread);
    this.#planShrinking();
  }

  #admit(sandbox: Sandbox): void {
    const thread: Thread = { sandbox, state: 'idle', calls: 0, blocks: 0, sinceMs: 0 };
    this.#counts.started++;
    this.#threads.add(thread);
    void sandbox.ended.then(() => this.#forget(thread));
    if (this.#isClosed) {
      this.#end(thread);
      return;
    }
    // It holds no modules yet: threads that were used before it go first.
    if (this.#isCrowded || !this.#serve(thread)) this.#beIdle(thread, 'last');
    if (this.#threads.size >= this.#options.threadsMin) this.#prewarmed.resolve();
  }

  /** A thread could not be started. As long as there are others, those who wait may still be served. */
  #giveUp(error: ExecError): void {
    this.#prewarmed.reject(error);
    const hasHope = this.#starter.pending > 0 || this.#count('busy') > 0;
    if (!hasHope) this.#refuseAll(error);
  }

  /** Ends a thread; does nothing if it is being ended. */
  #end(thread: Thread): void {
    this.#leaveIdle(thread);
    thread.state = 'ending';
    void thread.sandbox[Symbol.asyncDispose]();
  }

  #forget(thread: Thread): void {
    if (thread.state !== 'ending') this.#counts.lost++;
    this.#leaveIdle(thread);
    this.#threads.delete(thread);
    this.#turns.forget(thread);
    this.#serveIdle();
    this.#fill();
  }

  #refuseAll(error: ExecError): void {
    for (const waiting of this.#turns.takeAll()) waiting.reject(error);
  }

  #leaveIdle(thread: Thread): void {
    const place = this.#idle.indexOf(thread);
    if (place >= 0) this.#idle.splice(place, 1);
  }

  /** Starts threads for those who wait, for the spare, and up to threadsMin, as far as threadsMax allows. */
  #fill(): void {
    if (this.#isClosed) return;
    const { threadsMin } = this.#options;
    const total = this.#threads.size + this.#starter.pending;
    const free = this.#idle.length + this.#starter.pending;
    const wanted = spares + (this.#isCrowded ? 0 : this.#turns.unbound);
    const missing = Math.max(threadsMin - total, wanted - free);
    for (let count = Math.min(missing, this.#threadsMax - total); count > 0; count--) this.#starter.start();
  }

  /** Threads whose calls wait for calls of their own take no processor: others may take their place. */
  get #threadsMax(): number {
    return this.#options.threadsMax + Math.min(this.#blocked, this.#blockedMax);
  }

  get #blockedMax(): number {
    return this.#options.threadsMax * blockedFactor;
  }

  #instances(): PoolStats['instances'] {
    const sums = new Map<string, InstanceCounts>();
    for (const { sandbox } of this.#threads) {
      for (const [key, { prepared, kept, keptBytes }] of sandbox.allCounts) {
        const sum = sums.get(key) ?? { prepared: 0, kept: 0, keptBytes: 0 };
        sums.set(key, {
          prepared: sum.prepared + prepared,
          kept: sum.kept + kept,
          keptBytes: sum.keptBytes + keptBytes,
        });
      }
    }
    return sums;
  }

  #planShrinking(): void {
    const first = this.#idle[0];
    if (this.#shrinking !== undefined || first === undefined || !this.#canShrink()) return;
    const delayMs = first.sinceMs + this.#options.idleMsMax - this.#clock.monotonic();
    this.#shrinking = this.#clock.after(Math.max(0, delayMs), () => this.#shrink());
  }

  #shrink(): void {
    this.#shrinking = undefined;
    const idleBeforeMs = this.#clock.monotonic() - this.#options.idleMsMax;
    for (let first = this.#idle[0]; first && this.#canShrink(); first = this.#idle[0]) {
      if (first.sinceMs > idleBeforeMs) break;
      this.#end(first);
    }
    this.#planShrinking();
  }

  #canShrink(): boolean {
    return this.#idle.length > spares && this.#idle.length + this.#count('busy') > this.#options.threadsMin;
  }

  #count(state: ThreadState): number {
    let count = 0;
    for (const thread of this.#threads) if (thread.state === state) count++;
    return count;
  }
}

function shuttingDown(): ExecError {
  return new ExecError('SHUTTING_DOWN', 'The server is shutting down');
}

/**
 * Sandboxes ready for calls, and the line of those who wait for one. It decides
 * how many threads there are and who gets the next; what runs in them it does not
 * know.
 */

import type { Clock } from '../base/clock.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Sandbox } from '../sandbox/sandbox.ts';
import { abortRefusal } from '../sandbox/refusal.ts';
import { SandboxStarter } from './sandbox-starter.ts';
import { WaitingLine } from './waiting-line.ts';

export interface PoolOptions {
  readonly clock: Clock;
  /** Threads kept even when nobody needs them. */
  readonly threadsMin: number;
  /** Threads at any time, those that are being started or ended included. */
  readonly threadsMax: number;
  /** Calls that may wait for a thread. */
  readonly queueMax: number;
  readonly startSandbox: (id: number) => Promise<Sandbox>;
  /** Calls after which a thread is replaced. Default 1,000. */
  readonly callsMax?: number;
  /** Time after which a thread that nobody needs is ended. Default 300,000. */
  readonly idleMsMax?: number;
}

/** The right to use a sandbox for one call. Dispose it when the call is over. */
export interface Lease extends Disposable {
  readonly sandbox: Sandbox;
  /** Time waited for it. */
  readonly queueMs: number;
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
}

const callsMaxDefault = 1_000;
const idleMsMaxDefault = 300_000;

/** Threads kept idle for the next call while others are busy, so that replacing a killed one keeps nobody waiting. */
const spares = 1;

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
  /** When it became idle. */
  idleSinceMs: number;
}

export class SandboxPool implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #options: Required<PoolOptions>;
  readonly #starter: SandboxStarter;
  readonly #line = new WaitingLine<Thread>('a sandbox');
  readonly #threads = new Set<Thread>();
  /** The last one is used next: the one that was used last. The first one is ended first when there are too many. */
  readonly #idle: Thread[] = [];
  readonly #prewarmed = Promise.withResolvers<void>();
  readonly #counts = { started: 0, recycled: 0, lost: 0, refused: 0 };
  #callMsAverage: number | undefined;
  #shrinking: Disposable | undefined;
  #isClosed = false;

  private constructor(options: PoolOptions) {
    this.#options = {
      ...options,
      callsMax: options.callsMax ?? callsMaxDefault,
      idleMsMax: options.idleMsMax ?? idleMsMaxDefault,
    };
    this.#clock = options.clock;
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
  async lease(signal: AbortSignal): Promise<Lease> {
    if (this.#isClosed) throw shuttingDown();
    if (signal.aborted) throw abortRefusal(signal, 'a sandbox');
    const startMs = this.#clock.monotonic();
    const thread = this.#takeIdle() ?? (await this.#wait(signal));
    return this.#leaseOf(thread, this.#clock.monotonic() - startMs);
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
      waiting: this.#line.length,
      startFailures: this.#starter.failures,
      ...this.#counts,
    };
  }

  /** Turns away all who wait, and ends all threads, whatever they do. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#shrinking?.[Symbol.dispose]();
    this.#line.refuseAll(shuttingDown());
    const threads = [...this.#threads];
    for (const thread of threads) this.#end(thread);
    await Promise.all([this.#starter[Symbol.asyncDispose](), ...threads.map(({ sandbox }) => sandbox.ended)]);
    await Promise.all([...this.#threads].map(({ sandbox }) => sandbox.ended));
  }

  #takeIdle(): Thread | undefined {
    const thread = this.#idle.pop();
    if (thread === undefined) return undefined;
    thread.state = 'busy';
    this.#fill();
    return thread;
  }

  async #wait(signal: AbortSignal): Promise<Thread> {
    if (this.#line.length >= this.#options.queueMax) throw this.#queueFull();
    const turn = this.#line.join(signal);
    this.#fill();
    return await turn;
  }

  #queueFull(): ExecError {
    this.#counts.refused++;
    const { queueMax } = this.#options;
    const { length } = this.#line;
    return new ExecError(
      'QUEUE_FULL',
      `Cannot wait for a sandbox: the waiting line is full (${length} of ${queueMax})`,
      {
        retryDelayMs: this.#retryDelayMs(),
        metadata: { queue: 'sandboxes', queueLength: String(length), queueMax: String(queueMax) },
      },
    );
  }

  /** How long the line will take to empty, going by how long calls took lately. */
  #retryDelayMs(): number {
    const { min, max } = retryDelayMsRange;
    const estimateMs = ((this.#callMsAverage ?? 0) * this.#line.length) / Math.max(1, this.#options.threadsMax);
    return Math.round(Math.min(max, Math.max(min, estimateMs)));
  }

  #leaseOf(thread: Thread, queueMs: number): Lease {
    const startMs = this.#clock.monotonic();
    let isOver = false;
    const release = (): void => {
      if (isOver) return;
      isOver = true;
      this.#noteCallMs(this.#clock.monotonic() - startMs);
      this.#release(thread);
    };
    return { sandbox: thread.sandbox, queueMs, [Symbol.dispose]: release };
  }

  #noteCallMs(callMs: number): void {
    const average = this.#callMsAverage ?? callMs;
    this.#callMsAverage = average + (callMs - average) * averageWeight;
  }

  #release(thread: Thread): void {
    if (!this.#threads.has(thread)) return;
    thread.calls++;
    const isIntact = thread.sandbox.state === 'idle';
    const isWorn = thread.calls >= this.#options.callsMax;
    if (isIntact && !isWorn && !this.#isClosed) {
      if (!this.#serve(thread)) this.#beIdle(thread, 'next');
      return;
    }
    if (!isIntact) this.#counts.lost++;
    else if (isWorn) this.#counts.recycled++;
    this.#end(thread);
    this.#fill();
  }

  /** Whether somebody was waiting for it. */
  #serve(thread: Thread): boolean {
    thread.state = 'busy';
    return this.#line.serve(thread);
  }

  #beIdle(thread: Thread, place: 'next' | 'last'): void {
    thread.state = 'idle';
    thread.idleSinceMs = this.#clock.monotonic();
    if (place === 'next') this.#idle.push(thread);
    else this.#idle.unshift(thread);
    this.#planShrinking();
  }

  #admit(sandbox: Sandbox): void {
    const thread: Thread = { sandbox, state: 'idle', calls: 0, idleSinceMs: 0 };
    this.#counts.started++;
    this.#threads.add(thread);
    void sandbox.ended.then(() => this.#forget(thread));
    if (this.#isClosed) {
      this.#end(thread);
      return;
    }
    // It holds no modules yet: threads that were used before it go first.
    if (!this.#serve(thread)) this.#beIdle(thread, 'last');
    if (this.#threads.size >= this.#options.threadsMin) this.#prewarmed.resolve();
  }

  /** A thread could not be started. As long as there are others, those who wait may still be served. */
  #giveUp(error: ExecError): void {
    this.#prewarmed.reject(error);
    const hasHope = this.#starter.pending > 0 || this.#count('busy') > 0;
    if (!hasHope) this.#line.refuseAll(error);
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
    this.#fill();
  }

  #leaveIdle(thread: Thread): void {
    const place = this.#idle.indexOf(thread);
    if (place >= 0) this.#idle.splice(place, 1);
  }

  /** Starts threads for those who wait, for the spare, and up to threadsMin, as far as threadsMax allows. */
  #fill(): void {
    if (this.#isClosed) return;
    const { threadsMin, threadsMax } = this.#options;
    const total = this.#threads.size + this.#starter.pending;
    const free = this.#idle.length + this.#starter.pending;
    const missing = Math.max(threadsMin - total, this.#line.length + spares - free);
    for (let count = Math.min(missing, threadsMax - total); count > 0; count--) this.#starter.start();
  }

  #planShrinking(): void {
    const first = this.#idle[0];
    if (this.#shrinking !== undefined || first === undefined || !this.#canShrink()) return;
    const delayMs = first.idleSinceMs + this.#options.idleMsMax - this.#clock.monotonic();
    this.#shrinking = this.#clock.after(Math.max(0, delayMs), () => this.#shrink());
  }

  #shrink(): void {
    this.#shrinking = undefined;
    const idleBeforeMs = this.#clock.monotonic() - this.#options.idleMsMax;
    for (let first = this.#idle[0]; first && this.#canShrink(); first = this.#idle[0]) {
      if (first.idleSinceMs > idleBeforeMs) break;
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

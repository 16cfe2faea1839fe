/**
 * The main side of the compiler: one thread that takes untrusted modules apart,
 * one job at a time, and is replaced when a module takes too long. It keeps no
 * results; whoever wants one twice does.
 */

import type { Clock } from '../base/clock.ts';
import { type Digest, digestOf } from '../base/digest.ts';
import { onAbort } from '../base/signals.ts';
import { ExecError } from '../model/exec-error.ts';
import { costTableVersion } from '../wasm/metering/costs.ts';
import type { ModulePolicy } from '../wasm/policy.ts';
import { rewriterVersion } from '../wasm/rewrite.ts';
import { rewrittenSize } from '../wasm/rewritten-size.ts';
import { importPrices } from './import-prices.ts';
import type { ComposedModule } from './kernel/compose.ts';
import { kernelBytes } from './kernel/kernel.ts';
import type { CompiledPlugin, CompilerAnswer, CompilerData, ModuleAnalysis, ToCompiler } from './protocol.ts';
import { abortRefusal, errorFrom } from './refusal.ts';
import { yieldToOthers } from './thread-priority.ts';
import { WorkerThread } from './worker-thread.ts';

export type { CompiledPlugin, ModuleAnalysis } from './protocol.ts';

export interface CompilerOptions {
  readonly clock: Clock;
  readonly policy: ModulePolicy;
  /** For one job, from when it is its turn. Default 5,000. */
  readonly timeMsMax?: number;
  /** Jobs that may wait. Default 64. */
  readonly queueMax?: number;
}

export interface CompileInput {
  readonly digest: Digest;
  readonly memoryBytes: number;
  readonly composed: ComposedModule;
}

const timeMsMaxDefault = 5_000;
const queueMaxDefault = 64;
const threadName = 'compiler';
const stackMb = 4;
const heapMb = 512;

type CompilerThread = WorkerThread<ToCompiler, CompilerAnswer>;

interface Job {
  readonly request: ToCompiler;
  resolve(answer: CompilerAnswer): void;
  reject(error: ExecError): void;
}

export class Compiler implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #policy: ModulePolicy;
  readonly #timeMsMax: number;
  readonly #queueMax: number;
  readonly #waiting: Job[] = [];
  #thread: CompilerThread | undefined;
  #starting: Promise<void> | undefined;
  #running: { readonly job: Job; readonly timer: Disposable } | undefined;
  #isClosed = false;

  private constructor(options: CompilerOptions) {
    this.#clock = options.clock;
    this.#policy = options.policy;
    this.#timeMsMax = options.timeMsMax ?? timeMsMaxDefault;
    this.#queueMax = options.queueMax ?? queueMaxDefault;
  }

  /**
   * Differs from that of another compiler if that one could make something else of
   * the same module: it covers the rewriter, prices, kernel, policy and V8.
   */
  get identity(): string {
    return compilerIdentity(this.#policy);
  }

  /** Resolves when the thread is ready; rejects SANDBOX_UNAVAILABLE. */
  static async start(options: CompilerOptions): Promise<Compiler> {
    const compiler = new Compiler(options);
    await compiler.#startThread();
    return compiler;
  }

  /**
   * What stands against a module, and what is in it. `bytes` must not change
   * meanwhile. Rejects QUEUE_FULL, WASM_TOO_SLOW, SANDBOX_UNAVAILABLE, or as the
   * signal says, but not because the module is bad.
   */
  async analyse(bytes: Uint8Array, memoryBytes: number, signal?: AbortSignal): Promise<ModuleAnalysis> {
    const answer = await this.#ask({ type: 'analyse', bytes, memoryBytes }, signal);
    return answer.type === 'analysed' ? answer.analysis : refuse(answer);
  }

  /** Compiles what analysis composed of a module. Rejects as analyse does. */
  async compile({ digest, memoryBytes, composed }: CompileInput, signal?: AbortSignal): Promise<CompiledPlugin> {
    const { bytes, ...facts } = composed;
    const answer = await this.#ask({ type: 'compile', bytes }, signal);
    if (answer.type !== 'compiled') return refuse(answer);
    return { key: `${digest}/${memoryBytes}`, module: answer.module, ...facts };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const error = new ExecError('SHUTTING_DOWN', 'The server is shutting down');
    this.#finish((job) => job.reject(error));
    this.#rejectWaiting(error);
    await this.#starting;
    await this.#dropThread();
  }

  async #ask(request: ToCompiler, signal?: AbortSignal): Promise<CompilerAnswer> {
    if (this.#isClosed) throw new ExecError('SHUTTING_DOWN', 'The server is shutting down');
    if (signal?.aborted) throw abortRefusal(signal, 'the compiler');
    if (this.#waiting.length >= this.#queueMax) throw this.#queueFull();
    const { promise, resolve, reject } = Promise.withResolvers<CompilerAnswer>();
    const job: Job = { request, resolve, reject };
    this.#waiting.push(job);
    using _listening = signal && onAbort(signal, () => this.#leave(job, abortRefusal(signal, 'the compiler')));
    this.#next();
    return await promise;
  }

  #queueFull(): ExecError {
    const length = this.#waiting.length;
    const message = `Cannot check another module: the compiler's waiting line is full (${length} of ${this.#queueMax})`;
    return new ExecError('QUEUE_FULL', message, { metadata: { queue: 'compiler', queueLength: String(length) } });
  }

  /** A job that runs already runs on, but nobody waits for it. */
  #leave(job: Job, error: ExecError): void {
    const place = this.#waiting.indexOf(job);
    if (place >= 0) this.#waiting.splice(place, 1);
    job.reject(error);
  }

  #next(): void {
    if (this.#running || this.#waiting.length === 0) return;
    const thread = this.#thread;
    if (thread === undefined) {
      this.#restart();
      return;
    }
    const job = this.#waiting.shift() as Job;
    this.#running = { job, timer: this.#clock.after(this.#timeMsMax, () => this.#giveUp()) };
    // The copy has a buffer of its own that can be given away.
    const bytes = new Uint8Array(job.request.bytes);
    thread.post({ ...job.request, bytes }, [bytes.buffer]);
  }

  #restart(): void {
    this.#starting ??= this.#startThread()
      .catch((error: unknown) => this.#rejectWaiting(ExecError.from(error)))
      .finally(() => {
        this.#starting = undefined;
        this.#next();
      });
  }

  async #startThread(): Promise<void> {
    const data: CompilerData = { policy: this.#policy };
    let thread: CompilerThread | undefined;
    const isCurrent = (): boolean => thread !== undefined && this.#thread === thread;
    thread = await WorkerThread.start<ToCompiler, CompilerAnswer>({
      entry: new URL('./thread/compiler-main.ts', import.meta.url),
      name: threadName,
      data,
      stackMb,
      heapMb,
      clock: this.#clock,
      onMessage: (answer) => {
        if (isCurrent()) this.#receive(answer);
      },
      onEnd: (cause) => {
        if (isCurrent()) this.#lose(cause);
      },
    });
    this.#thread = thread;
    // Publishing can wait; calls cannot.
    yieldToOthers(threadName);
  }

  #receive(answer: CompilerAnswer): void {
    this.#finish((job) => job.resolve(answer));
    this.#next();
  }

  /** The module takes too long: what holds the thread cannot be stopped otherwise. */
  #giveUp(): void {
    this.#finish(({ request, reject }) => {
      const what = request.type === 'analyse' ? 'Checking and rewriting' : 'Compiling';
      const message = `${what} the module of ${request.bytes.length} bytes took longer than ${this.#timeMsMax} ms, the most that is allowed`;
      reject(new ExecError('WASM_TOO_SLOW', message));
    });
    void this.#dropThread();
    this.#next();
  }

  #lose(cause: Error | undefined): void {
    this.#thread = undefined;
    const message = 'The thread that compiled the module died';
    this.#finish((job) => job.reject(new ExecError('SANDBOX_CRASHED', message, { cause })));
    this.#next();
  }

  async #dropThread(): Promise<void> {
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.terminate();
  }

  #finish(settle: (job: Job) => void): void {
    const running = this.#running;
    this.#running = undefined;
    running?.timer[Symbol.dispose]();
    if (running) settle(running.job);
  }

  #rejectWaiting(error: ExecError): void {
    for (const job of this.#waiting.splice(0)) job.reject(error);
  }
}

function compilerIdentity(policy: ModulePolicy): string {
  const parts = [rewriterVersion, costTableVersion, importPrices, rewrittenSize, digestOf(kernelBytes), policy];
  return digestOf(Buffer.from(JSON.stringify([...parts, process.versions.v8])));
}

function refuse(answer: CompilerAnswer): never {
  throw answer.type === 'failed'
    ? errorFrom(answer.error)
    : new ExecError('INTERNAL', 'The compiler answered another job');
}

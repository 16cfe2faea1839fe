/**
 * The main side of one sandbox: a thread that runs one call at a time and can be
 * killed. It knows no queue and starts no other thread; whoever holds it does.
 */

import type { MessagePort } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import type { Digest } from '../base/digest.ts';
import { onAbort } from '../base/signals.ts';
import { AbortReason } from '../model/abort-reason.ts';
import { ExecError } from '../model/exec-error.ts';
import type { FuelProfile } from '../model/fuel-profile.ts';
import type { GuestEvent, GuestNote, GuestSpan } from '../model/execution.ts';
import type { Grant } from '../model/grant.ts';
import type { RunLimits } from '../model/limits.ts';
import { answerCodes, type HostAnswer, type OperationName } from '../model/operation.ts';
import { emptyUsage, failedOutcome, type Outcome, type Usage } from '../model/outcome.ts';
import { callsMade, ControlBlock, instanceSources } from './control-block.ts';
import { pluginsHeldMax } from './plugins-held.ts';
import type {
  AnswerMessage,
  CompiledPlugin,
  FromSandbox,
  InstanceCounts,
  InstanceWish,
  PluginMessage,
  RunTimings,
  SandboxData,
  ToSandbox,
} from './protocol.ts';
import { errorFrom } from './refusal.ts';
import { Sent } from './remembered.ts';
import { transferBytesMin } from './transfer.ts';
import { warmUpPlugin } from './warm-up.ts';
import { messagePorts, WorkerThread } from './worker-thread.ts';

export type { CompiledPlugin, InstanceCounts, InstanceWish } from './protocol.ts';

export interface SandboxCall {
  readonly executionId: string;
  readonly plugin: CompiledPlugin;
  readonly functionName: string;
  readonly input: Uint8Array;
  readonly config: ReadonlyMap<string, string>;
  readonly grant: Grant;
  readonly limits: RunLimits;
  readonly instance: InstanceWish;
  /** Seed of what the guest sees as randomness; empty for real randomness. */
  readonly randomSeed: Uint8Array;
  /** Whether the result shall say where the fuel went; default false. */
  readonly profiled?: boolean;
}

export interface SandboxResult {
  /** Its usage has neither queueMs nor wallMs. */
  readonly outcome: Outcome;
  /** Absent if the guest had to be killed. */
  readonly timings: RunTimings | undefined;
  /** Where the fuel went, if the call asked for it and the guest did not have to be killed. */
  readonly profile?: FuelProfile | undefined;
}

export interface SandboxRun {
  /** Its reason is an AbortReason. */
  readonly signal: AbortSignal;
  /** Must not throw. */
  report(event: GuestEvent): void;
  /** A span that the guest made; must not throw. */
  traced?(span: GuestSpan): void;
  /** Answers a host call that the thread cannot. A rejection is a fault of the host, unless the signal has aborted. */
  answer?(operation: OperationName, request: Uint8Array, fuelLeft: number): Promise<HostAnswer>;
}

export interface SandboxOptions {
  readonly clock: Clock;
  readonly id: number;
  /** Stack of the thread, for guests and host together. Default 4. */
  readonly stackMb?: number;
  /** JavaScript heap of the thread, in which no guest memory lies. Default 128. */
  readonly heapMb?: number;
  /** How long a guest that shall stop may take to reach its next slice of fuel before its thread is ended. Default 50. */
  readonly stopGraceMs?: number;
}

/**
 * | from     | to             | by                                    |
 * |----------|----------------|---------------------------------------|
 * | idle     | running        | run                                   |
 * | running  | idle           | the thread's answer                   |
 * | running  | stopping       | the signal                            |
 * | stopping | idle           | the thread's answer                   |
 * | idle, running | stopping  | dispose                               |
 * | any      | dead           | the thread's end                      |
 */
export type SandboxState = 'idle' | 'running' | 'stopping' | 'dead';

const stackMbDefault = 4;
const heapMbDefault = 128;
const stopGraceMsDefault = 50;

/** The call that a sandbox runs. */
interface RunningCall {
  readonly call: SandboxCall;
  readonly run: SandboxRun;
  readonly startMs: number;
  /** What the guest counted under names of its own. */
  readonly counters: Record<string, number>;
  resolve(result: SandboxResult): void;
  reject(error: ExecError): void;
}

export class Sandbox implements AsyncDisposable {
  readonly id: number;
  readonly #clock: Clock;
  readonly #control: ControlBlock;
  readonly #stopGraceMs: number;
  /** Keys of the plugins that the thread holds, least recently used first. */
  readonly #held = new Set<string>();
  /** What the thread kept of each plugin when it last said so. */
  readonly #counts = new Map<string, InstanceCounts>();
  readonly #answers: MessagePort;
  readonly #sent = new Sent();
  readonly #warming: ((counts: InstanceCounts) => void)[] = [];
  #thread!: WorkerThread<ToSandbox, FromSandbox>;
  #state: SandboxState = 'idle';
  #running: RunningCall | undefined;
  #grace: Disposable | undefined;

  private constructor({ id, clock, stopGraceMs = stopGraceMsDefault }: SandboxOptions, answers: MessagePort) {
    this.id = id;
    this.#answers = answers;
    this.#clock = clock;
    this.#stopGraceMs = stopGraceMs;
    this.#control = new ControlBlock();
  }

  /** Resolves when the thread is ready for a call; rejects SANDBOX_UNAVAILABLE. */
  static async start(options: SandboxOptions): Promise<Sandbox> {
    const { near, far } = messagePorts();
    const sandbox = new Sandbox(options, near);
    const data: SandboxData = {
      control: sandbox.#control.buffer,
      answers: far,
      warmUp: warmUpPlugin(),
    };
    sandbox.#thread = await WorkerThread.start<ToSandbox, FromSandbox>({
      entry: new URL('./thread/main.ts', import.meta.url),
      name: `sandbox-${options.id}`,
      data,
      transfer: [far],
      stackMb: options.stackMb ?? stackMbDefault,
      heapMb: options.heapMb ?? heapMbDefault,
      clock: options.clock,
      onMessage: (message) => sandbox.#receive(message),
      onEnd: (cause) => sandbox.#die(cause),
    });
    return sandbox;
  }

  get state(): SandboxState {
    return this.#state;
  }

  /** Resolves when the thread is gone, whatever the cause. */
  get ended(): Promise<void> {
    return this.#thread.ended;
  }

  /**
   * Runs one function, in an instance as the call wishes it. Resolves with the outcome, soon after
   * the signal aborts at the latest. Rejects SANDBOX_CRASHED if the thread dies by itself,
   * and with another ExecError if the host failed; both may leave the thread dead.
   */
  run(call: SandboxCall, run: SandboxRun): Promise<SandboxResult> {
    assert(this.#state !== 'running', `Sandbox ${this.id} runs one call at a time`);
    if (this.#state !== 'idle') return Promise.reject(crashed(undefined));
    const startMs = this.#clock.monotonic();
    this.#control.reset();
    if (run.signal.aborted)
      return Promise.resolve(this.#stoppedResult({ call, run, startMs, counters: Object.create(null) }));
    const { promise, resolve, reject } = Promise.withResolvers<SandboxResult>();
    this.#running = { call, run, startMs, counters: Object.create(null), resolve, reject };
    this.#state = 'running';
    this.#send(call);
    const listening = onAbort(run.signal, () => this.#stop());
    return promise.finally(() => listening[Symbol.dispose]());
  }

  /**
   * Has the thread prepare instances for calls like this one, and says what it keeps
   * of the plugin then. A call may be run meanwhile. Resolves also when the thread dies.
   */
  async warm(call: Pick<SandboxCall, 'plugin' | 'limits'>, warm: number): Promise<InstanceCounts> {
    const none: InstanceCounts = { prepared: 0, kept: 0, keptBytes: 0 };
    if (this.#state === 'dead') return none;
    const { promise, resolve } = Promise.withResolvers<InstanceCounts>();
    this.#warming.push(resolve);
    const { plugin, limits } = call;
    this.#thread.post({ type: 'warm', ...this.#pluginMessage(plugin), limits, warm });
    this.#control.ring();
    void this.ended.then(() => resolve(none));
    const counts = await promise;
    if (this.#held.has(plugin.key)) this.#counts.set(plugin.key, counts);
    return counts;
  }

  /** What the thread keeps of a plugin, as far as is known; undefined if it does not hold it. */
  counts(pluginKey: string): InstanceCounts | undefined {
    return this.#counts.get(pluginKey);
  }

  /** What the thread keeps, by key of the plugin. */
  get allCounts(): ReadonlyMap<string, InstanceCounts> {
    return this.#counts;
  }

  holds(pluginKey: string): boolean {
    return this.#held.has(pluginKey);
  }

  /** Has the thread drop what it holds of a plugin, instances kept for calls to come included; a running call goes on. */
  forget(digest: Digest): void {
    for (const pluginKey of [...this.#held].filter((key) => key.startsWith(`${digest}/`))) {
      this.#held.delete(pluginKey);
      this.#counts.delete(pluginKey);
      this.#thread.post({ type: 'forget', pluginKey });
      this.#control.ring();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#settle((running) => running.reject(new ExecError('SHUTTING_DOWN', 'The sandbox was closed during the call')));
    if (this.#state !== 'dead') this.#state = 'stopping';
    await this.#thread.terminate();
  }

  #send(call: SandboxCall): void {
    const { functionName, config, grant, limits, instance, randomSeed, profiled = false } = call;
    const { bytes: input, transfer } = toBePosted(call.input);
    const plugin = this.#pluginMessage(call.plugin);
    this.#thread.post(
      {
        type: 'call',
        ...plugin,
        functionName,
        input,
        config: config.size === 0 ? undefined : config,
        grant: this.#sent.refer(grant),
        limits: this.#sent.refer(limits),
        instance,
        randomSeed: randomSeed.length === 0 ? undefined : new Uint8Array(randomSeed),
        profiled,
      },
      transfer,
    );
    this.#control.ring();
  }

  #pluginMessage(plugin: CompiledPlugin): PluginMessage {
    const { isNew, forget } = this.#hold(plugin.key);
    return { pluginKey: plugin.key, plugin: isNew ? plugin : undefined, forget };
  }

  /** Notes that the plugin is used, and says which one the thread shall forget for it. */
  #hold(key: string): { readonly isNew: boolean; readonly forget: string | undefined } {
    const isNew = !this.#held.delete(key);
    this.#held.add(key);
    const [oldest] = this.#held;
    const forget = this.#held.size > pluginsHeldMax ? oldest : undefined;
    if (forget !== undefined) {
      this.#held.delete(forget);
      this.#counts.delete(forget);
    }
    return { isNew, forget };
  }

  #receive(message: FromSandbox): void {
    switch (message.type) {
      case 'event':
        this.#control.countTaken();
        this.#take(message.event);
        return;
      case 'ask':
        void this.#respond(message);
        return;
      case 'ended':
        this.#noteCounts(this.#running?.call.plugin.key);
        this.#answer((running) => running.resolve(this.#completed(running, message)));
        return;
      case 'warmed':
        this.#warming.shift()?.(message.counts);
        return;
      case 'failed':
        this.#answer((running) => running.reject(errorFrom(message.error)));
    }
  }

  #noteCounts(pluginKey: string | undefined): void {
    const { prepared, kept, keptBytes } = this.#control.report;
    if (pluginKey !== undefined) this.#counts.set(pluginKey, { prepared, kept, keptBytes });
  }

  #take(event: GuestEvent | GuestNote): void {
    const running = this.#running;
    if (running === undefined) return;
    if (event.type === 'span') running.run.traced?.(event.span);
    else if (event.type === 'counters') addCounters(running.counters, event.counters);
    else running.run.report(event);
  }

  /** The thread waits, unless the run was stopped meanwhile: then the answer is nobody's. */
  async #respond({ number, operation, request, fuelLeft }: Extract<FromSandbox, { type: 'ask' }>): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    const answer = await answerOf(running.run, { operation, request, fuelLeft });
    if (this.#running !== running) return;
    const message: AnswerMessage = { number, answer };
    this.#answers.postMessage(message, []);
    this.#control.announceAnswer();
  }

  #answer(settle: (running: RunningCall) => void): void {
    // Whoever was killed or closed has no call left to answer.
    if (this.#running) this.#state = 'idle';
    this.#settle(settle);
  }

  #settle(settle: (running: RunningCall) => void): void {
    const running = this.#running;
    this.#running = undefined;
    this.#grace?.[Symbol.dispose]();
    this.#grace = undefined;
    if (running) settle(running);
  }

  /**
   * Stops the guest in two stages: it traps at its next slice of fuel, and the
   * thread lives on; if the thread does not answer within the grace, because it is
   * stuck in the host or in V8, it is ended.
   */
  #stop(): void {
    if (this.#state !== 'running') return;
    this.#state = 'stopping';
    this.#control.requestStop();
    this.#grace = this.#clock.after(this.#stopGraceMs, () => this.#killUnlessAnswered());
  }

  /** An answer may lie unread when the grace ends, because this thread was busy: it is read before the next turn. */
  #killUnlessAnswered(): void {
    this.#grace = this.#clock.after(0, () => this.#kill());
  }

  #kill(): void {
    this.#settle((running) => running.resolve(this.#stoppedResult(running)));
    void this.#thread.terminate();
  }

  #die(cause: Error | undefined): void {
    this.#state = 'dead';
    this.#counts.clear();
    this.#answers.close();
    this.#settle((running) => running.reject(crashed(cause)));
  }

  /** A guest that ended before the wish to stop reached it has its own outcome. */
  #completed(running: RunningCall, { outcome, profile }: Extract<FromSandbox, { type: 'ended' }>): SandboxResult {
    const { instanceSource, fuelIsLowerBound, outputBytes, ...report } = this.#control.report;
    const { instanceStartMs, guestStartMs, guestEndMs } = report;
    const timings = { instanceStartMs, guestStartMs, guestEndMs };
    const usage: Usage = {
      ...this.#usage(running),
      outputBytes,
      instanceSource: instanceSources[instanceSource] ?? 'NONE',
      fuelIsLowerBound: fuelIsLowerBound === 1,
    };
    if (outcome.name !== 'CANCELED') return { outcome: { ...outcome, usage }, timings, profile };
    const { kind, message } = AbortReason.of(running.run.signal);
    return { outcome: failedOutcome(kind, message, usage, outcome.error.guestStack), timings, profile };
  }

  #stoppedResult(running: Pick<RunningCall, 'call' | 'run' | 'startMs' | 'counters'>): SandboxResult {
    const { kind, message } = AbortReason.of(running.run.signal);
    const usage = { ...this.#usage(running), fuelIsLowerBound: true };
    return { outcome: failedOutcome(kind, message, usage), timings: undefined };
  }

  /** As far as the thread has told. */
  #usage(running: Pick<RunningCall, 'call' | 'startMs' | 'counters'>): Usage {
    const { calls, ...meters } = this.#control.meters;
    return {
      ...emptyUsage,
      ...meters,
      hostCallsByCapability: callsMade(calls),
      counters: running.counters,
      inputBytes: running.call.input.length,
      runMs: this.#runMs(running),
    };
  }

  #runMs({ startMs }: { readonly startMs: number }): number {
    return this.#clock.monotonic() - startMs;
  }
}

function crashed(cause: Error | undefined): ExecError {
  return new ExecError('SANDBOX_CRASHED', 'The thread that ran the guest died', { cause });
}

/**
 * Bytes fit to be posted. Large ones are copied into a buffer that is given away,
 * because the caller keeps its own; a small one is cloned, for which it must have a buffer
 * of its own, since a view takes all of its buffer along, with other callers' bytes.
 */
function toBePosted(input: Uint8Array): { readonly bytes: Uint8Array<ArrayBuffer>; readonly transfer: ArrayBuffer[] } {
  const isWhole = input.byteLength === input.buffer.byteLength && input.constructor === Uint8Array;
  const bytes = isWhole && input.length < transferBytesMin ? input : new Uint8Array(input);
  const own = bytes as Uint8Array<ArrayBuffer>;
  return { bytes: own, transfer: input.length < transferBytesMin ? [] : [own.buffer] };
}

interface Question {
  readonly operation: OperationName;
  readonly request: Uint8Array;
  readonly fuelLeft: number;
}

async function answerOf(run: SandboxRun, { operation, request, fuelLeft }: Question): Promise<HostAnswer> {
  try {
    if (run.answer === undefined) throw new Error(`Nobody answers "${operation}"`);
    return await run.answer(operation, request, fuelLeft);
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { code: answerCodes.failed, payload: Buffer.from(text) };
  }
}

function addCounters(sums: Record<string, number>, added: Readonly<Record<string, number>>): void {
  for (const [name, amount] of Object.entries(added)) sums[name] = (sums[name] ?? 0) + amount;
}

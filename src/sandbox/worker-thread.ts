/**
 * One worker thread seen from the main side: its start, its messages, its end. It
 * knows nothing of what the thread does.
 */

import { MessageChannel, type MessagePort, type Transferable, Worker } from 'node:worker_threads';
import type { Clock } from '../base/clock.ts';
import { ExecError } from '../model/exec-error.ts';
import type { ReadyMessage } from './protocol.ts';
import { threadProgram } from './thread-source.ts';
import { setV8Flags } from './v8-flags.ts';

const startMsMax = 30_000;

/**
 * When a thread's heap is full, Node grants it 16 MB more in which to end. Were
 * the young generation larger than that, V8 could end the process instead.
 */
const youngHeapMb = 12;

export interface WorkerThreadOptions<Incoming> {
  /** The file that the thread runs; its first message is a ReadyMessage. */
  readonly entry: URL;
  readonly name: string;
  readonly data: unknown;
  /** Parts of the data that are given away. */
  readonly transfer?: readonly Transferable[];
  readonly stackMb: number;
  /** JavaScript heap; no WebAssembly memory lies there. */
  readonly heapMb: number;
  readonly clock: Clock;
  onMessage(message: Incoming): void;
  /** The thread is gone. `cause` is what killed it, if anybody knows. */
  onEnd(cause: Error | undefined): void;
}

export class WorkerThread<Outgoing, Incoming> {
  /** Resolves when the thread is gone, whatever the cause. */
  readonly ended: Promise<void>;
  readonly #worker: Worker;

  private constructor(options: WorkerThreadOptions<Incoming>, onReady: () => void) {
    const worker = createWorker(options);
    const { promise, resolve } = Promise.withResolvers<void>();
    let cause: Error | undefined;
    worker.on('message', (message: Incoming | ReadyMessage) => {
      if ((message as ReadyMessage).type === 'ready') onReady();
      else options.onMessage(message as Incoming);
    });
    worker.on('error', (error) => {
      cause = error instanceof Error ? error : new Error(String(error));
    });
    worker.on('exit', () => {
      resolve();
      options.onEnd(cause);
    });
    this.#worker = worker;
    this.ended = promise;
  }

  /** Resolves when the thread is ready; rejects SANDBOX_UNAVAILABLE if it never is. */
  static async start<Outgoing, Incoming>(
    options: WorkerThreadOptions<Incoming>,
  ): Promise<WorkerThread<Outgoing, Incoming>> {
    setV8Flags();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let cause: Error | undefined;
    const onEnd = (error: Error | undefined): void => {
      cause = error;
      options.onEnd(error);
    };
    const thread = new WorkerThread<Outgoing, Incoming>({ ...options, onEnd }, resolve);
    const fail = (why: string): void =>
      reject(new ExecError('SANDBOX_UNAVAILABLE', `Cannot start thread "${options.name}": ${why}`, { cause }));
    using _timer = options.clock.after(startMsMax, () => fail('it was not ready in time'));
    void thread.ended.then(() => fail('it ended before it was ready'));
    try {
      await promise;
      return thread;
    } catch (error) {
      await thread.terminate();
      throw error;
    }
  }

  post(message: Outgoing, transfer: readonly Transferable[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  /** Ends the thread, whatever it is doing. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
    await this.ended;
  }
}

/** The two ends of a channel, none of which keeps its thread alive. */
export function messagePorts(): { readonly near: MessagePort; readonly far: MessagePort } {
  const { port1: near, port2: far } = new MessageChannel();
  near.unref();
  return { near, far };
}

/** Nothing of the process reaches the thread: no environment, no arguments, no standard streams. */
function createWorker({ entry, name, data, transfer = [], stackMb, heapMb }: WorkerThreadOptions<never>): Worker {
  const isTypeScript = entry.pathname.endsWith('.ts');
  const worker = new Worker(isTypeScript ? threadProgram(entry) : entry, {
    eval: isTypeScript,
    name,
    workerData: data,
    transferList: [...transfer],
    resourceLimits: {
      stackSizeMb: stackMb,
      maxOldGenerationSizeMb: heapMb,
      maxYoungGenerationSizeMb: youngHeapMb,
    },
    env: {},
    argv: [],
    execArgv: [],
    stdin: false,
    stdout: true,
    stderr: true,
  });
  // Unread streams would keep what is written to them.
  worker.stdout.resume();
  worker.stderr.resume();
  return worker;
}

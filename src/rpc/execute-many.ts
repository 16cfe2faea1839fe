/**
 * ExecuteMany: many executions over one stream, answered as they end. Owns the
 * window of one stream, by count and by bytes, in which also stands what has
 * ended but was not yet taken by the client.
 */

import type { MessageInitShape } from '@bufbuild/protobuf';
import { onAbort } from '../base/signals.ts';
import { boundedText } from '../base/text.ts';
import type { ExecuteManyRequest, ExecuteManyResponseSchema, ExecutionSchema } from '../gen/caisson/v1/execution_pb.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Action } from '../model/execution.ts';
import { fixedLimits } from '../model/limits.ts';
import { executionMessage, refusalMessage } from './convert-execution.ts';
import type { ExecutionApi } from './execution-api.ts';
import { actionOf } from './execution-requests.ts';
import { runToEnd } from './execution-runs.ts';
import type { CallContext } from './service-types.ts';
import { type FaultLog, refusalFor, shuttingDown } from './status.ts';
import { tenantOf } from './tenants.ts';

type Answer = MessageInitShape<typeof ExecuteManyResponseSchema>;
type ExecutionInit = MessageInitShape<typeof ExecutionSchema>;

interface ManyOptions {
  readonly executions: ExecutionApi;
  readonly faults: FaultLog;
  readonly context: CallContext;
  /** Has a request run by another process if it belongs there; undefined if it does not. */
  readonly elsewhere?: (request: ExecuteManyRequest) => Promise<ExecutionInit> | undefined;
}

/** Requests of one stream that are running, waiting, or answered but not taken. */
const windowMax = 64;
/** No further request is read while the inputs and outputs in the window are this large; one alone always fits. */
const windowBytesMax = 67_108_864;

/** Ends with what is in flight answered: after the client's last request, or with SHUTTING_DOWN when the server drains. */
export async function* executeMany(
  requests: AsyncIterable<ExecuteManyRequest>,
  options: ManyOptions,
): AsyncGenerator<Answer> {
  const { context } = options;
  // One tenant for the whole stream: a wrong one is no matter of a single request.
  tenantOf(context.metadata);
  const window = new RequestWindow();
  using _aborting = onAbort(context.signal, () => window.fail(context.signal.reason));
  using _draining = onAbort(context.draining, () => window.close());
  // Runs beside the answers and never rejects.
  void readAll(requests, window, options);
  for (;;) {
    const entry = await window.nextAnswered();
    if (!entry?.answer) break;
    yield entry.answer;
    window.release(entry);
  }
  if (!window.isComplete) throw shuttingDown();
}

async function readAll(
  requests: AsyncIterable<ExecuteManyRequest>,
  window: RequestWindow,
  options: ManyOptions,
): Promise<void> {
  try {
    const iterator = requests[Symbol.asyncIterator]();
    while (await window.room()) {
      const next = await iterator.next();
      if (next.done === true) return window.complete();
      void answer(next.value, window, options);
    }
  } catch (error) {
    window.fail(error);
  }
}

/** Never rejects: a refusal is an answer. */
async function answer(request: ExecuteManyRequest, window: RequestWindow, options: ManyOptions): Promise<void> {
  const requestId = boundedText(request.requestId, fixedLimits.requestIdLength);
  const entry: WindowEntry = { requestId, bytes: request.input.byteLength, first: !window.has(requestId) };
  window.admit(entry);
  try {
    const execution = await run(request, entry, options);
    const outputBytes = execution.output?.byteLength ?? 0;
    window.answer(entry, { requestId, result: { case: 'execution', value: execution } }, outputBytes);
  } catch (error) {
    const refusal = refusalMessage(refusalFor(error, options.context, options.faults));
    window.answer(entry, { requestId, result: { case: 'refusal', value: refusal } }, 0);
  }
}

function run(request: ExecuteManyRequest, entry: WindowEntry, options: ManyOptions): Promise<ExecutionInit> {
  const { context } = options;
  if (context.draining.aborted) throw shuttingDown();
  const action = actionOf(request, context.metadata, { requestIdRequired: true });
  if (!entry.first) throw inFlight();
  return options.elsewhere?.(request) ?? runHere(action, options);
}

async function runHere(action: Action, { executions, context }: ManyOptions): Promise<ExecutionInit> {
  return executionMessage(await runToEnd(executions, action, context), { withOutput: true });
}

function inFlight(): ExecError {
  const description = 'must be unlike that of any request of this stream that is not answered yet';
  return new ExecError('REQUEST_INVALID', `request_id: ${description}`, {
    violations: [{ field: 'request_id', description }],
  });
}

interface WindowEntry {
  readonly requestId: string;
  readonly bytes: number;
  /** False if another entry with this request_id stood in the window already. */
  readonly first: boolean;
  answer?: Answer;
  answerBytes?: number;
}

/** What one stream has in flight. One side reads and admits, the other takes answers and releases. */
class RequestWindow {
  readonly #ids = new Set<string>();
  readonly #answered: WindowEntry[] = [];
  #count = 0;
  #bytes = 0;
  #closed = false;
  #complete = false;
  #failure: { readonly error: unknown } | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;

  has(requestId: string): boolean {
    return this.#ids.has(requestId);
  }

  /** True when another request may be read, false when none shall be read any more. */
  async room(): Promise<boolean> {
    while (!this.#closed && !this.#failure && this.#full) {
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
    return !this.#closed && !this.#failure;
  }

  admit(entry: WindowEntry): void {
    this.#ids.add(entry.requestId);
    this.#count++;
    this.#bytes += entry.bytes;
  }

  answer(entry: WindowEntry, answer: Answer, answerBytes: number): void {
    entry.answer = answer;
    entry.answerBytes = answerBytes;
    this.#bytes += answerBytes;
    this.#answered.push(entry);
    this.#wakeWriter?.();
  }

  /** The next answered entry, in order of ending; undefined after the last one. Rejects with what the window failed with. */
  async nextAnswered(): Promise<WindowEntry | undefined> {
    for (;;) {
      if (this.#failure) throw this.#failure.error;
      const entry = this.#answered.shift();
      if (entry || (this.#closed && this.#count === 0)) return entry;
      await new Promise<void>((resolve) => {
        this.#wakeWriter = resolve;
      });
    }
  }

  /** Takes an entry that the client has taken out of the window. */
  release(entry: WindowEntry): void {
    if (entry.first) this.#ids.delete(entry.requestId);
    this.#count--;
    this.#bytes -= entry.bytes + (entry.answerBytes ?? 0);
    this.#wakeReader?.();
  }

  /** No further request will be admitted. */
  close(): void {
    this.#closed = true;
    this.#wakeBoth();
  }

  /** The client has sent its last request. */
  complete(): void {
    this.#complete = true;
    this.close();
  }

  get isComplete(): boolean {
    return this.#complete;
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wakeBoth();
  }

  get #full(): boolean {
    return this.#count >= windowMax || (this.#count > 0 && this.#bytes >= windowBytesMax);
  }

  #wakeBoth(): void {
    this.#wakeReader?.();
    this.#wakeWriter?.();
  }
}

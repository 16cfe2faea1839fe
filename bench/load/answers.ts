/** Whether an answer of ExecutionService is what it should be: a server that fails must not look fast. */

import { type GrpcStatus, okCode } from '../wire/grpc-status.ts';
import { bytesField, numberField } from '../wire/protobuf.ts';

/** Numbers of fields of caisson.v1. */
const responseExecution = 1;
const manyRequestId = 1;
const manyExecution = 2;
const executionOutcome = 2;
const executionOutput = 3;
const eventOfStream = 1;
const eventOutcome = 8;
const outcomeOk = 1;

/** Of so many answers one has its output compared, byte by byte. */
const sampledEvery = 16;

/** Counts failures and keeps the first one's words. */
export class AnswerCheck {
  failures = 0;
  failure: string | undefined;
  /** Bytes of all answers checked. */
  bytes = 0;
  readonly #output: Buffer | undefined;
  #answers = 0;

  constructor(output: string | undefined) {
    this.#output = output === undefined ? undefined : Buffer.from(output, 'base64');
  }

  /** Checks the message of an ExecuteResponse. */
  response(message: Buffer): void {
    this.bytes += message.length;
    this.#execution(bytesField(message, responseExecution));
  }

  /** Checks an ExecuteManyResponse and answers with its request_id. */
  manyResponse(message: Buffer): string {
    this.bytes += message.length;
    this.#execution(bytesField(message, manyExecution));
    return bytesField(message, manyRequestId)?.toString('latin1') ?? '';
  }

  /** Checks the last message of an event stream. */
  lastEvent(message: Buffer): void {
    const event = bytesField(message, eventOfStream);
    const execution = event && bytesField(event, eventOutcome);
    if (execution === undefined) this.fail('The last event is not the outcome');
    else this.#outcome(execution);
  }

  status({ code, message }: GrpcStatus): void {
    if (code !== okCode) this.fail(`Status ${code}: ${message}`);
  }

  fail(failure: string): void {
    this.failures++;
    this.failure ??= failure;
  }

  /** The counts as they stand in a result. */
  get summary(): { readonly failures: number; readonly failure?: string } {
    return { failures: this.failures, ...(this.failure !== undefined && { failure: this.failure }) };
  }

  #execution(execution: Buffer | undefined): void {
    if (execution === undefined) return this.fail('The answer has no execution');
    if (this.#answers++ % sampledEvery === 0 && this.#output !== undefined) {
      const output = bytesField(execution, executionOutput) ?? Buffer.alloc(0);
      if (!output.equals(this.#output)) return this.fail('The output is not the one expected');
    }
    this.#outcome(execution);
  }

  #outcome(execution: Buffer): void {
    const outcome = numberField(execution, executionOutcome);
    if (outcome !== outcomeOk) this.fail(`The outcome is ${outcome}`);
  }
}

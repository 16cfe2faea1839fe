/**
 * The thread's end of the bridge over which all host calls leave an instance:
 * answered here, or by the main thread, for which this thread waits.
 */

import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { type CallContext, RunStopped } from '../../capabilities/call-context.ts';
import type { LocalAnswers } from '../../capabilities/local/answers.ts';
import { answerCodes, type HostAnswer, type OperationName } from '../../model/operation.ts';
import type { ControlBlock } from '../control-block.ts';
import type { AnswerMessage, FromSandbox } from '../protocol.ts';
import type { FuelTank } from './fuel-tank.ts';

const decoder = new TextDecoder();

/** The run that asks. */
export interface AskingCall {
  readonly call: CallContext;
  readonly tank: FuelTank;
  readonly local: LocalAnswers;
}

export class HostCaller {
  readonly #control: ControlBlock;
  readonly #answers: MessagePort | undefined;
  readonly #post: (message: FromSandbox) => void;
  #asked = 0;

  /** Without a port nobody answers what the thread cannot. */
  constructor(options: {
    readonly control: ControlBlock;
    readonly answers: MessagePort | undefined;
    readonly post: (message: FromSandbox) => void;
  }) {
    this.#control = options.control;
    this.#answers = options.answers;
    this.#post = options.post;
  }

  /** The answer, once it is there. Throws RunStopped if the run shall not go on. */
  ask(operation: OperationName, request: Uint8Array, run: AskingCall): HostAnswer {
    const { call, tank, local } = run;
    const answer = local[operation]?.(request) ?? this.#askMain(operation, request, run);
    if (answer.fuel !== undefined && answer.fuel > 0) tank.charge(answer.fuel);
    if (answer.code === answerCodes.denied) {
      call.stop('NOT_GRANTED', decoder.decode(answer.payload));
      throw new RunStopped();
    }
    if (answer.code === answerCodes.failed) throw new Error(decoder.decode(answer.payload));
    return answer;
  }

  /** Waits until `ms` have passed; throws RunStopped if the run shall not go on. */
  sleep(ms: number, { call, tank }: AskingCall): void {
    const begin = call.clock.monotonic();
    this.#control.waitForStop(ms);
    tank.noteWait(call.clock.monotonic() - begin);
    if (this.#control.isStopRequested) this.#stop(tank);
  }

  #askMain(operation: OperationName, request: Uint8Array, run: AskingCall): HostAnswer {
    const { call, tank } = run;
    if (this.#answers === undefined) throw new Error(`Nobody answers "${operation}"`);
    const number = ++this.#asked;
    this.#control.expectAnswer();
    this.#post({ type: 'ask', number, operation, request, fuelLeft: tank.left });
    const begin = call.clock.monotonic();
    const isAnswered = this.#control.waitForAnswer();
    tank.noteWait(call.clock.monotonic() - begin);
    if (!isAnswered) this.#stop(tank);
    return this.#take(this.#answers, number);
  }

  /** Answers that came too late for earlier calls may lie before it. */
  #take(answers: MessagePort, number: number): HostAnswer {
    for (;;) {
      const received = receiveMessageOnPort(answers) as { readonly message: AnswerMessage } | undefined;
      if (received === undefined) throw new Error('An announced answer has not come');
      if (received.message.number === number) return received.message.answer;
    }
  }

  /** The guest traps at its next check of fuel; if it ends before, it has been stopped all the same. */
  #stop(tank: FuelTank): never {
    tank.stop();
    throw new RunStopped();
  }
}

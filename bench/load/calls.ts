/** The job "calls": a closed loop of unary calls. */

import { Connection } from '../wire/connection.ts';
import { grpcFrame } from '../wire/grpc-messages.ts';
import { AnswerCheck } from './answers.ts';
import type { CallsJob, CallsResult } from './jobs.ts';
import { Latencies } from './latencies.ts';

export async function runCalls(job: CallsJob): Promise<CallsResult> {
  const opening = Array.from({ length: job.connections }, () => Connection.open(job.address));
  const connections = await Promise.all(opening);
  const loop = new ClosedLoop(job);
  const begin = performance.now();
  await Promise.all(
    connections.flatMap((connection) => Array.from({ length: job.streams }, () => loop.work(connection))),
  );
  const seconds = (performance.now() - begin) / 1_000;
  for (const connection of connections) connection[Symbol.dispose]();
  return loop.result(seconds);
}

class ClosedLoop {
  readonly #path: string;
  readonly #frames: readonly Buffer[];
  readonly #countMax: number;
  readonly #endMs: number;
  readonly #check: AnswerCheck;
  readonly #latencies = new Latencies();
  #begun = 0;

  constructor({ path, messages, count = Infinity, ms = Infinity, output }: CallsJob) {
    this.#path = path;
    this.#frames = messages.map((message) => grpcFrame(Buffer.from(message, 'base64')));
    this.#countMax = count;
    this.#endMs = performance.now() + ms;
    this.#check = new AnswerCheck(output);
  }

  /** One worker: a call after the other. No promise for each call: what is measured is not the client. */
  work(connection: Connection): Promise<void> {
    return new Promise((resolve) => this.#next(connection, resolve));
  }

  result(seconds: number): CallsResult {
    const { count } = this.#latencies;
    const { bytes: answerBytes, summary } = this.#check;
    return { count, seconds, latencyUs: this.#latencies.quantiles(), answerBytes, ...summary };
  }

  #next(connection: Connection, resolve: () => void): void {
    const frame = this.#frames[this.#begun % this.#frames.length];
    if (frame === undefined || this.#begun >= this.#countMax || performance.now() >= this.#endMs) return resolve();
    this.#begun++;
    const check = this.#check;
    let answers = 0;
    const begin = performance.now();
    const stream = connection.begin(this.#path, {
      message: (message) => {
        answers++;
        check.response(message);
      },
      end: (status) => {
        this.#latencies.add(begin);
        check.status(status);
        if (answers !== 1 && status.code === 0) check.fail(`There are ${answers} answers`);
        // A connection that is lost fails every call at once, without end.
        if (check.failures > failuresMax) resolve();
        else this.#next(connection, resolve);
      },
    });
    stream.send(frame, true);
  }
}

/** After so many failures there is nothing to be measured. */
const failuresMax = 1_000;

/** The job "paced": an open loop, which sends at its rate whether or not the server keeps up. */

import { Connection } from '../wire/connection.ts';
import { grpcFrame } from '../wire/grpc-messages.ts';
import { okCode, resourceExhaustedCode } from '../wire/grpc-status.ts';
import { AnswerCheck } from './answers.ts';
import type { PacedJob, PacedResult } from './jobs.ts';
import { Latencies } from './latencies.ts';

/** How long answers may take after the last call was sent. */
const drainMsMax = 60_000;
const tickMs = 1;

export async function runPaced(job: PacedJob): Promise<PacedResult> {
  const opening = Array.from({ length: job.connections }, () => Connection.open(job.address));
  const connections = await Promise.all(opening);
  const loop = new OpenLoop(job, connections);
  const begin = performance.now();
  await loop.send();
  const seconds = (performance.now() - begin) / 1_000;
  await loop.drained();
  for (const connection of connections) connection[Symbol.dispose]();
  return loop.result(seconds);
}

class OpenLoop {
  readonly #job: PacedJob;
  readonly #connections: readonly Connection[];
  readonly #frame: Buffer;
  readonly #check: AnswerCheck;
  readonly #admitted = new Latencies();
  readonly #refused = new Latencies();
  #sent = 0;
  #open = 0;

  constructor(job: PacedJob, connections: readonly Connection[]) {
    this.#job = job;
    this.#connections = connections;
    this.#frame = grpcFrame(Buffer.from(job.message, 'base64'));
    this.#check = new AnswerCheck(job.output);
  }

  async send(): Promise<void> {
    const { perSecond, ms } = this.#job;
    const begin = performance.now();
    for (let elapsedMs = 0; elapsedMs < ms; elapsedMs = performance.now() - begin) {
      for (const due = Math.floor((elapsedMs * perSecond) / 1_000); this.#sent < due; ) this.#sendOne();
      await pause();
    }
  }

  async drained(): Promise<void> {
    const end = performance.now() + drainMsMax;
    while (this.#open > 0 && performance.now() < end) await pause();
    if (this.#open > 0) this.#check.fail(`${this.#open} calls were never answered`);
  }

  result(seconds: number): PacedResult {
    return {
      sent: this.#sent,
      seconds,
      admitted: this.#admitted.count,
      admittedUs: this.#admitted.quantiles(),
      refused: this.#refused.count,
      refusedUs: this.#refused.quantiles(),
      ...this.#check.summary,
    };
  }

  #sendOne(): void {
    const connection = this.#connections[this.#sent % this.#connections.length];
    if (connection === undefined) return;
    this.#sent++;
    this.#open++;
    const begin = performance.now();
    const stream = connection.begin(this.#job.path, {
      message: (message) => this.#check.response(message),
      end: (status) => {
        this.#open--;
        if (status.code === resourceExhaustedCode) this.#refused.add(begin);
        else if (status.code === okCode) this.#admitted.add(begin);
        else this.#check.status(status);
      },
    });
    stream.send(this.#frame, true);
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, tickMs));
}

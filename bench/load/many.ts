/** The job "many": executions over ExecuteMany, a window of them at a time. */

import { Connection } from '../wire/connection.ts';
import { grpcFrame } from '../wire/grpc-messages.ts';
import { varint } from '../wire/protobuf.ts';
import type { CallStream } from '../wire/stream.ts';
import { AnswerCheck } from './answers.ts';
import type { CallsResult, ManyJob } from './jobs.ts';
import { Latencies } from './latencies.ts';

/** Tag of ExecuteManyRequest.request_id. */
const requestIdTag = Buffer.of(6 * 8 + 2);

export async function runMany(job: ManyJob): Promise<CallsResult> {
  const opening = Array.from({ length: job.connections }, () => Connection.open(job.address));
  const connections = await Promise.all(opening);
  const check = new AnswerCheck(job.output);
  const latencies = new Latencies();
  const begin = performance.now();
  await Promise.all(connections.map((connection) => new ManyLoop(job, check, latencies).run(connection)));
  const seconds = (performance.now() - begin) / 1_000;
  for (const connection of connections) connection[Symbol.dispose]();
  const { bytes: answerBytes, summary } = check;
  return { count: latencies.count, seconds, latencyUs: latencies.quantiles(), answerBytes, ...summary };
}

/** One stream. A request whose answer came is sent again under the same name. */
class ManyLoop {
  readonly #job: ManyJob;
  readonly #check: AnswerCheck;
  readonly #latencies: Latencies;
  readonly #frames: ReadonlyMap<string, Buffer>;
  readonly #begunMs = new Map<string, number>();
  readonly #endMs: number;

  constructor(job: ManyJob, check: AnswerCheck, latencies: Latencies) {
    this.#job = job;
    this.#check = check;
    this.#latencies = latencies;
    this.#endMs = performance.now() + job.ms;
    const message = Buffer.from(job.message, 'base64');
    const ids = Array.from({ length: job.window }, (_, index) => `${index}`);
    this.#frames = new Map(ids.map((id) => [id, frameOf(message, id)]));
  }

  run(connection: Connection): Promise<void> {
    return new Promise((resolve) => {
      const stream = connection.begin(this.#job.path, {
        message: (message) => this.#answered(stream, this.#check.manyResponse(message)),
        end: (status) => {
          this.#check.status(status);
          if (this.#begunMs.size > 0) this.#check.fail(`${this.#begunMs.size} requests were not answered`);
          resolve();
        },
      });
      for (const id of this.#frames.keys()) this.#send(stream, id);
    });
  }

  #answered(stream: CallStream, id: string): void {
    const begunMs = this.#begunMs.get(id);
    if (begunMs === undefined) return this.#check.fail(`Nobody asked for "${id}"`);
    this.#begunMs.delete(id);
    this.#latencies.add(begunMs);
    if (performance.now() < this.#endMs) this.#send(stream, id);
    else if (this.#begunMs.size === 0) stream.finish();
  }

  #send(stream: CallStream, id: string): void {
    const frame = this.#frames.get(id);
    if (frame === undefined) return;
    this.#begunMs.set(id, performance.now());
    stream.send(frame);
  }
}

function frameOf(message: Buffer, id: string): Buffer {
  const text = Buffer.from(id, 'latin1');
  return grpcFrame(Buffer.concat([message, requestIdTag, varint(text.length), text]));
}

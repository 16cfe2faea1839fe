/** The job "events": how many messages of server streams one subscriber gets. */

import { Connection } from '../wire/connection.ts';
import { grpcFrame } from '../wire/grpc-messages.ts';
import { AnswerCheck } from './answers.ts';
import type { EventsJob, EventsResult } from './jobs.ts';

export async function runEvents(job: EventsJob): Promise<EventsResult> {
  using connection = await Connection.open(job.address);
  const frame = grpcFrame(Buffer.from(job.message, 'base64'));
  const counts = { streams: 0, events: 0, bytes: 0 };
  const check = new AnswerCheck(undefined);
  const begin = performance.now();
  const read = async (): Promise<void> => {
    while (performance.now() < begin + job.ms) await readStream(connection, job.path, frame, counts, check);
  };
  await Promise.all(Array.from({ length: job.streams }, read));
  return { ...counts, seconds: (performance.now() - begin) / 1_000, ...check.summary };
}

function readStream(
  connection: Connection,
  path: string,
  frame: Buffer,
  counts: { streams: number; events: number; bytes: number },
  check: AnswerCheck,
): Promise<void> {
  return new Promise((resolve) => {
    let last: Buffer = Buffer.alloc(0);
    const stream = connection.begin(path, {
      message: (message) => {
        counts.events++;
        counts.bytes += message.length;
        last = message;
      },
      end: (status) => {
        counts.streams++;
        check.status(status);
        check.lastEvent(last);
        resolve();
      },
    });
    stream.send(frame, true);
  });
}

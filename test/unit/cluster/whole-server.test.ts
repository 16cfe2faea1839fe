import { create } from '@bufbuild/protobuf';
import { expect, test } from 'vitest';
import { addedUp } from '../../../src/cluster/whole-server.ts';
import { GetServerInfoResponseSchema } from '../../../src/gen/caisson/v1/admin_pb.ts';

function infoOf(number: number, threads: number, waitMs: number) {
  const pool = {
    threads,
    idle: threads,
    waiting: 1,
    waitingMax: 100,
    waitP50: { nanos: waitMs * 1_000_000 },
    threadsStarted: BigInt(threads),
    refused: 3n,
    queues: [{ tenant: 'acme', waiting: 1, running: threads }],
    instances: [{ plugin: 'echo@1.0.0', prepared: 1, kept: 2, keptBytes: 10n }],
  };
  return create(GetServerInfoResponseSchema, {
    version: '1.2.3',
    nodeVersion: '24.0.0',
    startTime: { seconds: BigInt(100 - number) },
    pool,
    processes: [{ number, pid: 70 + number, pool }],
  });
}

test('What processes answer is added up, and their parts are listed by number', () => {
  const whole = create(GetServerInfoResponseSchema, addedUp([infoOf(1, 2, 5), infoOf(0, 3, 4)]));
  expect(whole).toMatchObject({
    version: '1.2.3',
    startTime: { seconds: 99n },
    pool: {
      threads: 5,
      idle: 5,
      busy: 0,
      waiting: 2,
      waitingMax: 200,
      waitP50: { nanos: 5_000_000 },
      threadsStarted: 5n,
      refused: 6n,
      queues: [{ tenant: 'acme', waiting: 2, running: 5 }],
      instances: [{ plugin: 'echo@1.0.0', prepared: 2, kept: 4, keptBytes: 20n }],
    },
    processes: [
      { number: 0, pid: 70, pool: { threads: 3 } },
      { number: 1, pid: 71, pool: { threads: 2 } },
    ],
  });
});

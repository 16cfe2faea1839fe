/** AdminService over a real connection, on facts that the tests make up. */

import { describe, expect, test } from 'vitest';
import { AdminService, type GetServerInfoResponse } from '../../../src/gen/caisson/v1/admin_pb.ts';
import { bindService } from '../../../src/rpc/adapter.ts';
import { adminServiceOf, type PoolFacts } from '../../../src/rpc/admin-service.ts';
import { startRpc } from '../../helpers/grpc.ts';

const empty: PoolFacts = {
  threads: 0,
  idle: 0,
  busy: 0,
  starting: 0,
  waiting: 0,
  waitingMax: 0,
  waitP50Ms: 0,
  waitP99Ms: 0,
  started: 0,
  recycled: 0,
  lost: 0,
  refused: 0,
  tenants: [],
  instances: [],
};

async function info(pool: Partial<PoolFacts>): Promise<GetServerInfoResponse> {
  const facts = { version: '1.2.3', nodeVersion: '24.0.0', startMs: 1_500, pool: () => ({ ...empty, ...pool }) };
  await using rpc = await startRpc([bindService(AdminService, adminServiceOf(facts))]);
  return await rpc.client(AdminService).getServerInfo({});
}

describe('GetServerInfo', () => {
  test('answers with versions, the time of the start and the pool as it stands', async () => {
    const answer = await info({
      threads: 3,
      idle: 1,
      busy: 2,
      starting: 4,
      waiting: 5,
      waitingMax: 6,
      waitP50Ms: 1.5,
      waitP99Ms: 2_000,
      started: 7,
      recycled: 8,
      lost: 9,
      refused: 10,
    });
    expect(answer).toMatchObject({
      version: '1.2.3',
      nodeVersion: '24.0.0',
      startTime: { seconds: 1n, nanos: 500_000_000 },
      pool: {
        threads: 3,
        idle: 1,
        busy: 2,
        starting: 4,
        waiting: 5,
        waitingMax: 6,
        waitP50: { seconds: 0n, nanos: 1_500_000 },
        waitP99: { seconds: 2n, nanos: 0 },
        threadsStarted: 7n,
        threadsRecycled: 8n,
        threadsLost: 9n,
        refused: 10n,
        queues: [],
        instances: [],
      },
    });
  });

  test('lists tenants by who waits most, and then by who runs most', async () => {
    const tenants = [
      { tenant: 'a', waiting: 0, running: 1 },
      { tenant: 'b', waiting: 0, running: 2 },
      { tenant: 'c', waiting: 3, running: 0 },
    ];
    const { pool } = await info({ tenants });
    expect(pool?.queues.map(({ tenant }) => tenant)).toEqual(['c', 'b', 'a']);
    expect(pool?.queues[1]).toMatchObject({ tenant: 'b', waiting: 0, running: 2 });
  });

  test('lists plugins by instances, and then by memory', async () => {
    const instances = [
      { plugin: 'a@1.0.0', prepared: 1, kept: 1, keptBytes: 10 },
      { plugin: 'b@1.0.0', prepared: 2, kept: 0, keptBytes: 20 },
      { plugin: 'c@1.0.0', prepared: 0, kept: 3, keptBytes: 5 },
    ];
    const { pool } = await info({ instances });
    expect(pool?.instances.map(({ plugin }) => plugin)).toEqual(['c@1.0.0', 'b@1.0.0', 'a@1.0.0']);
    expect(pool?.instances[0]).toMatchObject({ prepared: 0, kept: 3, keptBytes: 5n });
  });

  test('lists at most 100 tenants and 1,000 plugins', async () => {
    const tenantsOf = (count: number) =>
      Array.from({ length: count }, (_, at) => ({ tenant: `t${at}`, waiting: at, running: 0 }));
    const instancesOf = (count: number) =>
      Array.from({ length: count }, (_, at) => ({ plugin: `p${at}@1.0.0`, prepared: at, kept: 0, keptBytes: 0 }));
    const just = await info({ tenants: tenantsOf(100), instances: instancesOf(1_000) });
    expect([just.pool?.queues.length, just.pool?.instances.length]).toEqual([100, 1_000]);
    const over = await info({ tenants: tenantsOf(101), instances: instancesOf(1_001) });
    expect([over.pool?.queues.length, over.pool?.instances.length]).toEqual([100, 1_000]);
    expect(over.pool?.queues.at(-1)?.tenant).toBe('t1');
    expect(over.pool?.instances.at(-1)?.plugin).toBe('p1@1.0.0');
  });
});

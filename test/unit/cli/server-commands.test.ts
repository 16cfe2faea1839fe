import { create } from '@bufbuild/protobuf';
import { describe, expect, test } from 'vitest';
import { GetServerInfoResponseSchema } from '../../../src/gen/caisson/v1/admin_pb.ts';
import { runCli } from './harness.ts';

const info = create(GetServerInfoResponseSchema, {
  version: '1.2.3',
  nodeVersion: '24.0.0',
  startTime: { seconds: 1_700_000_000n },
  pool: {
    threads: 3,
    idle: 1,
    busy: 2,
    starting: 1,
    waiting: 5,
    waitingMax: 1_000,
    waitP50: { nanos: 1_500_000 },
    waitP99: { seconds: 2n },
    threadsStarted: 9n,
    threadsRecycled: 4n,
    threadsLost: 1n,
    refused: 6n,
    queues: [{ tenant: 'acme\u0007', waiting: 5, running: 2 }],
    instances: [{ plugin: 'echo@1.0.0', prepared: 2, kept: 1, keptBytes: 65_536n }],
  },
});

describe('server info', () => {
  test('prints facts and tables', async () => {
    const run = await runCli(['server', 'info'], { admin: { getServerInfo: () => Promise.resolve(info) } });
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(run.stdout.split('\n')).toEqual([
      'version:         1.2.3',
      'node:            24.0.0',
      'started:         2023-11-14T22:13:20.000Z',
      'threads:         3 (1 idle, 2 busy), 1 starting',
      'since the start: 9 started, 4 recycled, 1 lost',
      'waiting:         5 of at most 1000, 6 refused so far',
      'waits:           p50 1.50 ms, p99 2.00 s',
      '',
      'TENANT      WAITING  RUNNING',
      'acme\\u0007  5        2',
      '',
      'PLUGIN      PREPARED  KEPT  MEMORY',
      'echo@1.0.0  2         1     64.0 KiB',
      '',
    ]);
  });

  test('prints the processes of a server that has several', async () => {
    const processes = [
      { number: 0, pid: 71, leader: true, startTime: { seconds: 1_700_000_000n }, connections: 4, pool: info.pool },
      { number: 1, pid: 72, startTime: { seconds: 1_700_000_001n }, connections: 3, pool: { threads: 2 } },
    ];
    const several = create(GetServerInfoResponseSchema, { version: '1.2.3', pool: {}, processes });
    const run = await runCli(['server', 'info'], { admin: { getServerInfo: () => Promise.resolve(several) } });
    expect(run.stdout).toContain(
      [
        'PROCESS    PID  STARTED                   CONNECTIONS  BUSY',
        '0 (leads)  71   2023-11-14T22:13:20.000Z  4            2 of 3',
        '1          72   2023-11-14T22:13:21.000Z  3            0 of 2',
      ].join('\n'),
    );
  });

  test('leaves tables out that would be empty', async () => {
    const idle = create(GetServerInfoResponseSchema, { version: '1.2.3', pool: {} });
    const run = await runCli(['server', 'info'], { admin: { getServerInfo: () => Promise.resolve(idle) } });
    expect(run.stdout).not.toMatch(/PROCESS|TENANT|PLUGIN/);
  });

  test('prints JSON, also what is zero', async () => {
    const run = await runCli(['server', 'info', '--json'], {
      admin: { getServerInfo: () => Promise.resolve(create(GetServerInfoResponseSchema, { pool: {} })) },
    });
    expect(JSON.parse(run.stdout)).toMatchObject({ version: '', pool: { threads: 0, refused: '0', queues: [] } });
  });
});

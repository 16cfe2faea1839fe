/** What operators see and do: health, warming, the state of the server. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import { AdminService, type GetServerInfoResponse } from '../../src/gen/caisson/v1/admin_pb.ts';
import { Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import { PluginEventType, PluginHealthState, PluginState } from '../../src/gen/caisson/v1/plugin_pb.ts';
import { hello, spin } from '../helpers/guests.ts';
import { type Clients, clientsOf, publishWat, run } from '../helpers/plugins.ts';
import { startServer, type TestServer } from '../helpers/server.ts';

const trap = '(module (func (export "run") unreachable))';

let server: TestServer;
let clients: Clients;

beforeAll(async () => {
  server = await startServer({ examples: false, arguments: ['--threads-min', '2', '--threads-max', '2'] });
  clients = clientsOf(server.address);
});

afterAll(async () => {
  clients[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

async function serverInfo(): Promise<GetServerInfoResponse> {
  using admin = createClient(AdminService, server.address);
  return await admin.getServerInfo({});
}

describe('The health of a plugin', () => {
  test('gets worse with its traps and is told to watchers', async () => {
    await publishWat(clients, 'trap', trap);
    const seen: (PluginHealthState | undefined)[] = [];
    const watching = (async () => {
      for await (const { type, plugin } of clients.plugins.watchPlugins({ name: 'trap' })) {
        if (type === PluginEventType.EXISTING) seen.push(plugin?.health?.state);
        if (type === PluginEventType.HEALTH_CHANGED) seen.push(plugin?.health?.state);
        if (plugin?.health?.state === PluginHealthState.FAILED) break;
      }
    })();
    for (let at = 0; at < 10; at++) {
      expect((await run(clients, { plugin: 'trap', function: 'run' })).outcome).toBe(Outcome.TRAP);
    }
    await watching;
    expect(seen.filter((state) => state !== PluginHealthState.HEALTHY)).toEqual([
      PluginHealthState.DEGRADED,
      PluginHealthState.FAILED,
    ]);
    const { plugin } = await clients.plugins.getPlugin({ plugin: 'trap' });
    expect(plugin).toMatchObject({
      state: PluginState.RUNNING,
      health: { state: PluginHealthState.FAILED, reasons: ['10 of the last 10 runs trapped'] },
    });
  });

  test('is that of a running version only', async () => {
    await publishWat(clients, 'hello', hello);
    const { plugin } = await clients.plugins.getPlugin({ plugin: 'hello' });
    expect(plugin?.health).toMatchObject({ state: PluginHealthState.HEALTHY, reasons: [] });
    const stopped = await clients.plugins.stopPlugin({ plugin: 'hello@1.0.0' });
    expect(stopped.plugin?.health).toBeUndefined();
  });
});

describe('WarmPlugin', () => {
  test('starts a version and keeps instances of it ready, which GetServerInfo shows', async () => {
    await publishWat(clients, 'warm', hello, { version: '2.0.0' });
    const plugin = 'warm@2.0.0';
    await clients.plugins.stopPlugin({ plugin });
    const warmed = await clients.plugins.warmPlugin({ plugin });
    expect(warmed.plugin?.state).toBe(PluginState.RUNNING);
    expect(warmed.threads).toBeGreaterThanOrEqual(1);
    expect(warmed.instances).toBeGreaterThanOrEqual(1);
    const { pool } = await serverInfo();
    const shown = pool?.instances.find((one) => one.plugin.split(', ').includes(plugin));
    expect(shown?.prepared).toBeGreaterThanOrEqual(1);
  });

  test('refuses a retired version', async () => {
    await publishWat(clients, 'gone', hello, { version: '3.0.0' });
    const plugin = 'gone@3.0.0';
    await clients.plugins.retirePlugin({ plugin });
    await expect(clients.plugins.warmPlugin({ plugin })).rejects.toMatchObject({ reason: 'PLUGIN_STATE' });
  });
});

describe('GetServerInfo', () => {
  test('tells versions, threads and who runs', async () => {
    await publishWat(clients, 'spin', spin);
    using acme = clientsOf(server.address, 'acme');
    const call = run(acme, { plugin: 'spin', function: 'run', limits: { timeout: { seconds: 2n } } });
    let info = await serverInfo();
    while (info.pool?.busy === 0) info = await serverInfo();
    expect(info.nodeVersion).toBe(process.versions.node);
    expect(info.startTime).toBeDefined();
    expect(info.pool).toMatchObject({ waiting: 0, waitingMax: 1_000, refused: 0n });
    expect(info.pool?.threads).toBe((info.pool?.idle ?? 0) + (info.pool?.busy ?? 0));
    expect(info.pool?.queues).toMatchObject([{ tenant: 'acme', waiting: 0, running: 1 }]);
    expect((await call).outcome).toBe(Outcome.TIMED_OUT);
  });
});

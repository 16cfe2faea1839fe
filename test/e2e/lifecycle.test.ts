/** Plugins and the server over their lives: states, restarts, shutdown. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import { Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import { PluginEventType, PluginState } from '../../src/gen/caisson/v1/plugin_pb.ts';
import { Health, HealthCheckResponse_ServingStatus } from '../../src/gen/grpc/health/v1/health_pb.ts';
import { hello, nop, spin } from '../helpers/guests.ts';
import { clientsOf, publishWat, run } from '../helpers/plugins.ts';
import { startServer } from '../helpers/server.ts';

describe('A plugin', () => {
  test('is refused while stopped, runs when started, and is gone when deleted', async () => {
    await using server = await startServer({ examples: false });
    using clients = clientsOf(server.address);
    await publishWat(clients, 'hello', hello);
    const reference = { plugin: 'hello@1.0.0' };
    await expect(clients.plugins.deletePlugin(reference)).rejects.toMatchObject({ codeName: 'FAILED_PRECONDITION' });
    expect((await clients.plugins.stopPlugin(reference)).plugin?.state).toBe(PluginState.STOPPED);
    await expect(run(clients, { ...reference, function: 'run' })).rejects.toMatchObject({
      codeName: 'FAILED_PRECONDITION',
      reason: 'PLUGIN_NOT_RUNNING',
    });
    expect((await clients.plugins.startPlugin(reference)).plugin?.state).toBe(PluginState.RUNNING);
    expect((await run(clients, { ...reference, function: 'run' })).outcome).toBe(Outcome.OK);
    await clients.plugins.stopPlugin(reference);
    await clients.plugins.deletePlugin(reference);
    await expect(clients.plugins.getPlugin(reference)).rejects.toMatchObject({ codeName: 'NOT_FOUND' });
  });

  test('named without a version is the highest one that runs', async () => {
    await using server = await startServer({ examples: false });
    using clients = clientsOf(server.address);
    for (const version of ['1.2.0', '1.10.0', '2.0.0-beta.1']) await publishWat(clients, 'hello', hello, { version });
    const versionThatRuns = async (): Promise<string> =>
      (await run(clients, { plugin: 'hello', function: 'run' })).plugin;
    expect(await versionThatRuns()).toBe('hello@1.10.0');
    await clients.plugins.stopPlugin({ plugin: 'hello@1.10.0' });
    expect(await versionThatRuns()).toBe('hello@1.2.0');
    await clients.plugins.retirePlugin({ plugin: 'hello@1.2.0' });
    expect(await versionThatRuns()).toBe('hello@2.0.0-beta.1');
  });

  test('tells watchers what happens to it', async () => {
    await using server = await startServer({ examples: false });
    using clients = clientsOf(server.address);
    await publishWat(clients, 'old', nop);
    const seen: (readonly [PluginEventType, string | undefined])[] = [];
    for await (const { type, plugin } of clients.plugins.watchPlugins({})) {
      seen.push([type, plugin?.name]);
      if (type === PluginEventType.SYNCED) void publishWat(clients, 'new', nop);
      if (plugin?.name === 'new' && plugin.state === PluginState.RUNNING) break;
    }
    expect(seen.slice(0, 3)).toEqual([
      [PluginEventType.EXISTING, 'old'],
      [PluginEventType.SYNCED, undefined],
      [PluginEventType.PUBLISHED, 'new'],
    ]);
  });
});

describe('The server', () => {
  test('has every plugin in its state again after a restart', async () => {
    const dataDirectory = mkdtempSync(join(tmpdir(), 'caisson-restart-'));
    try {
      {
        await using server = await startServer({ examples: false, dataDirectory });
        using clients = clientsOf(server.address);
        await publishWat(clients, 'hello', hello);
        await publishWat(clients, 'quiet', nop);
        await clients.plugins.stopPlugin({ plugin: 'quiet@1.0.0' });
      }
      await using server = await startServer({ examples: false, dataDirectory });
      using clients = clientsOf(server.address);
      expect((await run(clients, { plugin: 'hello', function: 'run' })).outcome).toBe(Outcome.OK);
      await expect(run(clients, { plugin: 'quiet', function: 'run' })).rejects.toMatchObject({
        reason: 'PLUGIN_NOT_RUNNING',
      });
    } finally {
      rmSync(dataDirectory, { recursive: true, force: true });
    }
  });

  test('lets a running call end within the grace, refuses new ones, tells watchers, and exits with 0', async () => {
    const server = await startServer({ examples: false, arguments: ['--grace-seconds', '5'] });
    using clients = clientsOf(server.address);
    using health = createClient(Health, server.address);
    await publishWat(clients, 'spin', spin);
    const statuses: HealthCheckResponse_ServingStatus[] = [];
    const watching = (async () => {
      for await (const { status } of health.watch({})) statuses.push(status);
    })();
    watching.catch(() => {});
    const call = run(clients, { plugin: 'spin', function: 'run', limits: { timeout: { seconds: 1n } } });
    call.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 300));
    const stopped = server.stop();
    expect((await call).outcome).toBe(Outcome.TIMED_OUT);
    expect(await stopped).toBe(0);
    await expect(watching).rejects.toMatchObject({ codeName: 'UNAVAILABLE' });
    expect(statuses).toEqual([
      HealthCheckResponse_ServingStatus.SERVING,
      HealthCheckResponse_ServingStatus.NOT_SERVING,
    ]);
    await server[Symbol.asyncDispose]();
  });

  test('stops what outlasts the grace with UNAVAILABLE', async () => {
    const server = await startServer({ examples: false, arguments: ['--grace-seconds', '0'] });
    using clients = clientsOf(server.address);
    await publishWat(clients, 'spin', spin);
    const call = run(clients, { plugin: 'spin', function: 'run' });
    call.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 300));
    const stopped = server.stop();
    await expect(call).rejects.toMatchObject({ codeName: 'UNAVAILABLE', reason: 'SHUTTING_DOWN' });
    expect(await stopped).toBe(0);
    await server[Symbol.asyncDispose]();
  });

  test('answers health and readiness over HTTP', async () => {
    await using server = await startServer({ examples: false });
    const status = async (path: string): Promise<number> =>
      (await fetch(`http://${server.adminAddress}${path}`)).status;
    expect([await status('/healthz'), await status('/readyz'), await status('/nowhere')]).toEqual([200, 200, 404]);
  });

  test('refuses a data directory that another server holds', async () => {
    const dataDirectory = mkdtempSync(join(tmpdir(), 'caisson-held-'));
    try {
      await using _holder = await startServer({ examples: false, dataDirectory });
      await expect(startServer({ examples: false, dataDirectory })).rejects.toThrow(/data directory/i);
    } finally {
      rmSync(dataDirectory, { recursive: true, force: true });
    }
  });
});

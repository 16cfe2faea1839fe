/** Connections that somebody else has accepted and hands to a server. */

import { createServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { createClient } from '../../../src/client/client.ts';
import { PluginService } from '../../../src/gen/caisson/v1/plugin_pb.ts';
import { bindService } from '../../../src/rpc/adapter.ts';
import type { ServiceImplementation } from '../../../src/rpc/service-types.ts';
import { rejection, startRpc, until } from '../../helpers/grpc.ts';

type Plugins = ServiceImplementation<typeof PluginService>;

async function handing(implementation: Partial<Plugins>) {
  const rpc = await startRpc([bindService(PluginService, implementation as Plugins)], { addresses: [] });
  const sockets = new Set<Socket>();
  const door = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    rpc.server.serve(socket);
  });
  await new Promise<void>((resolve) => door.listen(0, '127.0.0.1', resolve));
  const { port } = door.address() as { port: number };
  const client = createClient(PluginService, `127.0.0.1:${port}`);
  return {
    rpc,
    client,
    sockets,
    async [Symbol.asyncDispose]() {
      door.close();
      client[Symbol.dispose]();
      await rpc[Symbol.asyncDispose]();
    },
  };
}

describe('A connection that is handed to a server', () => {
  test('is served as one that the server has accepted', async () => {
    await using served = await handing({ getPlugin: ({ plugin }) => ({ plugin: { name: plugin } }) });
    expect((await served.client.getPlugin({ plugin: 'echo' })).plugin?.name).toBe('echo');
    expect(served.sockets.size).toBe(1);
  });

  test('stays at a shutdown until its calls have ended, within the grace', async () => {
    const going = Promise.withResolvers<void>();
    let hasBegun = false;
    await using served = await handing({
      async getPlugin() {
        hasBegun = true;
        await going.promise;
        return { plugin: { name: 'late' } };
      },
    });
    const call = served.client.getPlugin({});
    await until(() => hasBegun);
    const shutdown = served.rpc.server.shutdown({ graceMs: 20_000 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(served.sockets.size).toBe(1);
    going.resolve();
    expect((await call).plugin?.name).toBe('late');
    await shutdown;
    await until(() => served.sockets.size === 0);
  });

  test('is closed at the end of the grace', async () => {
    let hasBegun = false;
    await using served = await handing({
      async getPlugin(_request, { signal }) {
        hasBegun = true;
        return await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
      },
    });
    const call = rejection(served.client.getPlugin({}));
    await until(() => hasBegun);
    await served.rpc.server.shutdown({ graceMs: 10 });
    expect(await call).toMatchObject({ codeName: 'UNAVAILABLE' });
    await until(() => served.sockets.size === 0);
  });
});

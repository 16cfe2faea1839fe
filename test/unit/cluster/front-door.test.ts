import { statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FrontDoor } from '../../../src/cluster/front-door.ts';
import { MemoryLog } from '../plugins/fakes.ts';
import { socketDirectory } from './pairs.ts';

const loopback = { host: '127.0.0.1', port: 0 };

function client(address: string): Socket {
  const path = address.startsWith('unix:') ? address.slice('unix:'.length) : undefined;
  const socket = path === undefined ? connect(Number(address.split(':').at(-1)), '127.0.0.1') : connect(path);
  socket.on('error', () => {});
  return socket;
}

describe('FrontDoor', () => {
  test('hands each connection on with nothing of it read', async () => {
    await using directory = await socketDirectory();
    const path = join(directory.path, 'door.sock');
    const taken = [Promise.withResolvers<Socket>(), Promise.withResolvers<Socket>()];
    let count = 0;
    using door = await FrontDoor.open({
      places: [loopback, { path }],
      log: new MemoryLog(),
      take: (connection) => taken[count++]?.resolve(connection),
    });
    expect(door.addresses).toEqual([expect.stringMatching(/^127\.0\.0\.1:[1-9]\d*$/), `unix:${path}`]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    for (const [index, address] of door.addresses.entries()) {
      const socket = client(address);
      socket.write('hello');
      const connection = await taken[index]?.promise;
      expect(connection?.bytesRead).toBe(0);
      const read = new Promise((resolve) => connection?.once('data', (bytes: Buffer) => resolve(bytes.toString())));
      connection?.resume();
      expect(await read).toBe('hello');
      connection?.destroy();
      socket.destroy();
    }
  });

  test('takes no connection once disposed, whoever is still connected', async () => {
    const taken = Promise.withResolvers<Socket>();
    const door = await FrontDoor.open({ places: [loopback], log: new MemoryLog(), take: taken.resolve });
    const [address = ''] = door.addresses;
    const socket = client(address);
    const connection = await taken.promise;
    door[Symbol.dispose]();
    door[Symbol.dispose]();
    const refused = client(address);
    expect(
      await new Promise((resolve) => refused.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))),
    ).toBe('ECONNREFUSED');
    expect(connection.destroyed).toBe(false);
    connection.destroy();
    socket.destroy();
  });

  test('opens all places or none, and names the one that it cannot open', async () => {
    const log = new MemoryLog();
    const place = { places: [loopback], log, take: () => {} };
    using other = await FrontDoor.open(place);
    const port = Number(other.addresses[0]?.split(':').at(-1));
    const opening = FrontDoor.open({ ...place, places: [loopback, { host: '127.0.0.1', port }] });
    await expect(opening).rejects.toThrow(`Cannot listen on "127.0.0.1:${port}"`);
  });
});

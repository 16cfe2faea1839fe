/** Two connected sockets, and a directory for sockets, for tests of what processes tell each other. */

import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SocketDirectory extends AsyncDisposable {
  readonly path: string;
}

/** Gone at the end. */
export async function socketDirectory(): Promise<SocketDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'caisson-s-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Both ends of one connection; destroyed at the end. */
export async function socketPair(): Promise<AsyncDisposable & { readonly one: Socket; readonly other: Socket }> {
  const directory = await socketDirectory();
  const server = createServer();
  const path = join(directory.path, 'pair.sock');
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const one = connect(path);
  const other = await accepted;
  return {
    one,
    other,
    async [Symbol.asyncDispose]() {
      one.destroy();
      other.destroy();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
      await directory[Symbol.asyncDispose]();
    },
  };
}

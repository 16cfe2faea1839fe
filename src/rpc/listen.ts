/**
 * Where a server listens: "host:port" or "unix:/path". Owns what must be known
 * about addresses and what must be done around a Unix socket's file.
 */

import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { type Server, ServerCredentials } from '@grpc/grpc-js';
import { isLoopbackHost } from '../base/loopback.ts';
import { ExecError } from '../model/exec-error.ts';

const unixScheme = 'unix:';
/** Only its owner may connect to a socket. */
export const socketMode = 0o600;

/** Whether only programs of this machine can reach the address. Anything doubtful is not. */
export function isLoopback(address: string): boolean {
  if (address.startsWith(unixScheme)) return true;
  const host = hostOf(address);
  return host !== undefined && isLoopbackHost(host);
}

/** Binds one address and answers with it as it really is, a port of 0 replaced. Throws INTERNAL naming the address. */
export async function listen(server: Server, address: string): Promise<string> {
  const path = socketPath(address);
  if (path !== undefined) await removeStaleSocket(path);
  const port = await bind(server, address);
  if (path === undefined) return address.replace(/:\d+$/, `:${port}`);
  // Until here the file has the mode that the process's umask leaves; connecting
  // needs the right to write, which the usual umask leaves to the owner only.
  await chmod(path, socketMode);
  return address;
}

function hostOf(address: string): string | undefined {
  return /^\[([^\]]+)\]:\d+$/.exec(address)?.[1] ?? /^([^:]+):\d+$/.exec(address)?.[1];
}

function socketPath(address: string): string | undefined {
  return address.startsWith(unixScheme) ? address.slice(unixScheme.length).replace(/^\/\/(?=\/)/, '') : undefined;
}

function bind(server: Server, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(new ExecError('INTERNAL', `Cannot listen on "${address}": ${error.message}`, { cause: error }));
      else resolve(port);
    });
  });
}

/** Removes a socket that a server left behind when it was killed; one that somebody listens on stays. */
export async function removeStaleSocket(path: string): Promise<void> {
  const entry = await lstat(path).catch(() => undefined);
  if (entry?.isSocket() === true && !(await answers(path))) await unlink(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}

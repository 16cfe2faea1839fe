/** One worker process as the supervisor sees it: messages, connections, its end. Knows nothing of when it is started. */

import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import type { FromWorker, ToWorker } from './process-messages.ts';

/** A process that was started and will end. */
export interface SupervisedProcess<Start> {
  readonly pid: number;
  /** Told of every message; to be set before the first can come. */
  onMessage: (message: FromWorker) => void;
  /** Rejects if the process cannot be reached; the connection, if one was given, is still the caller's then. */
  send(message: ToWorker<Start>, connection?: Socket): Promise<void>;
  /** How it ended: "exit 1", "signal SIGKILL". */
  readonly ended: Promise<string>;
  /** Ends it at once. */
  kill(): void;
}

/** Starts a process that runs the module. Its output is the supervisor's. */
export function forkProcess<Start>(module: URL): SupervisedProcess<Start> {
  const child = fork(module, [], {
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // One port of a debugger cannot be opened by several.
    execArgv: process.execArgv.filter((word) => !word.startsWith('--inspect')),
  });
  const supervised: SupervisedProcess<Start> = {
    pid: child.pid ?? 0,
    onMessage: () => {},
    send: (message, connection) => send(child, message, connection),
    ended: endOf(child),
    kill: () => void child.kill('SIGKILL'),
  };
  child.on('message', (message) => supervised.onMessage(message as FromWorker));
  return supervised;
}

function send<Start>(child: ChildProcess, message: ToWorker<Start>, connection: Socket | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (!child.connected) return reject(new Error('The process has no channel any more'));
    child.send(message, connection, { keepOpen: false }, (error) => (error ? reject(error) : resolve()));
  });
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(signal === null ? `exit ${code}` : `signal ${signal}`));
    child.on('error', (error) => {
      if (child.pid === undefined) resolve(error.message);
    });
  });
}

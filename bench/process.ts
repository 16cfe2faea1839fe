/** Child processes of a benchmark: servers that say when they are ready, and load from outside of them. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { LoadResult } from './load.ts';

const execFilePromise = promisify(execFile);
const readyMsMax = 60_000;

export interface BenchServer extends AsyncDisposable {
  readonly address: string;
  /** User and system time of the process so far. */
  cpuSeconds(): number;
}

/** Starts a server that prints `… ready grpc=HOST:PORT`. */
export async function startServer(words: readonly string[]): Promise<BenchServer> {
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  const address = await readyAddress(child);
  return {
    address,
    cpuSeconds: () => cpuSecondsOf(child.pid ?? 0),
    async [Symbol.asyncDispose]() {
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await exited;
    },
  };
}

function readyAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('The server did not become ready')), readyMsMax);
    let printed = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      const address = /ready grpc=(\S+)/.exec(printed)?.[1];
      if (address === undefined) return;
      clearTimeout(timer);
      resolve(address);
    });
  });
}

const ticksPerSecond = 100;

function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

export interface Load {
  readonly path: string;
  /** One message of the request, without its frame. */
  readonly message: Uint8Array;
  readonly count: number;
  readonly connections: number;
  readonly streams: number;
}

/** Sends unary calls from a process of its own. */
export async function load(
  server: BenchServer,
  options: Load,
): Promise<LoadResult & { readonly cpuUsPerCall: number }> {
  const frame = Buffer.alloc(5 + options.message.length);
  frame.writeUInt32BE(options.message.length, 1);
  frame.set(options.message, 5);
  const { count, connections, streams } = options;
  const before = server.cpuSeconds();
  const words = [join(import.meta.dirname, 'load.ts'), server.address, options.path, frame.toString('hex')];
  const { stdout } = await execFilePromise(process.execPath, [...words, `${count}`, `${connections}`, `${streams}`]);
  const result = JSON.parse(stdout) as LoadResult;
  if (result.failures > 0) throw new Error(`${result.failures} of ${count} calls failed`);
  return { ...result, cpuUsPerCall: ((server.cpuSeconds() - before) * 1e6) / count };
}

/**
 * Starts the real server as a process of its own on free loopback ports, with a
 * data directory of its own; the disposal ends it with SIGTERM and fails if it
 * does not end with exit code 0.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../..');
export const examplesBuild = join(root, 'plugins-examples/build');

export interface ServerOptions {
  /** Further words of `caisson serve`. */
  readonly arguments?: readonly string[];
  /** Publish the example plugins at start; default true. */
  readonly examples?: boolean;
  readonly dataDirectory?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

export interface TestServer extends AsyncDisposable {
  /** host:port of gRPC. */
  readonly address: string;
  /** host:port of the admin listener. */
  readonly adminAddress: string;
  readonly process: ChildProcess;
  readonly dataDirectory: string;
  /** Resident bytes of the server's process. */
  residentBytes(): number;
  /** What the server has logged so far. */
  log(): string;
  /** Ends it with SIGTERM and answers with the exit code. */
  stop(): Promise<number | null>;
}

const readyForm = /^caisson ready grpc=(\S+) admin=(\S+)$/m;
const startMsMax = 60_000;
const stopMsMax = 30_000;

export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const dataDirectory = options.dataDirectory ?? mkdtempSync(join(tmpdir(), 'caisson-e2e-'));
  const publish = options.examples === false ? [] : ['--publish', examplesBuild];
  const words = ['serve', '--grpc', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--data-dir', dataDirectory, ...publish];
  const child = spawn(process.execPath, [join(root, 'src/main.ts'), ...words, ...(options.arguments ?? [])], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.environment },
  });
  let logged = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    logged += text;
  });
  const exited = new Promise<number | null>((done) => child.once('exit', (code) => done(code)));
  const [, address = '', adminAddress = ''] = await readyLine(child, () => logged);
  const stop = async (): Promise<number | null> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), stopMsMax);
    const code = await exited;
    clearTimeout(timer);
    return code;
  };
  return {
    address,
    adminAddress,
    process: child,
    dataDirectory,
    residentBytes: () => residentBytesOf(child.pid ?? 0),
    log: () => logged,
    stop,
    async [Symbol.asyncDispose]() {
      const running = child.exitCode === null && child.signalCode === null;
      const code = await stop();
      if (options.dataDirectory === undefined) rmSync(dataDirectory, { recursive: true, force: true });
      if (running && code !== 0)
        throw new Error(`The server ended with ${code ?? 'a signal'}:\n${logged.slice(-4_000)}`);
    },
  };
}

export function residentBytesOf(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? Number.NaN) * 1_024;
}

function readyLine(child: ChildProcess, logged: () => string): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    let printed = '';
    const fail = (why: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(new Error(`The server did not become ready (${why}):\n${printed}\n${logged()}`));
    };
    const timer = setTimeout(() => fail(`after ${startMsMax} ms`), startMsMax);
    const onExit = (code: number | null): void => fail(`exit ${code ?? 'by signal'}`);
    child.once('exit', onExit);
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
      const match = readyForm.exec(printed);
      if (!match) return;
      clearTimeout(timer);
      child.off('exit', onExit);
      resolve(match);
    });
  });
}

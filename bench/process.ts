/** Child processes of a benchmark: servers that say when they are ready, and what they cost. */

import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

const readyMsMax = 60_000;
/** How long a server may take to end before it is killed. */
const farewellMsMax = 5_000;

export interface BenchServer extends AsyncDisposable {
  /** "host:port" of gRPC. */
  readonly address: string;
  /** CPU time of each thread so far; of threads of one name together, those of child processes included. */
  cpuUs(): ReadonlyMap<string, number>;
  /** Resident memory, that of child processes included. */
  rssBytes(): number;
}

/** Those that run: none outlives a benchmark that broke off. */
const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Starts a program that prints `… ready grpc=HOST:PORT`. Throws what it said if it does not. */
export async function startServer(program: string, words: readonly string[]): Promise<BenchServer> {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  const address = await readyAddress(child);
  const pid = child.pid ?? 0;
  return {
    address,
    cpuUs: () => cpuUsOf(family(pid)),
    rssBytes: () => sumOf(family(pid).map(rssBytesOf)),
    [Symbol.asyncDispose]: () => endChild(child),
  };
}

function readyAddress(child: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let printed = '';
  let complaint = '';
  const give = (why: string): void => reject(new Error(`The server ${why}: ${complaint.trim().slice(-500)}`));
  const timer = setTimeout(() => give('did not become ready'), readyMsMax);
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-2_000)));
  child.once('error', (error) => reject(error));
  child.once('exit', (code) => give(`ended with code ${code}`));
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    printed = (printed + text).slice(-2_000);
    const address = /ready grpc=(\S+)/.exec(printed)?.[1];
    if (address !== undefined) resolve(address);
  });
  return promise.finally(() => clearTimeout(timer));
}

/** Asks a child to end, and kills it if it does not. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const timer = setTimeout(() => child.kill('SIGKILL'), farewellMsMax);
  child.kill('SIGTERM');
  await ended;
  clearTimeout(timer);
}

function rssBytesOf(pid: number): number {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kibibytes) * 1_024;
}

/** A process and its children, and theirs. */
function family(pid: number): readonly number[] {
  const children = threadsOf(pid).flatMap((folder) => readOr(`${folder}/children`, '').split(' '));
  return [pid, ...children.filter((child) => child !== '').flatMap((child) => family(Number(child)))];
}

function threadsOf(pid: number): readonly string[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}`);
}

/** What a file says; threads and processes may end while they are looked at. */
function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}

function cpuUsOf(pids: readonly number[]): ReadonlyMap<string, number> {
  const byName = new Map<string, number>();
  for (const folder of pids.flatMap(threadsOf)) {
    const name = readOr(`${folder}/comm`, 'ended').trim();
    byName.set(name, (byName.get(name) ?? 0) + threadCpuUs(folder));
  }
  return byName;
}

const usPerTick = 10_000;

/** In nanoseconds where the kernel keeps them, else in its ticks of 10 ms. */
function threadCpuUs(folder: string): number {
  const nanoseconds = readOr(`${folder}/schedstat`, '').split(' ')[0] ?? '';
  if (nanoseconds !== '') return Number(nanoseconds) / 1_000;
  const fields = readOr(`${folder}/stat`, '').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * usPerTick;
}

/** What passed between two looks at the threads of a server, by thread. */
export function cpuUsBetween(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  return new Map([...after].map(([name, us]) => [name, Math.max(0, us - (before.get(name) ?? 0))]));
}

export function sumOf(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}

/**
 * h2load (Debian package nghttp2-client), which makes load at a fraction of what
 * any server here costs. It knows nothing of gRPC: whether answers are whole is
 * seen by the bytes that came.
 */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execFilePromise = promisify(execFile);

export interface H2LoadOptions {
  readonly address: string;
  readonly path: string;
  /** File with the body of a request: a gRPC frame. */
  readonly bodyFile: string;
  readonly calls: number;
  readonly connections: number;
  /** Calls in flight on each connection. */
  readonly streams: number;
}

export interface H2LoadResult {
  readonly callsPerSecond: number;
  readonly calls: number;
  /** Calls that did not end with status 200 of HTTP. */
  readonly failures: number;
  /** Bytes of bodies that came. */
  readonly dataBytes: number;
}

/** Its version; undefined if it is not installed. */
export async function h2loadVersion(): Promise<string | undefined> {
  try {
    const { stdout } = await execFilePromise('h2load', ['--version']);
    return /nghttp2\/(\S+)/.exec(stdout)?.[1] ?? stdout.trim();
  } catch {
    return undefined;
  }
}

export async function runH2Load(options: H2LoadOptions): Promise<H2LoadResult> {
  const { address, path, bodyFile, calls, connections, streams } = options;
  const numbers = ['-n', calls, '-c', Math.min(connections, calls), '-m', streams, '-t', 1].map(String);
  const headers = ['-H', 'content-type: application/grpc', '-H', 'te: trailers'];
  const words = [...numbers, ...headers, '-d', bodyFile, `http://${address}${path}`];
  const { stdout } = await execFilePromise('h2load', words);
  return readH2Load(stdout);
}

const perSecond = /^finished in [^,]+, ([\d.]+) req\/s/m;
const requests = /^requests: (\d+) total, .* (\d+) done, (\d+) succeeded/m;
const data = /^traffic: .* \((\d+)\) data$/m;

/** Reads what it printed. Throws if that is not understood. */
export function readH2Load(text: string): H2LoadResult {
  const rate = perSecond.exec(text)?.[1];
  const [, total, , succeeded] = requests.exec(text) ?? [];
  const bytes = data.exec(text)?.[1];
  if (rate === undefined || total === undefined || bytes === undefined)
    throw new Error(`h2load printed something else:\n${text}`);
  return {
    callsPerSecond: Number(rate),
    calls: Number(total),
    failures: Number(total) - Number(succeeded),
    dataBytes: Number(bytes),
  };
}

/**
 * A load generator that speaks raw gRPC frames over node:http2, run as a process
 * of its own: `node load.ts ADDRESS PATH FRAME_HEX COUNT CONNECTIONS STREAMS`.
 * It is several times cheaper than a gRPC client library, so that the server is
 * what is measured. Prints one JSON line with calls a second and latencies.
 */

import { connect, type ClientHttp2Session } from 'node:http2';
import { quantile } from './measure.ts';

export interface LoadResult {
  readonly callsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly failures: number;
}

async function main(words: readonly string[]): Promise<LoadResult> {
  const [address = '', path = '', frameHex = '', ...numbers] = words;
  const [count = 0, connections = 1, streams = 1] = numbers.map(Number);
  const frame = Buffer.from(frameHex, 'hex');
  const sessions = Array.from({ length: connections }, () => connect(`http://${address}`));
  const latenciesUs: number[] = [];
  let failures = 0;
  let started = 0;
  const worker = async (session: ClientHttp2Session): Promise<void> => {
    while (started < count) {
      started++;
      const begin = performance.now();
      if (!(await call(session, path, frame))) failures++;
      latenciesUs.push((performance.now() - begin) * 1_000);
    }
  };
  const begin = performance.now();
  await Promise.all(sessions.flatMap((session) => Array.from({ length: streams }, () => worker(session))));
  const seconds = (performance.now() - begin) / 1_000;
  for (const session of sessions) session.close();
  return {
    callsPerSecond: count / seconds,
    p50Us: quantile(latenciesUs, 0.5),
    p99Us: quantile(latenciesUs, 0.99),
    failures,
  };
}

function call(session: ClientHttp2Session, path: string, frame: Buffer): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  let status = '';
  stream.on('response', (headers) => {
    status = String(headers['grpc-status'] ?? '');
  });
  stream.on('trailers', (headers) => {
    status = String(headers['grpc-status'] ?? '');
  });
  stream.on('error', () => resolve(false));
  stream.on('close', () => resolve(status === '0'));
  stream.resume();
  stream.end(frame);
  return promise;
}

process.stdout.write(`${JSON.stringify(await main(process.argv.slice(2)))}\n`);

/**
 * Unary Execute against servers that run nothing: how much of what grpc-js and
 * node:http2 can do is left when a guest runs for each call.
 */

import { measureLatency, measureThroughput, oneInFlight, saturation, saturationLarge, type Shape } from '../compare.ts';
import { type Case, type BenchContext } from '../context.ts';
import { bare, bareBytes, type Contender, fresh, rawHttp2, reuse, targetsOf, type Workload } from '../contenders.ts';
import { median } from '../measure.ts';
import type { Finding, Findings } from '../acceptance.ts';
import type { Row } from '../report.ts';
import { findRow, latencyRows, throughputRows } from '../rows.ts';

const kibi = 1_024;

interface Size {
  readonly name: string;
  readonly workload: Workload;
  readonly shape: Shape;
}

const noOpName = 'no-op';
/** These figures are the ones looked at first: servers are warm for them in a quick run, too. */
const warmUpMsMin = 500;

function sizes(quick: boolean): readonly Size[] {
  const noOp = { guest: 'echo', functionName: 'nop', input: new Uint8Array(), output: new Uint8Array() };
  const all: readonly Size[] = [
    { name: noOpName, workload: noOp, shape: saturation },
    { name: 'echo 1 KiB', workload: echoOf(kibi), shape: saturation },
    { name: 'echo 64 KiB', workload: echoOf(64 * kibi), shape: saturation },
    { name: 'echo 1 MiB', workload: echoOf(kibi * kibi), shape: saturationLarge },
  ];
  return quick ? all.filter(({ name }) => name === noOpName) : all;
}

/** An echo of so many bytes that are not all alike. */
export function echoOf(bytes: number): Workload {
  const input = Uint8Array.from({ length: bytes }, (_, index) => (index * 31) & 0xff);
  return { guest: 'echo', functionName: 'echo', input, output: input };
}

export const unary: Case = async (context) => {
  const rows: Row[] = [];
  for (const size of sizes(context.quick)) rows.push(...(await measureSize(context, size)));
  return { name: 'unary', rows, reading: reading(rows), findings: findingsOf(rows) };
};

async function measureSize(context: BenchContext, { name, workload, shape }: Size): Promise<readonly Row[]> {
  const contenders: readonly Contender[] = context.quick
    ? [bare, rawHttp2, fresh, reuse]
    : [bare, bareBytes, rawHttp2, fresh, reuse];
  const { targets, missing } = await targetsOf(context, contenders, workload, name);
  const latencies = await measureLatency(context, targets);
  const throughputs = await measureThroughput(
    { ...context, warmUpMs: Math.max(context.warmUpMs, warmUpMsMin) },
    targets,
    shape,
  );
  return [
    ...latencyRows(latencyName(name), bare.title, latencies),
    ...throughputRows(throughputName(name, shape), bare.title, throughputs),
    ...missing,
  ];
}

function latencyName(size: string): string {
  return `${size}, ${oneInFlight.connections} in flight`;
}

function throughputName(size: string, { connections, streams }: Shape): string {
  return `${size}, ${connections * streams} in flight`;
}

function findingsOf(rows: readonly Row[]): Findings {
  return {
    reuseThroughput: ratioOf(rows, reuse.title),
    freshThroughput: ratioOf(rows, fresh.title),
    reuseLatency: latencyOver(rows, reuse.title),
    freshLatency: latencyOver(rows, fresh.title),
  };
}

function ratioOf(rows: readonly Row[], contender: string): Finding {
  return findRow(rows, throughputName(noOpName, saturation), contender)?.ratio ?? notMeasured(contender);
}

/** Microseconds over the baseline: the median of the differences round by round. */
function latencyOver(rows: readonly Row[], contender: string): Finding {
  const name = latencyName(noOpName);
  const baseline = findRow(rows, name, bare.title)?.samples;
  const mine = findRow(rows, name, contender)?.samples;
  if (mine === undefined || baseline === undefined) return notMeasured(contender);
  return median(mine.map((us, round) => us - (baseline[round] ?? Number.NaN)));
}

export function notMeasured(contender: string): string {
  return `"${contender}" or its baseline could not be measured; its row says why`;
}

function reading(rows: readonly Row[]): readonly string[] {
  return rows
    .filter(({ contender, samples }) => contender.startsWith('Caisson') && samples !== undefined)
    .map(({ case: name, contender, ratio }) => `${name}, ${contender}: ${ratio.toFixed(2)} of bare grpc-js`);
}

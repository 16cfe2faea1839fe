/**
 * The same module and the same frames in front of what a user would otherwise
 * build: plain Extism in Node in its several ways, and services in Go and Rust.
 */

import type { Finding } from '../acceptance.ts';
import {
  checkedCalls,
  measureLatency,
  measureThroughput,
  saturation,
  saturationLarge,
  type Shape,
} from '../compare.ts';
import type { BenchContext, Case } from '../context.ts';
import {
  type Contender,
  extismCreate,
  extismReuse,
  extismWorker,
  extismWorkerUsed,
  fresh,
  goFresh,
  goPooled,
  goUnbounded,
  piscinaCreate,
  piscinaReuse,
  reuse,
  rustFresh,
  rustPooled,
  targetsOf,
  type Workload,
} from '../contenders.ts';
import { ratioOf } from '../measure.ts';
import type { Row } from '../report.ts';
import { findRow, latencyRows, throughputRows } from '../rows.ts';
import { echoOf, notMeasured } from './unary.ts';

const all: readonly Contender[] = [
  extismCreate,
  extismReuse,
  extismWorker,
  extismWorkerUsed,
  piscinaCreate,
  piscinaReuse,
  goFresh,
  goPooled,
  goUnbounded,
  rustFresh,
  rustPooled,
  fresh,
  reuse,
];
const few: readonly Contender[] = [extismCreate, goFresh, rustFresh, fresh, reuse];
const leftOutOfQuick: readonly Contender[] = [extismWorkerUsed, piscinaCreate, goUnbounded];
const most = all.filter((contender) => !leftOutOfQuick.includes(contender));

/** How many calls "many" is, unless that takes too long. */
const callsOfUse = 20_000;
const useMsMax = 60_000;

const text = 'The quick brown fox jumps over the lazy dog and says nothing about it. ';
const textBytes = 1_024;
const mebi = 1_048_576;

const vowelsName = 'count-vowels of 1 KiB';
const mebibyteName = 'echo 1 MiB';

export const peers: Case = async (context) => {
  const used = context.quick ? [] : [await useWorkers(context)];
  const rows: Row[] = [
    ...(await measure(context, vowelsName, countVowels(), saturation, context.quick ? most : all)),
    ...(context.quick ? [] : await measure(context, 'echo 64 KiB', echoOf(65_536), saturation, all)),
    ...(await measure(context, mebibyteName, echoOf(mebi), saturationLarge, context.quick ? few : all)),
  ];
  const findings = {
    worker: compared(rows, inFlightName(vowelsName, saturation), reuse, extismWorker),
    create: compared(rows, inFlightName(vowelsName, saturation), fresh, extismCreate),
    mebibyte: compared(rows, inFlightName(mebibyteName, saturationLarge), fresh, extismCreate),
  };
  return { name: 'peers', rows, reading: [...used, ...reading(rows)], findings };
};

/** Extism's workers answer the later the more calls they have had: has some of them answer many. */
async function useWorkers(context: BenchContext): Promise<string> {
  const { targets } = await targetsOf(context, [extismWorkerUsed], countVowels(), vowelsName);
  const [target] = targets;
  if (target === undefined) return `"${extismWorkerUsed.title}" could not be started`;
  const { count } = await checkedCalls(context, target, { connections: 1, streams: 8 }, useMsMax, callsOfUse);
  return `"${extismWorkerUsed.title}": ${count} calls had been made before it was measured`;
}

function countVowels(): Workload {
  const input = Buffer.alloc(textBytes, text);
  const count = input.toString().match(/[aeiou]/gi)?.length ?? 0;
  return { guest: 'count-vowels', functionName: 'count_vowels', input, output: Buffer.from(`{"count":${count}}`) };
}

async function measure(
  context: BenchContext,
  name: string,
  workload: Workload,
  shape: Shape,
  contenders: readonly Contender[],
): Promise<readonly Row[]> {
  const { targets, missing } = await targetsOf(context, contenders, workload, name);
  const latencies = context.quick ? [] : await measureLatency(context, targets);
  const throughputs = await measureThroughput(context, targets, shape);
  return [
    ...latencyRows(`${name}, 1 in flight`, extismCreate.title, latencies),
    ...throughputRows(inFlightName(name, shape), extismCreate.title, throughputs),
    ...missing,
  ];
}

function inFlightName(name: string, { connections, streams }: Shape): string {
  return `${name}, ${connections * streams} in flight`;
}

function compared(rows: readonly Row[], name: string, ours: Contender, theirs: Contender): Finding {
  const mine = findRow(rows, name, ours.title)?.samples;
  const baseline = findRow(rows, name, theirs.title)?.samples;
  if (mine === undefined || baseline === undefined) return notMeasured(ours.title);
  return ratioOf(mine, baseline, 'more');
}

function reading(rows: readonly Row[]): readonly string[] {
  return [...new Set(rows.map((row) => row.case))].flatMap((name) => {
    const others = rows.filter((row) => row.case === name && !row.contender.startsWith('Caisson'));
    return [fresh, reuse].flatMap((ours) => {
      const own = findRow(rows, name, ours.title);
      const told = own === undefined ? [] : others.flatMap((other) => comparisonText(own, other));
      return told.length === 0 ? [] : [`${name}, ${ours.title}: ${told.join('; ')}`];
    });
  });
}

function comparisonText(own: Row, other: Row): readonly string[] {
  if (own.samples === undefined || other.samples === undefined) return [];
  const better = own.figure.endsWith('/s') ? 'more' : 'less';
  return [`${ratioOf(own.samples, other.samples, better).toFixed(2)} × ${other.contender}`];
}

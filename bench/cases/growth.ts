/**
 * Curves: throughput and latency by calls in flight, and by size of the payload.
 * The curve by number of plugins is in the case "plugins".
 */

import { checkedCalls, type Shape } from '../compare.ts';
import type { BenchContext, Case } from '../context.ts';
import { bare, fresh, messageOf, reuse, type Target, targetsOf, type Workload } from '../contenders.ts';
import type { CallsResult } from '../load/jobs.ts';
import { interleave, median } from '../measure.ts';
import { missingRow, type Row } from '../report.ts';
import { rateText, rowsOf, usText } from '../rows.ts';
import { echoOf } from './unary.ts';

const kibi = 1_024;
const inFlight = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_000];
const inFlightQuick = [16, 1_000];
const payloads = [0, 64, kibi, 4 * kibi, 16 * kibi, 64 * kibi, 256 * kibi, kibi * kibi, 4 * kibi * kibi];
const payloadsQuick = [16 * kibi, 4 * kibi * kibi];
const callsPerConnection = 100;

const noOp: Workload = { guest: 'echo', functionName: 'nop', input: new Uint8Array(), output: new Uint8Array() };

export const growth: Case = async (context) => {
  const rows: Row[] = [];
  for (const calls of context.quick ? inFlightQuick : inFlight)
    rows.push(...(await measurePoint(context, `${calls} in flight`, noOp, shapeOf(calls))));
  for (const bytes of context.quick ? payloadsQuick : payloads)
    rows.push(...(await measurePoint(context, `echo ${bytes} B, 4 in flight`, echoOf(bytes), shapeOf(4))));
  return { name: 'growth', rows, reading: reading(rows) };
};

/** So many calls in flight, on as few connections as take them. */
function shapeOf(calls: number): Shape {
  const connections = Math.ceil(calls / callsPerConnection);
  return { connections, streams: Math.round(calls / connections) };
}

async function measurePoint(
  context: BenchContext,
  name: string,
  workload: Workload,
  shape: Shape,
): Promise<readonly Row[]> {
  const { targets, missing } = await targetsOf(context, [bare, fresh, reuse], workload, name);
  const ms = context.quick ? context.roundMs : context.roundMs / 2;
  const rounds = context.quick ? 1 : context.rounds;
  const run = (target: Target) => async (): Promise<CallsResult | string> => {
    try {
      return await checkedCalls(context, target, shape, ms);
    } catch (error) {
      return messageOf(error);
    }
  };
  const results = await interleave(targets.map(run), rounds);
  const figures = targets.flatMap(({ title }, index) => figuresOf(title, results[index] ?? []));
  const failed = targets.flatMap(({ title }, index) => {
    const failure = results[index]?.find((result) => typeof result === 'string');
    return failure === undefined ? [] : [missingRow(name, title, failure)];
  });
  return [
    ...rowsOf({ case: name, against: bare.title, better: 'more', text: rateText }, figures),
    ...failed,
    ...missing,
  ];
}

function figuresOf(contender: string, results: readonly (CallsResult | string)[]) {
  const whole = results.filter((result) => typeof result !== 'string');
  if (whole.length < results.length) return [];
  const us = (pick: 'p50' | 'p99'): string => usText(median(whole.map(({ latencyUs }) => latencyUs[pick])));
  const samples = whole.map(({ count, seconds }) => count / seconds);
  return [{ contender, samples, note: `p50 ${us('p50')}, p99 ${us('p99')}` }];
}

function reading(rows: readonly Row[]): readonly string[] {
  return rows
    .filter(({ contender, samples }) => contender === fresh.title && samples !== undefined)
    .map(({ case: name, figure, ratio }) => `${name}, fresh: ${figure}, ${ratio.toFixed(2)} of bare grpc-js`);
}

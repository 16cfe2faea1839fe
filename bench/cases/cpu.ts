/**
 * CPU-bound guests: the C kernels behind the Extism ABI, the same modules for all.
 * Caisson counts fuel; so does wasmtime; wazero, which has none, asks Go in each turn
 * of a loop whether the call is over, or is not bounded at all; Extism in Node is not. One call in flight, long enough that
 * everything else is small beside it.
 */

import { ExecutionService, Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import type { Finding } from '../acceptance.ts';
import { checkedCalls, oneInFlight } from '../compare.ts';
import type { BenchContext, Case } from '../context.ts';
import {
  type Contender,
  extismReuse,
  fresh,
  goPooled,
  goUnbounded,
  messageOf,
  rustPooled,
  type Target,
  targetOf,
  type Workload,
} from '../contenders.ts';
import { Control } from '../control.ts';
import { geometricMean, interleave, ratioOf } from '../measure.ts';
import type { BenchServer } from '../process.ts';
import { missingRow, type Row } from '../report.ts';
import { rowsOf, usText } from '../rows.ts';
import { notMeasured } from './unary.ts';

const contenders: readonly Contender[] = [goPooled, goUnbounded, rustPooled, extismReuse, fresh];
/** A call takes about so long in Caisson. */
const callMs = 30;
const callMsQuick = 12;
/** How long calls go on before their time is believed: V8 compiles what is hot in the background. */
const settleMs = 80;
const looksMax = 8;
/** And before it is measured. */
const warmUpMs = 200;
const warmUpMsQuick = 120;

export const cpu: Case = async (context) => {
  const kernels = context.fleet.surroundings.guests.kernels;
  const rows: Row[] = [];
  for (const kernel of kernels) rows.push(...(await measureKernel(context, kernel)));
  return {
    name: 'cpu',
    rows,
    reading: contenders
      .filter((contender) => contender !== fresh)
      .map((contender) => `${fresh.title} against ${contender.title}, geometric mean: ${meanText(rows, contender)}`),
    findings: { cpu: findingOf(rows, goPooled), cpuUnbounded: findingOf(rows, goUnbounded) },
  };
};

async function measureKernel(context: BenchContext, kernel: string): Promise<readonly Row[]> {
  try {
    const caisson = await context.fleet.server(fresh.server);
    const turns = await turnsOf(context, (count) => targetOf(fresh, caisson, workloadOf(kernel, count)));
    const workload = { ...workloadOf(kernel, turns), output: await outputOf(caisson, workloadOf(kernel, turns)) };
    const targets: Target[] = [];
    const missing: Row[] = [];
    for (const contender of contenders) {
      try {
        const target = targetOf(contender, await context.fleet.server(contender.server), workload);
        await checkedCalls(context, target, oneInFlight, context.quick ? warmUpMsQuick : warmUpMs);
        targets.push(target);
      } catch (error) {
        missing.push(missingRow(kernel, contender.title, messageOf(error)));
      }
    }
    return [...(await measureTargets(context, kernel, targets)), ...missing];
  } catch (error) {
    return [missingRow(kernel, fresh.title, messageOf(error))];
  }
}

async function measureTargets(
  context: BenchContext,
  kernel: string,
  targets: readonly Target[],
): Promise<readonly Row[]> {
  const run = (target: Target) => async (): Promise<number> =>
    (await checkedCalls(context, target, oneInFlight, 1)).latencyUs.p50;
  const samples = await interleave(targets.map(run), context.rounds);
  const figures = targets.map(({ title }, index) => ({ contender: title, samples: samples[index] ?? [] }));
  return rowsOf({ case: kernel, against: goPooled.title, better: 'less', text: usText }, figures);
}

/** What Caisson answers, which all must answer. */
async function outputOf(caisson: BenchServer, { guest, functionName, input }: Workload): Promise<Uint8Array> {
  using control = await Control.open(caisson);
  const request = { plugin: guest, function: functionName, input };
  const { execution } = await control.call(ExecutionService.method.execute, request);
  if (execution?.outcome !== Outcome.OK) throw new Error(`The outcome is ${execution?.outcome}`);
  return execution.output;
}

function workloadOf(kernel: string, turns: number): Workload {
  const input = Buffer.alloc(4);
  input.writeInt32LE(turns, 0);
  return { guest: `kernel-${kernel}`, functionName: 'kernel', input };
}

/** Turns that take Caisson about as long as a call shall last. */
async function turnsOf(context: BenchContext, target: (turns: number) => Target): Promise<number> {
  const wantedUs = (context.quick ? callMsQuick : callMs) * 1_000;
  let turns = 1;
  for (let look = 0; look < looksMax; look++) {
    const one = target(turns);
    await checkedCalls(context, one, oneInFlight, settleMs);
    const { latencyUs } = await checkedCalls(context, one, oneInFlight, 1);
    const factor = wantedUs / latencyUs.p50;
    if (factor > 0.7 && factor < 1.4) break;
    turns = Math.max(1, Math.round(turns * Math.min(factor, 16)));
    if (turns === 1 && factor < 1) break;
  }
  return turns;
}

/** How many times as fast as the contender; undefined unless all kernels were measured with both. */
function geometricRatio(rows: readonly Row[], contender: Contender): number | undefined {
  const names = [...new Set(rows.map((row) => row.case))];
  const ratios = names.map((name) => {
    const of = (title: string) => rows.find((row) => row.case === name && row.contender === title)?.samples;
    const mine = of(fresh.title);
    const theirs = of(contender.title);
    return mine === undefined || theirs === undefined ? Number.NaN : ratioOf(mine, theirs, 'less');
  });
  const mean = geometricMean(ratios);
  return ratios.length > 0 && Number.isFinite(mean) ? mean : undefined;
}

function findingOf(rows: readonly Row[], contender: Contender): Finding {
  return geometricRatio(rows, contender) ?? notMeasured(contender.title);
}

function meanText(rows: readonly Row[], contender: Contender): string {
  const mean = geometricRatio(rows, contender);
  return mean === undefined ? 'not measured' : `${mean.toFixed(2)} × as fast`;
}

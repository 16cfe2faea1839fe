/** CPU time of the server for each call, by kind of thread, at saturation; beside that of bare grpc-js. */

import {
  type Measured,
  measureThroughput,
  saturation,
  saturationLarge,
  type Shape,
  type Throughput,
} from '../compare.ts';
import type { BenchContext, Case } from '../context.ts';
import { bare, fresh, reuse, targetsOf, type Workload } from '../contenders.ts';
import { median, ratioOf } from '../measure.ts';
import { sumOf } from '../process.ts';
import { missingRow, type Row } from '../report.ts';
import { usText } from '../rows.ts';
import { echoOf } from './unary.ts';

const noOp: Workload = { guest: 'echo', functionName: 'nop', input: new Uint8Array(), output: new Uint8Array() };
/** Threads that take less of a call than this are left out. */
const shownUsMin = 1;

export const cost: Case = async (context) => {
  const rows = [
    ...(await measure(context, 'no-op', noOp, saturation)),
    ...(context.quick ? [] : await measure(context, 'echo 64 KiB', echoOf(65_536), saturation)),
    ...(context.quick ? [] : await measure(context, 'echo 1 MiB', echoOf(1_048_576), saturationLarge)),
  ];
  return { name: 'cost', rows, reading: reading(rows) };
};

async function measure(context: BenchContext, name: string, workload: Workload, shape: Shape): Promise<readonly Row[]> {
  const { targets, missing } = await targetsOf(context, [bare, fresh, reuse], workload, name);
  const measured = await measureThroughput(context, targets, shape);
  const baseline = measured.flatMap((one) =>
    'samples' in one && one.target.title === bare.title ? totals(one.samples) : [],
  );
  return [...measured.flatMap((one) => costRows(name, one, baseline)), ...missing];
}

function costRows(name: string, one: Measured<Throughput>, baseline: readonly number[]): readonly Row[] {
  const { title } = one.target;
  if ('failure' in one) return [missingRow(name, title, one.failure)];
  const all = totals(one.samples);
  return [
    {
      case: name,
      contender: title,
      figure: usText(median(all)),
      spread: `${usText(Math.min(...all))} to ${usText(Math.max(...all))}`,
      ratio: ratioOf(all, baseline, 'less'),
      note: threadsText(one.samples),
      samples: all,
    },
  ];
}

function totals(samples: readonly Throughput[]): readonly number[] {
  return samples.map(({ cpuUs }) => sumOf(cpuUs.values()));
}

/** The median of the part of each kind of thread, the dearest first. */
function threadsText(samples: readonly Throughput[]): string {
  const byKind = samples.map(({ cpuUs }) => kindsOf(cpuUs));
  const names = new Set(byKind.flatMap((kinds) => [...kinds.keys()]));
  const parts = [...names].map((name) => [name, median(byKind.map((kinds) => kinds.get(name) ?? 0))] as const);
  const shown = parts.filter(([, us]) => us >= shownUsMin).toSorted(([, a], [, b]) => b - a);
  return shown.map(([name, us]) => `${name} ${usText(us)}`).join(', ');
}

/** Threads that differ by a number alone are of one kind. */
function kindsOf(cpuUs: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const kinds = new Map<string, number>();
  for (const [name, us] of cpuUs) {
    const kind = name.replace(/-\d+$/, '-*');
    kinds.set(kind, (kinds.get(kind) ?? 0) + us);
  }
  return kinds;
}

function reading(rows: readonly Row[]): readonly string[] {
  return rows
    .filter(({ samples }) => samples !== undefined)
    .map(({ case: name, contender, figure, note }) => `${name}, ${contender}: ${figure} a call (${note})`);
}

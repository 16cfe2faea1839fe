/** Two processes against one, on one port, with load from outside the two. */

import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { measureThroughput, saturation } from '../compare.ts';
import type { BenchContext, Case } from '../context.ts';
import { fresh, type Target, targetOf } from '../contenders.ts';
import { repository, startCaisson } from '../fleet.ts';
import { missingRow, type Row } from '../report.ts';
import { findRow, throughputRows } from '../rows.ts';
import { notMeasured } from './unary.ts';

const execFilePromise = promisify(execFile);
const option = '--processes';
const name = 'no-op, fresh, 64 in flight';
const noOp = { guest: 'echo', functionName: 'nop', input: new Uint8Array(), output: new Uint8Array() };
const titleOf = (count: number): string => `Caisson, ${count} ${count === 1 ? 'process' : 'processes'}`;

export const processes: Case = async (context) => {
  const { stdout } = await execFilePromise(process.execPath, [join(repository, 'src/main.ts'), 'serve', '--help']);
  if (!stdout.includes(option)) {
    const why = `not offered: caisson serve has no ${option}`;
    return {
      name: 'processes',
      rows: [missingRow(name, titleOf(2), why)],
      reading: [why],
      findings: { processes: why },
    };
  }
  const rows = await measure(context);
  const found = findRow(rows, name, titleOf(2))?.ratio;
  const cores = `${availableParallelism()} processors, of which the load takes its part`;
  return {
    name: 'processes',
    rows,
    reading: rows.map(({ contender, figure, ratio }) => `${contender}: ${figure}, ${ratio.toFixed(2)} × (${cores})`),
    findings: { processes: found ?? notMeasured(titleOf(2)) },
  };
};

async function measure(context: BenchContext): Promise<readonly Row[]> {
  const { surroundings } = context.fleet;
  const [first, second] = await Promise.all([
    startCaisson(surroundings, 'one-process'),
    startCaisson(surroundings, 'two-processes', [option, '2']),
  ]);
  await using one = first;
  await using two = second;
  const targets: readonly Target[] = [
    targetOf({ ...fresh, title: titleOf(1) }, one, noOp),
    targetOf({ ...fresh, title: titleOf(2) }, two, noOp),
  ];
  return throughputRows(name, titleOf(1), await measureThroughput(context, targets, saturation));
}

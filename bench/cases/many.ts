/** ExecuteMany against unary calls: what one stream for many executions saves. */

import { measureThroughput, saturation } from '../compare.ts';
import type { BenchContext, Case } from '../context.ts';
import { bare, fresh, messageOf, reuse, type Target, targetsOf } from '../contenders.ts';
import { interleave } from '../measure.ts';
import { missingRow, type Row } from '../report.ts';
import { findRow, rateText, rowsOf, throughputRows } from '../rows.ts';
import { notMeasured } from './unary.ts';

const path = '/caisson.v1.ExecutionService/ExecuteMany';
/** As many as the server takes of one stream at once. */
const window = 64;
const name = 'no-op, 64 in flight';
const noOp = { guest: 'echo', functionName: 'nop', input: new Uint8Array(), output: new Uint8Array() };

const unaryTitle = ({ title }: Titled): string => `${title}, unary`;
const manyTitle = ({ title }: Titled): string => `${title}, ExecuteMany`;

interface Titled {
  readonly title: string;
}

export const many: Case = async (context) => {
  const { targets, missing } = await targetsOf(context, [reuse, fresh, bare], noOp, name);
  const unary = await measureThroughput(
    context,
    targets.map((target) => ({ ...target, title: unaryTitle(target) })),
    saturation,
  );
  const unaryRows = throughputRows(name, unaryTitle(reuse), unary);
  const baseline = findRow(unaryRows, name, unaryTitle(reuse))?.samples ?? [];
  const rows = [...unaryRows, ...(await manyRows(context, targets, baseline)), ...missing];
  return {
    name: 'many',
    rows,
    reading: rows.map(({ contender, figure, ratio }) => `${contender}: ${figure}, ${ratio.toFixed(2)} of unary, reuse`),
    findings: { many: findRow(rows, name, manyTitle(reuse))?.ratio ?? notMeasured(manyTitle(reuse)) },
  };
};

async function manyRows(
  context: BenchContext,
  targets: readonly Target[],
  baseline: readonly number[],
): Promise<readonly Row[]> {
  try {
    const rates = await interleave(
      targets.map((target) => () => manyRate(context, target)),
      context.rounds,
    );
    const figures = targets.map((target, index) => ({ contender: manyTitle(target), samples: rates[index] ?? [] }));
    const form = { case: name, against: 'baseline', better: 'more', text: rateText } as const;
    return rowsOf(form, [{ contender: 'baseline', samples: baseline }, ...figures]).slice(1);
  } catch (error) {
    return [missingRow(name, 'ExecuteMany', messageOf(error))];
  }
}

/** Fields 1 to 5 of ExecuteManyRequest are those of ExecuteRequest. */
async function manyRate({ load, roundMs }: BenchContext, { server, message }: Target): Promise<number> {
  const result = await load.run<'many'>({
    kind: 'many',
    address: server.address,
    path,
    message: Buffer.from(message).toString('base64'),
    connections: 1,
    window,
    ms: roundMs,
  });
  if (result.failures > 0) throw new Error(`${result.failures} of ${result.count} failed: ${result.failure}`);
  return result.count / result.seconds;
}

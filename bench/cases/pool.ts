/**
 * What preparing instances ahead is worth: a fresh instance for each call against
 * one that is reused, with one call in flight, for a small module and a large one.
 * The receipt of a call says where its instance came from. Memory and first call of
 * many started plugins are in the case "plugins".
 */

import { ExecutionService, InstanceSource } from '../../src/gen/caisson/v1/execution_pb.ts';
import { checkedCalls, measureLatency, oneInFlight } from '../compare.ts';
import type { BenchContext, Case } from '../context.ts';
import { executeMessage, executePath, type Target } from '../contenders.ts';
import { Control } from '../control.ts';
import { generatedModule } from '../guests/generated.ts';
import { type InstanceMode, manifestOf, pluginName } from '../guests.ts';
import type { BenchServer } from '../process.ts';
import type { Row } from '../report.ts';
import { latencyRows } from '../rows.ts';

interface Subject {
  readonly name: string;
  readonly guest: string;
  readonly functionName: string;
}

const small: Subject = { name: 'no-op of 1 KB', guest: 'echo', functionName: 'nop' };
const large: Subject = { name: 'module of 2 MB', guest: 'two-megabytes', functionName: 'run' };
const largeBytes = 2_000_000;
const modes: readonly InstanceMode[] = ['reuse', 'fresh'];
const sourceNames: ReadonlyMap<InstanceSource | undefined, string> = new Map([
  [InstanceSource.CREATED, 'created'],
  [InstanceSource.PREPARED, 'prepared'],
  [InstanceSource.REUSED, 'reused'],
]);
/** Calls whose receipts are looked at. */
const receipts = 40;

export const pool: Case = async (context) => {
  const server = await context.fleet.server('caisson');
  using control = await Control.open(server);
  const module = generatedModule(largeBytes, 1);
  for (const mode of modes) {
    const name = pluginName(large.guest, mode);
    await control.publish(manifestOf({ name, mode, functions: [large.functionName] }), module);
  }
  const rows: Row[] = [];
  for (const subject of [small, large]) rows.push(...(await measureSubject(context, server, control, subject)));
  return { name: 'pool', rows, reading: reading(rows) };
};

async function measureSubject(
  context: BenchContext,
  server: BenchServer,
  control: Control,
  subject: Subject,
): Promise<readonly Row[]> {
  const targets = modes.map((mode) => targetOf(server, subject, mode));
  const measured = await measureLatency(context, targets);
  const rows = latencyRows(`${subject.name}, 1 in flight`, 'reuse', measured);
  const noted: Row[] = [];
  for (const [index, row] of rows.entries()) {
    const target = targets[index];
    if (target) await checkedCalls(context, target, oneInFlight, context.warmUpMs / 2);
    const sources = await sourcesOf(control, subject, modes[index] ?? 'fresh');
    noted.push({ ...row, note: `${row.note ?? ''}; ${sources}` });
  }
  return noted;
}

function targetOf(server: BenchServer, { guest, functionName }: Subject, mode: InstanceMode): Target {
  const message = executeMessage(pluginName(guest, mode), functionName, new Uint8Array());
  return { title: mode, server, path: executePath, message, output: new Uint8Array() };
}

/** Where the instances of some calls came from, in words. */
async function sourcesOf(control: Control, { guest, functionName }: Subject, mode: InstanceMode): Promise<string> {
  const counts = new Map<string, number>();
  for (let call = 0; call < receipts; call++) {
    const request = { plugin: pluginName(guest, mode), function: functionName };
    const { execution } = await control.call(ExecutionService.method.execute, request);
    const source = sourceNames.get(execution?.usage?.instanceSource) ?? 'unknown';
    counts.set(source, (counts.get(source) ?? 0) + 1);
  }
  return [...counts].map(([source, count]) => `${count} of ${receipts} ${source}`).join(', ');
}

function reading(rows: readonly Row[]): readonly string[] {
  return rows
    .filter(({ contender }) => contender === 'fresh')
    .map(({ case: name, figure, ratio }) => `${name}: fresh takes ${figure}, ${(1 / ratio).toFixed(2)} times reuse`);
}

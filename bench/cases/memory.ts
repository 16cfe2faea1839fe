/**
 * Memory of an instance: what the server grows by when it makes instances ahead of
 * calls, against plain Extism plugins held in one process, made and not called.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AdminService } from '../../src/gen/caisson/v1/admin_pb.ts';
import { ExecutionService } from '../../src/gen/caisson/v1/execution_pb.ts';
import { PluginService } from '../../src/gen/caisson/v1/plugin_pb.ts';
import type { BenchContext, Case } from '../context.ts';
import { messageOf } from '../contenders.ts';
import { Control } from '../control.ts';
import { startCaisson } from '../fleet.ts';
import { markedModule } from '../guests/generated.ts';
import { manifestOf } from '../guests.ts';
import { type BenchServer, startServer } from '../process.ts';
import { missingRow, type Row } from '../report.ts';
import { bytesText } from '../rows.ts';

const guest = 'count-vowels';
const plugins = 8;
/** The most that a manifest may ask for. */
const warm = 8;
const extismInstances = 128;
const extismTitle = 'Extism, plugins created';
const caissonTitle = 'Caisson, instances prepared';
/** What the server holds beside instances: the first calls make it grow, too. */
const warmUpCalls = 200;
const name = `memory of one instance, ${guest}`;

export const memory: Case = async (context) => {
  const extism = await heldByExtism(context);
  const rows: Row[] = [rowOf(extismTitle, extism, extism, `of ${extismInstances}`)];
  try {
    const { bytes, held } = await heldByCaisson(context);
    rows.push(rowOf(caissonTitle, bytes, extism, `of ${held} that the server says it holds`));
  } catch (error) {
    rows.push(missingRow(name, caissonTitle, messageOf(error)));
  }
  return { name: 'memory', rows, reading: rows.map(({ contender, figure }) => `${contender}: ${figure} each`) };
};

function rowOf(contender: string, bytes: number, baseline: number, note: string): Row {
  return { case: name, contender, figure: bytesText(bytes), spread: '–', ratio: baseline / bytes, note };
}

async function heldByExtism({ fleet }: BenchContext): Promise<number> {
  const { modulesFolder } = fleet.surroundings.guests;
  const program = join(import.meta.dirname, '../servers/extism-held.ts');
  const start = (count: number): Promise<BenchServer> =>
    startServer(process.execPath, [program, modulesFolder, guest, `${count}`]);
  const [one, many] = await Promise.all([start(1), start(1 + extismInstances)]);
  await using none = one;
  await using all = many;
  return (all.rssBytes() - none.rssBytes()) / extismInstances;
}

async function heldByCaisson({ fleet }: BenchContext): Promise<{ readonly bytes: number; readonly held: number }> {
  await using server = await startCaisson(fleet.surroundings, 'memory');
  using control = await Control.open(server);
  const module = readFileSync(join(fleet.surroundings.guests.modulesFolder, `${guest}.wasm`));
  const names = Array.from({ length: plugins }, (_, index) => `held-${index}`);
  const functions = ['count_vowels'];
  for (const [index, plugin] of names.entries()) {
    // Plugins of one module share what is prepared.
    await control.publish(manifestOf({ name: plugin, mode: 'fresh', functions, warm }), markedModule(module, index));
    await control.call(PluginService.method.startPlugin, { plugin: `${plugin}@1.0.0` });
  }
  for (let call = 0; call < warmUpCalls; call++)
    await control.call(ExecutionService.method.execute, { plugin: guest, function: 'count_vowels' });
  const before = { bytes: server.rssBytes(), held: await heldInstances(control) };
  for (const plugin of names) await control.call(PluginService.method.warmPlugin, { plugin: `${plugin}@1.0.0` });
  const held = (await heldInstances(control)) - before.held;
  if (held < 1) throw new Error('The server prepared no instance');
  return { bytes: (server.rssBytes() - before.bytes) / held, held };
}

async function heldInstances(control: Control): Promise<number> {
  const { pool } = await control.call(AdminService.method.getServerInfo, {});
  return (pool?.instances ?? []).reduce((sum, { prepared, kept }) => sum + prepared + kept, 0);
}

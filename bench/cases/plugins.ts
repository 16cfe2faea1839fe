/**
 * Many plugins on one server: memory for each started one, and the first call to
 * each against the second. A server of its own, at growing numbers of plugins.
 */

import { ExecutionService } from '../../src/gen/caisson/v1/execution_pb.ts';
import { PluginService } from '../../src/gen/caisson/v1/plugin_pb.ts';
import type { BenchContext, Case } from '../context.ts';
import { executeMessage, executePath } from '../contenders.ts';
import { Control } from '../control.ts';
import { startCaisson } from '../fleet.ts';
import { generatedModule } from '../guests/generated.ts';
import { manifestOf } from '../guests.ts';
import type { CallsResult } from '../load/jobs.ts';
import type { BenchServer } from '../process.ts';
import type { Row } from '../report.ts';
import { bytesText, usText } from '../rows.ts';

/** Numbers of plugins at which is looked. */
const steps = [1, 10, 100, 1_000, 5_000];
const stepsQuick = [1, 10, 50];
const moduleBytes = 10_000;
/** Longer than this none is published any more: the steps that are left are left out. */
const publishMsMax = 300_000;

interface Step {
  readonly plugins: number;
  readonly rssBytesEach: number;
  readonly publishUsEach: number;
  readonly first: CallsResult;
  readonly second: CallsResult;
}

export const plugins: Case = async (context) => {
  await using server = await startCaisson(context.fleet.surroundings, 'plugins');
  using control = await Control.open(server);
  await warmUp(control);
  const rssBytes = server.rssBytes();
  const rows: Row[] = [];
  const begin = performance.now();
  let published = 0;
  for (const plugins of context.quick ? stepsQuick : steps) {
    const publishBegin = performance.now();
    const added = plugins - published;
    while (published < plugins && performance.now() - begin < publishMsMax) await publishOne(control, published++);
    if (published < plugins) break;
    const publishUsEach = ((performance.now() - publishBegin) * 1_000) / added;
    const rssBytesEach = (server.rssBytes() - rssBytes) / plugins;
    const first = await callEach(context, server, published - added, published);
    const second = await callEach(context, server, published - added, published);
    rows.push(...stepRows({ plugins, rssBytesEach, publishUsEach, first, second }));
  }
  return { name: 'plugins', rows, reading: reading(rows, context.quick) };
};

/** What grows with the first plugin and not with their number is there already. */
async function warmUp(control: Control): Promise<void> {
  for (let turn = 0; turn < 20; turn++)
    await control.call(ExecutionService.method.execute, { plugin: 'echo', function: 'nop' });
}

async function publishOne(control: Control, index: number): Promise<void> {
  const name = pluginName(index);
  await control.publish(manifestOf({ name, mode: 'fresh', functions: ['run'] }), generatedModule(moduleBytes, index));
  await control.call(PluginService.method.startPlugin, { plugin: `${name}@1.0.0` });
}

function pluginName(index: number): string {
  return `many-${index}`;
}

/** One call to each of these plugins, one after the other. */
async function callEach({ load }: BenchContext, server: BenchServer, begin: number, end: number): Promise<CallsResult> {
  const indexes = Array.from({ length: end - begin }, (_, index) => begin + index);
  const messages = indexes.map((index) => executeMessage(pluginName(index), 'run', new Uint8Array()));
  const result = await load.run<'calls'>({
    kind: 'calls',
    address: server.address,
    path: executePath,
    messages: messages.map((message) => Buffer.from(message).toString('base64')),
    connections: 1,
    streams: 1,
    count: messages.length,
  });
  if (result.failures > 0) throw new Error(`${result.failures} of ${result.count} calls failed: ${result.failure}`);
  return result;
}

function stepRows({ plugins, rssBytesEach, publishUsEach, first, second }: Step): readonly Row[] {
  const name = `plugins of 10 KB: ${plugins.toLocaleString('en')}`;
  const calls = (contender: string, { latencyUs }: CallsResult, note: string): Row => ({
    case: name,
    contender,
    figure: usText(latencyUs.p50),
    spread: `p99 ${usText(latencyUs.p99)}, at most ${usText(latencyUs.max)}`,
    ratio: second.latencyUs.p50 / latencyUs.p50,
    note,
  });
  return [
    calls('second call to each', second, ''),
    calls('first call to each', first, `publish and start ${usText(publishUsEach)} each`),
    {
      case: name,
      contender: 'resident memory for each started plugin',
      figure: bytesText(rssBytesEach),
      spread: '–',
      ratio: Number.NaN,
      note: 'before the calls',
    },
  ];
}

function reading(rows: readonly Row[], quick: boolean): readonly string[] {
  const told = rows
    .filter(({ contender }) => !contender.startsWith('second'))
    .map(({ case: name, contender, figure }) => `${name}: ${contender} ${figure}`);
  return quick ? [...told, 'the quick run ends at 50 plugins'] : told;
}

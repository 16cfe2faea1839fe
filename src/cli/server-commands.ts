/** `caisson server`: what a server is doing, for those who operate it. */

import { toJson } from '@bufbuild/protobuf';
import type { Command } from 'commander';
import {
  type GetServerInfoResponse,
  GetServerInfoResponseSchema,
  type PoolInfo,
  type ProcessInfo,
} from '../gen/caisson/v1/admin_pb.ts';
import { addressOption, type CliContext, calls, type JsonOptions, jsonOption, type ServerOptions } from './context.ts';
import { exitCodes } from './exit-codes.ts';
import { durationText, sizeText, timeText } from './forms.ts';
import { factsText, tableText } from './output.ts';

export function addServerCommands(program: Command, context: CliContext): void {
  const server = program
    .command('server')
    .summary('show what a server is doing')
    .description('Shows what a server is doing.');
  addInfo(server, context);
}

function addInfo(parent: Command, context: CliContext): void {
  const command = parent
    .command('info')
    .summary('show versions, threads, who waits, and the instances that threads keep')
    .addOption(addressOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExamples:\n  caisson server info\n  caisson server info --json');
  calls<ServerOptions & JsonOptions>(command, context, async (server, { json }) => {
    const info = await server.admin.getServerInfo({});
    if (json) context.output.json(toJson(GetServerInfoResponseSchema, info, { alwaysEmitImplicit: true }));
    else context.output.print(infoText(info));
    return exitCodes.ok;
  });
}

function infoText({ version, nodeVersion, startTime, pool, processes }: GetServerInfoResponse): string {
  const facts = factsText([
    ['version', version],
    ['node', nodeVersion],
    ['started', timeText(startTime)],
    ...(pool ? poolFacts(pool) : []),
  ]);
  return [facts, processesText(processes), queuesText(pool), instancesText(pool)]
    .filter((text) => text !== '')
    .join('\n');
}

function poolFacts(pool: PoolInfo): readonly (readonly [string, string])[] {
  const { threads, idle, busy, starting, threadsStarted, threadsRecycled, threadsLost } = pool;
  return [
    ['threads', `${threads} (${idle} idle, ${busy} busy), ${starting} starting`],
    ['since the start', `${threadsStarted} started, ${threadsRecycled} recycled, ${threadsLost} lost`],
    ['waiting', `${pool.waiting} of at most ${pool.waitingMax}, ${pool.refused} refused so far`],
    ['waits', `p50 ${durationText(pool.waitP50)}, p99 ${durationText(pool.waitP99)}`],
  ];
}

function processesText(processes: readonly ProcessInfo[]): string {
  if (processes.length === 0) return '';
  const rows = processes.map(({ number, leader, pid, startTime, connections, pool }) => {
    const threads = `${pool?.busy ?? 0} of ${pool?.threads ?? 0}`;
    return [`${number}${leader ? ' (leads)' : ''}`, String(pid), timeText(startTime), String(connections), threads];
  });
  return tableText(['PROCESS', 'PID', 'STARTED', 'CONNECTIONS', 'BUSY'], rows);
}

function queuesText(pool: PoolInfo | undefined): string {
  if (!pool || pool.queues.length === 0) return '';
  const rows = pool.queues.map(({ tenant, waiting, running }) => [tenant, String(waiting), String(running)]);
  return tableText(['TENANT', 'WAITING', 'RUNNING'], rows);
}

function instancesText(pool: PoolInfo | undefined): string {
  if (!pool || pool.instances.length === 0) return '';
  const rows = pool.instances.map(({ plugin, prepared, kept, keptBytes }) => {
    return [plugin, String(prepared), String(kept), sizeText(keptBytes)];
  });
  return tableText(['PLUGIN', 'PREPARED', 'KEPT', 'MEMORY'], rows);
}

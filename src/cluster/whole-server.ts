/** AdminService of one process of several: what it and the others answer, added up. */

import { create, fromBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import {
  AdminService,
  type GetServerInfoRequest,
  type GetServerInfoResponse,
  GetServerInfoResponseSchema,
  type PoolInfo,
  type PoolInfoSchema,
} from '../gen/caisson/v1/admin_pb.ts';
import { greatest, instancesMax, queuesMax } from '../rpc/admin-service.ts';
import type { RpcPeer } from '../rpc/peer.ts';
import type { CallContext, ServiceImplementation } from '../rpc/service-types.ts';
import { wallClockMs } from '../rpc/wall-clock.ts';
import { durationOf, millisecondsOf } from '../rpc/wire-time.ts';

type Admin = ServiceImplementation<typeof AdminService>;

/** A process that does not answer is left out. */
export function wholeServer(local: Admin, others: () => readonly RpcPeer[]): Admin {
  return {
    async getServerInfo(request, context) {
      const own = create(GetServerInfoResponseSchema, await local.getServerInfo(request, context));
      const answers = await Promise.all(others().map((peer) => infoOf(peer, request, context)));
      return addedUp([own, ...answers.filter((answer) => answer !== undefined)]);
    },
  };
}

/** How long one process waits for another's answer. */
const answerMsMax = 2_000;

async function infoOf(
  peer: RpcPeer,
  request: GetServerInfoRequest,
  context: CallContext,
): Promise<GetServerInfoResponse | undefined> {
  const { metadata, signal, span } = context;
  const deadlineMs = Math.min(context.deadlineMs, wallClockMs() + answerMsMax);
  try {
    const call = { metadata, signal, span, deadlineMs };
    const { bytes } = await peer.unary(AdminService.method.getServerInfo, request, call);
    return fromBinary(GetServerInfoResponseSchema, bytes);
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/** Versions are those of the first; the server started with the first of its processes. */
export function addedUp(infos: readonly GetServerInfoResponse[]): MessageInitShape<typeof GetServerInfoResponseSchema> {
  const processes = infos.flatMap((info) => info.processes).toSorted((one, other) => one.number - other.number);
  const [startTime] = infos
    .flatMap((info) => info.startTime ?? [])
    .toSorted((one, other) => timestampMs(one) - timestampMs(other));
  return {
    version: infos[0]?.version ?? '',
    nodeVersion: infos[0]?.nodeVersion ?? '',
    ...(startTime && { startTime }),
    pool: poolOf(infos.flatMap((info) => info.pool ?? [])),
    processes,
  };
}

type CountName = {
  [Name in keyof PoolInfo]-?: PoolInfo[Name] extends number ? Name : never;
}[keyof PoolInfo];
type TotalName = {
  [Name in keyof PoolInfo]-?: PoolInfo[Name] extends bigint ? Name : never;
}[keyof PoolInfo];

function poolOf(pools: readonly PoolInfo[]): MessageInitShape<typeof PoolInfoSchema> {
  const count = (name: CountName): number => pools.reduce((sum, pool) => sum + pool[name], 0);
  const total = (name: TotalName): bigint => pools.reduce((sum, pool) => sum + pool[name], 0n);
  const longest = (name: 'waitP50' | 'waitP99'): ReturnType<typeof durationOf> =>
    durationOf(Math.max(0, ...pools.map((pool) => (pool[name] && millisecondsOf(pool[name])) ?? 0)));
  return {
    threads: count('threads'),
    idle: count('idle'),
    busy: count('busy'),
    starting: count('starting'),
    waiting: count('waiting'),
    waitingMax: count('waitingMax'),
    waitP50: longest('waitP50'),
    waitP99: longest('waitP99'),
    threadsStarted: total('threadsStarted'),
    threadsRecycled: total('threadsRecycled'),
    threadsLost: total('threadsLost'),
    refused: total('refused'),
    queues: queuesOf(pools),
    instances: instancesOf(pools),
  };
}

function queuesOf(pools: readonly PoolInfo[]): PoolInfo['queues'] {
  const all = pools.flatMap(({ queues }) => queues);
  const sums = summed(all, 'tenant', (sum, { waiting, running }) => {
    return { ...sum, waiting: sum.waiting + waiting, running: sum.running + running };
  });
  return greatest(sums, queuesMax, ({ waiting, running }) => [waiting, running]);
}

function instancesOf(pools: readonly PoolInfo[]): PoolInfo['instances'] {
  const all = pools.flatMap(({ instances }) => instances);
  const sums = summed(all, 'plugin', (sum, { prepared, kept, keptBytes }) => {
    return { ...sum, prepared: sum.prepared + prepared, kept: sum.kept + kept, keptBytes: sum.keptBytes + keptBytes };
  });
  return greatest(sums, instancesMax, ({ prepared, kept, keptBytes }) => [prepared + kept, Number(keptBytes)]);
}

/** Items with the same name added up. */
function summed<Item, Name extends keyof Item>(
  items: readonly Item[],
  name: Name,
  add: (sum: Item, one: Item) => Item,
): readonly Item[] {
  const sums = new Map<Item[Name], Item>();
  for (const item of items) {
    const sum = sums.get(item[name]);
    sums.set(item[name], sum === undefined ? item : add(sum, item));
  }
  return [...sums.values()];
}

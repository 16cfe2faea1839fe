/** AdminService: what the server is doing, in bounded lists. What is counted, and how, is the business of whoever hands it in. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { AdminService, PoolInfoSchema, ProcessInfoSchema } from '../gen/caisson/v1/admin_pb.ts';
import type { ServiceImplementation } from './service-types.ts';
import { durationOf, timestampOf } from './wire-time.ts';

/** The server as operators see it. */
export interface ServerFacts {
  /** Version of Caisson. */
  readonly version: string;
  readonly nodeVersion: string;
  readonly startMs: number;
  pool(): PoolFacts;
  /** Absent if the server is one process. */
  readonly process?: ProcessFacts;
}

/** One process of a server that has several. */
export interface ProcessFacts {
  readonly number: number;
  readonly pid: number;
  readonly leader: boolean;
  readonly startMs: number;
  connections(): number;
}

/** The pool as it stands. */
export interface PoolFacts {
  /** Threads that can run calls: idle and busy ones. */
  readonly threads: number;
  readonly idle: number;
  readonly busy: number;
  readonly starting: number;
  /** Calls that wait for a thread, and how many may. */
  readonly waiting: number;
  readonly waitingMax: number;
  /** How long the calls that got a thread lately had waited. */
  readonly waitP50Ms: number;
  readonly waitP99Ms: number;
  /** Threads since the server began: started, replaced because they were worn, killed or dead. */
  readonly started: number;
  readonly recycled: number;
  readonly lost: number;
  /** Calls turned away because the line was full. */
  readonly refused: number;
  readonly tenants: readonly TenantLoad[];
  readonly instances: readonly InstanceCounts[];
}

export interface TenantLoad {
  readonly tenant: string;
  readonly waiting: number;
  readonly running: number;
}

/** Instances of one plugin that threads keep. */
export interface InstanceCounts {
  /** "name@version". */
  readonly plugin: string;
  /** Made ahead, used by nobody yet. */
  readonly prepared: number;
  /** Kept for further calls of a tenant or a session. */
  readonly kept: number;
  /** Bytes of guest memory that the kept ones hold. */
  readonly keptBytes: number;
}

/** Tenants and plugins that an answer names at most. */
export const queuesMax = 100;
export const instancesMax = 1_000;

/** The implementation, to be bound to AdminService. */
export function adminServiceOf(server: ServerFacts): ServiceImplementation<typeof AdminService> {
  return {
    getServerInfo: () => {
      const pool = poolMessage(server.pool());
      return {
        version: server.version,
        nodeVersion: server.nodeVersion,
        startTime: timestampOf(server.startMs),
        pool,
        processes: server.process ? [processMessage(server.process, pool)] : [],
      };
    },
  };
}

function processMessage(
  { startMs, connections, ...facts }: ProcessFacts,
  pool: MessageInitShape<typeof PoolInfoSchema>,
): MessageInitShape<typeof ProcessInfoSchema> {
  return { ...facts, startTime: timestampOf(startMs), connections: connections(), pool };
}

function poolMessage(pool: PoolFacts): MessageInitShape<typeof PoolInfoSchema> {
  const { threads, idle, busy, starting, waiting, waitingMax } = pool;
  return {
    threads,
    idle,
    busy,
    starting,
    waiting,
    waitingMax,
    waitP50: durationOf(pool.waitP50Ms),
    waitP99: durationOf(pool.waitP99Ms),
    threadsStarted: BigInt(pool.started),
    threadsRecycled: BigInt(pool.recycled),
    threadsLost: BigInt(pool.lost),
    refused: BigInt(pool.refused),
    queues: greatest(pool.tenants, queuesMax, (one) => [one.waiting, one.running]),
    instances: greatest(pool.instances, instancesMax, (one) => [one.prepared + one.kept, one.keptBytes]).map(
      ({ keptBytes, ...counts }) => ({ ...counts, keptBytes: BigInt(keptBytes) }),
    ),
  };
}

/** At most `max` items, greatest first, going by the first measure and then by the second. */
export function greatest<Item>(
  items: readonly Item[],
  max: number,
  measures: (item: Item) => readonly [number, number],
): Item[] {
  return items
    .map((item) => ({ item, measures: measures(item) }))
    .toSorted((a, b) => b.measures[0] - a.measures[0] || b.measures[1] - a.measures[1])
    .slice(0, max)
    .map(({ item }) => item);
}

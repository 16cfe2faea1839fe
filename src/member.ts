/**
 * Composition root of one process of a server that has several: the engine, what
 * clients reach through connections that are handed in, what the other processes
 * reach through a socket, and the link to the leader or to the followers.
 */

import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type AppOptions, publishAll, serverFacts } from './app.ts';
import { timeOrderedId } from './base/identifier.ts';
import { ChangeFeed } from './cluster/change-feed.ts';
import { FollowerDesk } from './cluster/follower-desk.ts';
import { LeaderDesk } from './cluster/leader-desk.ts';
import { leaderService } from './cluster/leader-service.ts';
import { remoteKvStore } from './cluster/remote-kv-store.ts';
import { routedExecutions, runElsewhere } from './cluster/routed-executions.ts';
import { leaderNumber, Routes } from './cluster/routes.ts';
import { RunNotes } from './cluster/run-notes.ts';
import { settledPlugins, warmingOfAll } from './cluster/settled-plugins.ts';
import { wholeServer } from './cluster/whole-server.ts';
import { type Engine, type ExecutedPlugins, startEngine, startEngineWith } from './engine.ts';
import { AdminService } from './gen/caisson/v1/admin_pb.ts';
import { ExecutionService } from './gen/caisson/v1/execution_pb.ts';
import { PluginService } from './gen/caisson/v1/plugin_pb.ts';
import { FollowedRegistry } from './plugins/followed-registry.ts';
import type { PolicyText } from './policy/policy-file.ts';
import { bindService } from './rpc/adapter.ts';
import { adminServiceOf, type ProcessFacts } from './rpc/admin-service.ts';
import { executionServiceOf } from './rpc/execution-service.ts';
import { RpcPeer } from './rpc/peer.ts';
import { pluginServiceOf } from './rpc/plugin-service.ts';
import { RpcServer } from './rpc/server.ts';
import type { ServiceImplementation } from './rpc/service-types.ts';
import type { LogThreshold } from './telemetry/logger.ts';
import { startTracing } from './telemetry/tracing.ts';

export interface MemberOptions extends Omit<AppOptions, 'grpcAddresses' | 'admin'> {
  /** Of this process, from 0 on. */
  readonly number: number;
  readonly processes: number;
  /** Where the processes have their sockets; nobody else reaches it. */
  readonly socketDirectory: string;
  /** Told whenever a connection that was handed in is closed. */
  readonly onClosed: () => void;
}

/** What a process is started with by the one that the user started. */
export interface MemberStart extends Omit<MemberOptions, 'clock' | 'log' | 'environment' | 'policy' | 'onClosed'> {
  readonly logLevel: LogThreshold;
  /** Undefined for the built-in one. */
  readonly policy: PolicyText | undefined;
}

/** The services that this process answers, for clients and for the other processes. */
interface Services {
  readonly engine: Engine<ExecutedPlugins>;
  readonly plugins: ServiceImplementation<typeof PluginService>;
}

export class Member {
  readonly #options: MemberOptions;
  readonly #engine: Engine<ExecutedPlugins>;
  readonly #clients: RpcServer;
  readonly #others: RpcServer;
  readonly #owned: AsyncDisposableStack;
  readonly #connections: Set<Socket>;
  #drained: Promise<void> | undefined;

  private constructor(
    options: MemberOptions,
    parts: {
      engine: Engine<ExecutedPlugins>;
      clients: RpcServer;
      others: RpcServer;
      connections: Set<Socket>;
      owned: AsyncDisposableStack;
    },
  ) {
    this.#options = options;
    this.#engine = parts.engine;
    this.#clients = parts.clients;
    this.#others = parts.others;
    this.#connections = parts.connections;
    this.#owned = parts.owned;
  }

  /** Resolves when the process takes connections. Starts everything, or nothing. */
  static async start(options: MemberOptions): Promise<Member> {
    const { clock, log, version, number } = options;
    await using owned = new AsyncDisposableStack();
    const tracing = await startTracing({ environment: options.environment, serviceVersion: version, clock, log });
    if (tracing) owned.use(tracing);
    const peers = owned.use(new Peers(options));
    const { engine, plugins } = await (number === leaderNumber ? lead(options, owned) : follow(options, peers, owned));
    const connections = new Set<Socket>();
    const bound = bindings(options, { engine, plugins, peers, connections });
    const server = { clock, log, ...(tracing && { tracer: tracing }) };
    const others = owned.use(
      await RpcServer.start({
        ...server,
        services: bound.forOthers,
        addresses: [addressOf(options, number)],
        reflection: false,
      }),
    );
    const clients = owned.use(await RpcServer.start({ ...server, services: bound.forClients, addresses: [] }));
    for (const { health } of [others, clients]) health.setServing(true);
    return new Member(options, { engine, clients, others, connections, owned: owned.move() });
  }

  /** Serves a connection of a client. */
  serve(connection: Socket): void {
    this.#connections.add(connection);
    connection.on('error', () => {});
    connection.once('close', () => {
      this.#connections.delete(connection);
      this.#options.onClosed();
    });
    if (this.#clients.draining.aborted) connection.destroy();
    else this.#clients.serve(connection);
  }

  /** Turns new calls away and lets running executions go on for the grace; what other processes need is still there. */
  drain(): Promise<void> {
    const { graceMs } = this.#options;
    this.#drained ??= Promise.all([
      this.#clients.shutdown({ graceMs }),
      this.#others.shutdown({ graceMs }),
      this.#engine.executions[Symbol.asyncDispose](),
    ]).then(() => {});
    return this.#drained;
  }

  /** Cuts the grace short. */
  hasten(): void {
    this.#clients.forceShutdown();
    this.#others.forceShutdown();
    this.#engine.executions.stopAll();
  }

  /** Lets go of everything. */
  async end(): Promise<void> {
    await this.#owned.disposeAsync();
  }
}

/** The process that keeps the plugins and what they store. */
async function lead(options: MemberOptions, owned: AsyncDisposableStack): Promise<Services> {
  const { clock, log, processes } = options;
  const feed = new ChangeFeed({ clock, log });
  const engine = owned.use(
    await startEngine(options, { newId: idsOf(options), changed: (change) => feed.changed(change) }),
  );
  await publishAll(engine.registry, options);
  const { registry, kv } = engine;
  const desk = owned.use(await LeaderDesk.open({ path: leaderPath(options), clock, log, feed, registry, kv }));
  const plugins = pluginServiceOf(settledPlugins(registry, feed), warmingOfAll(engine.warming, desk, processes));
  return { engine, plugins };
}

/** A process that has all of that from the leader. */
async function follow(options: MemberOptions, peers: Peers, owned: AsyncDisposableStack): Promise<Services> {
  const { clock, log, number, dataDirectory } = options;
  const synced = Promise.withResolvers<void>();
  const desk = owned.use(new FollowerDesk({ path: leaderPath(options), number, clock, log, onSynced: synced.resolve }));
  const notes = owned.use(new RunNotes({ clock, tell: (runs) => desk.tell('ran', runs) }));
  const engine = owned.use(
    await startEngineWith(options, {
      newId: idsOf(options),
      kv: remoteKvStore((call) => desk.request('kv', call)),
      openRegistry: (compiler, { released }) =>
        new FollowedRegistry({
          released,
          dataDirectory,
          compiler,
          log,
          load: async (reference, signal) => void (await desk.request('load', { reference }, signal)),
          leftovers: (plugin) => desk.tell('leftovers', { plugin }),
          noteRun: (version, facts) => notes.add(version, facts),
        }),
    }),
  );
  const { registry, warming } = engine;
  desk.follow({
    registry,
    warm: (reference, threads, signal) => warming.warm(registry.resolve(reference), threads, signal),
  });
  await synced.promise;
  return { engine, plugins: leaderService(PluginService, peers.at(leaderNumber)) };
}

/** Others get what this process itself runs and knows; only the leader sends them on, to where a session is. */
function bindings(
  options: MemberOptions,
  { engine, plugins, peers, connections }: Services & { peers: Peers; connections: ReadonlySet<Socket> },
): { readonly forClients: Bindings; readonly forOthers: Bindings } {
  const { clock, log, number, processes } = options;
  const faults = { clock, log };
  const resolve = (reference: string): ReturnType<ExecutedPlugins['resolve']> => engine.registry.resolve(reference);
  const routes = new Routes({ number, processes, resolve, peer: (other) => peers.at(other) });
  const own = executionServiceOf(engine.executions, faults);
  const routed = routedExecutions(executionServiceOf(engine.executions, faults, runElsewhere(routes)), routes);
  const execution =
    number === leaderNumber ? { ...own, execute: routed.execute, executeStream: routed.executeStream } : own;
  const admin = adminServiceOf({ ...serverFacts(options, engine), process: processFacts(options, connections) });
  return {
    forClients: [
      bindService(ExecutionService, routed),
      bindService(PluginService, plugins),
      bindService(
        AdminService,
        wholeServer(admin, () => routes.others()),
      ),
    ],
    forOthers: [
      bindService(ExecutionService, execution),
      ...(number === leaderNumber ? [bindService(PluginService, plugins)] : []),
      bindService(AdminService, admin),
    ],
  };
}

function processFacts({ number, clock }: MemberOptions, connections: ReadonlySet<Socket>): ProcessFacts {
  const { pid } = process;
  return { number, pid, leader: number === leaderNumber, startMs: clock.now(), connections: () => connections.size };
}

type Bindings = Parameters<typeof RpcServer.start>[0]['services'];

/** The other processes, each reached when it is first called. */
class Peers implements Disposable {
  readonly #options: MemberOptions;
  readonly #peers = new Map<number, RpcPeer>();

  constructor(options: MemberOptions) {
    this.#options = options;
  }

  at(number: number): RpcPeer {
    const peer = this.#peers.get(number) ?? new RpcPeer(addressOf(this.#options, number));
    this.#peers.set(number, peer);
    return peer;
  }

  [Symbol.dispose](): void {
    for (const peer of this.#peers.values()) peer[Symbol.dispose]();
  }
}

function addressOf({ socketDirectory }: MemberOptions, number: number): string {
  return `unix:${join(socketDirectory, `process-${number}.sock`)}`;
}

function leaderPath({ socketDirectory }: MemberOptions): string {
  return join(socketDirectory, 'leader.sock');
}

/** Executions carry the number of their process. */
function idsOf({ number }: MemberOptions): (nowMs: number) => string {
  return (nowMs) => timeOrderedId(nowMs, number);
}

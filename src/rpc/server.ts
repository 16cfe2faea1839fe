/**
 * The gRPC server: its limits, its addresses, its standard services, and the
 * order in which it shuts down. What it serves is handed in.
 */

import type { Duplex } from 'node:stream';
import { type ConnectionInjector, Server, ServerCredentials, type ServerOptions, setLogger } from '@grpc/grpc-js';
import type { Clock } from '../base/clock.ts';
import { onAbort } from '../base/signals.ts';
import { file_google_rpc_error_details } from '../gen/google/rpc/error_details_pb.ts';
import { file_google_rpc_status } from '../gen/google/rpc/status_pb.ts';
import { Health } from '../gen/grpc/health/v1/health_pb.ts';
import { AbortReason } from '../model/abort-reason.ts';
import type { Log } from '../model/log.ts';
import { addService, bindService, type CallHost, type ServiceBinding } from './adapter.ts';
import { LiveCalls } from './call-context.ts';
import { HealthStatuses } from './health-service.ts';
import { isLoopback, listen } from './listen.ts';
import { reflectionOf } from './reflection-service.ts';
import { type CallTracer, tracingInterceptor } from './tracing.ts';

/** What a server serves, and where. */
export interface RpcServerOptions {
  readonly services: readonly ServiceBinding[];
  /** "host:port" or "unix:/path"; port 0 for any free one. None if all connections are handed in. */
  readonly addresses: readonly string[];
  readonly clock: Clock;
  readonly log: Log;
  /** Absent: no call is traced. */
  readonly tracer?: CallTracer;
  /** Whether clients may ask for the descriptors; default true. */
  readonly reflection?: boolean;
  /** Calls at once on one connection; default 1,000. Clients queue what is beyond. */
  readonly concurrentStreamsMax?: number;
}

/** What a shutdown waits for. */
export interface ShutdownOptions {
  /** How long to go on serving while load balancers learn of the end from the health; default 0. */
  readonly delayMs?: number;
  /** How long running calls may go on after that; default 0. */
  readonly graceMs?: number;
}

const mebi = 1_048_576;
/** The greatest input or output, 16 MiB, and what stands around it: configuration of 1 MiB, labels, names. */
export const messageBytesMax = 18 * mebi;
const concurrentStreamsMaxDefault = 1_000;
const keepaliveMs = 30_000;
const keepaliveTimeoutMs = 10_000;
const connectionIdleMsMax = 300_000;
/** How long aborted calls may take to tell their clients. */
const farewellMsMax = 1_000;

/** A server that listens from start to shutdown. */
export class RpcServer implements AsyncDisposable {
  /** Says NOT_SERVING until told otherwise. */
  readonly health: HealthStatuses;
  readonly #server: Server;
  readonly #options: RpcServerOptions;
  readonly #live = new LiveCalls();
  readonly #draining = new AbortController();
  readonly #forced = new AbortController();
  #addresses: readonly string[] = [];
  #injector: ConnectionInjector | undefined;
  /** The ends of the connections that were handed in: grpc-js waits for those only that it has accepted. */
  readonly #injected = new Set<Promise<void>>();
  #shutdown: Promise<void> | undefined;

  private constructor(options: RpcServerOptions) {
    this.#options = options;
    this.#server = new Server(serverOptions(options));
    this.health = new HealthStatuses(options.services.map(({ descriptor }) => descriptor.typeName));
    const { clock, log } = options;
    const host: CallHost = { clock, log, live: this.#live, draining: this.#draining.signal };
    const health = bindService(Health, this.health.service(), { servesWhileDraining: true });
    for (const binding of [...options.services, health, ...this.#reflection()]) addService(this.#server, binding, host);
  }

  /** Resolves when all addresses are bound; otherwise none stays bound. */
  static async start(options: RpcServerOptions): Promise<RpcServer> {
    // grpc-js has one logger for the whole process, and it writes bare lines to
    // stderr. Callers can make it write, so nothing of it is worth a warning.
    setLogger({ error: (text: unknown) => options.log.debug({ source: 'grpc-js' }, String(text)) });
    const server = new RpcServer(options);
    try {
      for (const address of options.addresses) {
        server.#addresses = [...server.#addresses, await listen(server.#server, address)];
      }
    } catch (error) {
      server.#server.forceShutdown();
      throw error;
    }
    if (server.#addresses.length > 0) options.log.info({ addresses: server.#addresses }, 'Serving gRPC');
    const reachable = server.#addresses.filter((address) => !isLoopback(address));
    if (reachable.length > 0)
      options.log.warn({ addresses: reachable }, 'Serving other machines without authentication');
    return server;
  }

  /** As bound, with real ports. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** Serves a connection that somebody else has accepted. */
  serve(connection: Duplex): void {
    this.#injector ??= this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    const closed = new Promise<void>((resolve) => connection.once('close', resolve));
    this.#injected.add(closed);
    void closed.then(() => this.#injected.delete(closed));
    this.#injector.injectConnection(connection);
  }

  /** Aborts when the shutdown begins to turn calls away. */
  get draining(): AbortSignal {
    return this.#draining.signal;
  }

  /**
   * Tells watchers of the health, waits the delay, turns new calls away and ends
   * readers, lets running calls go on for the grace, aborts the rest with
   * SHUTDOWN, and closes the connections. Later calls wait for the first one.
   */
  shutdown(options: ShutdownOptions = {}): Promise<void> {
    this.#shutdown ??= this.#shutDown(options);
    return this.#shutdown;
  }

  /** Cuts short whatever the shutdown waits for: for a second signal. */
  forceShutdown(): void {
    this.#forced.abort(new AbortReason('SHUTDOWN'));
  }

  /** A shutdown without delay and grace. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.shutdown();
  }

  async #shutDown({ delayMs = 0, graceMs = 0 }: ShutdownOptions): Promise<void> {
    const { log } = this.#options;
    log.info({ delay_ms: delayMs, grace_ms: graceMs }, 'Shutting down gRPC');
    this.health.shutDown();
    if (delayMs > 0) await this.#wait(delayMs);
    const closed = this.#closeGently();
    this.#draining.abort(new AbortReason('SHUTDOWN'));
    await this.#wait(graceMs, closed);
    if (this.#live.size > 0)
      log.warn({ calls: this.#live.size }, 'Aborting the calls that the grace did not suffice for');
    this.#live.stop();
    await this.#wait(farewellMsMax, closed);
    this.#server.forceShutdown();
    await closed;
    log.info({}, 'Stopped serving gRPC');
  }

  /** Takes no further connection or call; resolves when the last connection has ended. */
  async #closeGently(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    await Promise.all([closed, ...this.#injected]);
  }

  /** Resolves after `ms`, or sooner when `until` does or the shutdown is forced. */
  #wait(ms: number, until?: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const settle = (): void => {
        timer[Symbol.dispose]();
        forcing[Symbol.dispose]();
        resolve();
      };
      const timer = this.#options.clock.after(ms, settle, { keepAlive: true });
      const forcing = onAbort(this.#forced.signal, () => queueMicrotask(settle));
      void until?.then(settle);
    });
  }

  #reflection(): readonly ServiceBinding[] {
    if (this.#options.reflection === false) return [];
    const services = [...this.#options.services.map(({ descriptor }) => descriptor), Health];
    return reflectionOf(services, [file_google_rpc_error_details, file_google_rpc_status]);
  }
}

function serverOptions(options: RpcServerOptions): ServerOptions {
  return {
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
    'grpc.max_concurrent_streams': options.concurrentStreamsMax ?? concurrentStreamsMaxDefault,
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
    'grpc.max_connection_idle_ms': connectionIdleMsMax,
    // Left on, unused: without it grpc-js forgets its sessions, and forceShutdown
    // leaves their connections open.
    'grpc.enable_channelz': 1,
    interceptors: options.tracer ? [tracingInterceptor(options.tracer)] : [],
  };
}

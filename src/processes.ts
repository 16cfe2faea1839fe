/**
 * Composition root of a server with several processes, as the process that the
 * user starts sees it: the listeners, the workers behind them, and the admin
 * listener. It runs no guest.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AdminServer } from './admin/admin-server.ts';
import { type AppOptions, boundAddress, type RunningServer } from './app.ts';
import { type DoorPlace, FrontDoor } from './cluster/front-door.ts';
import { shareOf } from './cluster/shares.ts';
import { forkProcess } from './cluster/supervised-process.ts';
import { Supervisor } from './cluster/supervisor.ts';
import type { MemberStart } from './member.ts';

export interface ProcessesOptions
  extends Omit<MemberStart, 'number' | 'socketDirectory'>,
    Pick<AppOptions, 'clock' | 'log' | 'admin'> {
  /** Where clients connect; at least one. */
  readonly places: readonly DoorPlace[];
  /** Told when the server ends by itself, because a process cannot be replaced. */
  readonly onGaveUp: () => void;
}

export class Processes implements RunningServer {
  readonly #options: ProcessesOptions;
  readonly #supervisor: Supervisor<MemberStart>;
  readonly #door: FrontDoor;
  readonly #admin: AdminServer | undefined;
  readonly #owned: AsyncDisposableStack;

  private constructor(
    options: ProcessesOptions,
    parts: { supervisor: Supervisor<MemberStart>; door: FrontDoor; admin: AdminServer | undefined },
    owned: AsyncDisposableStack,
  ) {
    this.#options = options;
    this.#supervisor = parts.supervisor;
    this.#door = parts.door;
    this.#admin = parts.admin;
    this.#owned = owned;
  }

  /** Resolves when all processes are ready and clients can connect. Starts everything, or nothing. */
  static async start(options: ProcessesOptions): Promise<Processes> {
    const { clock, log, processes, graceMs, onGaveUp } = options;
    await using owned = new AsyncDisposableStack();
    const socketDirectory = await mkdtemp(join(tmpdir(), 'caisson-processes-'));
    owned.defer(() => rm(socketDirectory, { recursive: true, force: true }));
    const supervisor = owned.use(
      await Supervisor.start<MemberStart>({
        processes,
        clock,
        log,
        graceMs,
        onGaveUp,
        startProcess: () => forkProcess(new URL('./worker.ts', import.meta.url)),
        startOf: (number) => startOf(options, { number, socketDirectory }),
      }),
    );
    const door = owned.use(
      await FrontDoor.open({ places: options.places, log, take: (connection) => supervisor.take(connection) }),
    );
    const checks = { processes: () => supervisor.unready };
    const admin = options.admin && owned.use(await AdminServer.start({ ...options.admin, checks }));
    return new Processes(options, { supervisor, door, admin }, owned.move());
  }

  get grpcAddresses(): readonly string[] {
    return this.#door.addresses;
  }

  get adminAddress(): string | undefined {
    return boundAddress(this.#options.admin, this.#admin);
  }

  /** The admin listener says to the end why the server is not ready. */
  async shutdown(): Promise<void> {
    this.#door[Symbol.dispose]();
    await this.#supervisor[Symbol.asyncDispose]();
    await this.#owned.disposeAsync();
  }

  hasten(): void {
    this.#supervisor.hasten();
  }
}

/** Threads are given for all processes together. */
function startOf(
  options: ProcessesOptions,
  { number, socketDirectory }: Pick<MemberStart, 'number' | 'socketDirectory'>,
): MemberStart {
  const { version, dataDirectory, queueMax, graceMs, allowedFeatures, publish } = options;
  const { processes, logLevel, policy } = options;
  const place = { number, processes };
  const threadsMin = shareOf(options.threadsMin, place);
  const threadsMax = shareOf(options.threadsMax, place);
  const shared = { version, dataDirectory, queueMax, graceMs, allowedFeatures, publish, processes, logLevel, policy };
  return { ...shared, number, socketDirectory, threadsMin, threadsMax };
}

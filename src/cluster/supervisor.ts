/**
 * Keeps the worker processes of one server: starts them, gives them connections
 * evenly, replaces those that end, and ends all of them in order. Runs no guest,
 * and knows no protocol.
 */

import type { Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Log } from '../model/log.ts';
import type { FromWorker } from './process-messages.ts';
import { leaderNumber } from './routes.ts';
import type { SupervisedProcess } from './supervised-process.ts';

export interface SupervisorOptions<Start> {
  readonly processes: number;
  readonly clock: Clock;
  readonly log: Log;
  /** How long executions may go on at the end. */
  readonly graceMs: number;
  /** Starts a process; it gets `startOf` its number as its first message. */
  readonly startProcess: () => SupervisedProcess<Start>;
  readonly startOf: (number: number) => Start;
  /** Told once when a process cannot be replaced: the server is to end. */
  readonly onGaveUp: () => void;
}

/** Starts that fail one after the other before the supervisor gives up. */
export const failedStartsMax = 8;
/** Connections that wait while no process is ready; more are closed. */
export const waitingConnectionsMax = 1_000;

const pauseMsFirst = 50;
const pauseMsMax = 10_000;
/** A process that lived so long is replaced without a pause. */
const soundMsMin = 10_000;
/** Beyond the grace: what aborted executions and their callers may still take. */
const drainMsMax = 8_000;
const endMsMax = 5_000;

/**
 * | from     | to       | by                                        |
 * |----------|----------|-------------------------------------------|
 * | starting | ready    | its message                               |
 * | ready    | drained  | its message, after it was told to drain   |
 * | any      | gone     | its end                                   |
 * | gone     | starting | the supervisor, after a pause             |
 */
type SlotState = 'starting' | 'ready' | 'drained' | 'gone';

/** The place of a process: its number stays, the process is replaced. */
interface Slot<Start> {
  readonly number: number;
  state: SlotState;
  process: SupervisedProcess<Start> | undefined;
  connections: number;
  /** Starts that failed, and lives that were short, since the last sound one. */
  failures: number;
  failedStarts: number;
  pause: Disposable | undefined;
  /** Settled anew with each process. */
  ready: PromiseWithResolvers<void>;
}

export class Supervisor<Start> implements AsyncDisposable {
  readonly #options: SupervisorOptions<Start>;
  readonly #slots: readonly Slot<Start>[];
  readonly #waiting: Socket[] = [];
  /** Whoever waits for a state looks again. */
  readonly #wakers = new Set<() => void>();
  #isEnding = false;
  #hasGivenUp = false;
  #ended: Promise<void> | undefined;

  private constructor(options: SupervisorOptions<Start>) {
    this.#options = options;
    this.#slots = Array.from({ length: options.processes }, (_, number) => slotOf(number));
  }

  /** Resolves when every process is ready; rejects with what the first of them failed with, and then none is left. */
  static async start<Start>(options: SupervisorOptions<Start>): Promise<Supervisor<Start>> {
    const supervisor = new Supervisor(options);
    for (const slot of supervisor.#slots) supervisor.#begin(slot);
    try {
      await Promise.all(supervisor.#slots.map(({ ready }) => ready.promise));
      return supervisor;
    } catch (error) {
      supervisor.#isEnding = true;
      await supervisor.#endAll();
      throw error;
    }
  }

  /** Process ids of those that run, by number. */
  get pids(): readonly (number | undefined)[] {
    return this.#slots.map(({ process }) => process?.pid);
  }

  /** What stands against being ready, if anything. */
  get unready(): string | undefined {
    const missing = this.#slots.filter(({ state }) => state !== 'ready').map(({ number }) => number);
    if (this.#isEnding) return 'the server is shutting down';
    return missing.length === 0 ? undefined : `not running: ${missing.map((number) => `process ${number}`).join(', ')}`;
  }

  /** Gives a connection to the process that has the fewest, as soon as one is ready. */
  take(connection: Socket): void {
    connection.on('error', () => {});
    if (this.#isEnding || this.#waiting.length >= waitingConnectionsMax) connection.destroy();
    else void this.#give(connection);
  }

  /** Has all processes drain, and ends them, the leader last. Later calls wait for the first one. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#isEnding = true;
    this.#ended ??= this.#end();
    return this.#ended;
  }

  /** Cuts the grace short. */
  hasten(): void {
    for (const { process } of this.#slots) process?.send({ type: 'hasten' }).catch(() => {});
  }

  #begin(slot: Slot<Start>): void {
    const { clock, log } = this.#options;
    const process = this.#options.startProcess();
    const startedMs = clock.monotonic();
    slot.process = process;
    slot.state = 'starting';
    slot.connections = 0;
    process.onMessage = (message) => this.#hear(slot, message);
    process.send({ type: 'start', start: this.#options.startOf(slot.number) }).catch(() => {});
    log.info({ process: slot.number, pid: process.pid }, 'Starting a process');
    void process.ended.then((how) => this.#lose(slot, how, clock.monotonic() - startedMs));
  }

  #hear(slot: Slot<Start>, message: FromWorker): void {
    switch (message.type) {
      case 'ready':
        slot.state = 'ready';
        slot.failedStarts = 0;
        slot.ready.resolve();
        for (const connection of this.#waiting.splice(0)) void this.#give(connection);
        break;
      case 'failed':
        slot.ready.reject(new ExecError(message.reason, message.message));
        break;
      case 'closed':
        slot.connections -= message.connections;
        break;
      case 'drained':
        slot.state = 'drained';
        break;
    }
    this.#wakeAll();
  }

  #lose(slot: Slot<Start>, how: string, livedMs: number): void {
    const hadStarted = slot.state !== 'starting';
    slot.state = 'gone';
    slot.process = undefined;
    slot.ready.reject(new ExecError('PROCESS_UNAVAILABLE', `Process ${slot.number} ended while it started (${how})`));
    this.#wakeAll();
    if (this.#isEnding) return;
    this.#options.log.error({ process: slot.number, how, lived_ms: Math.round(livedMs) }, 'A process has ended');
    slot.failures = livedMs >= soundMsMin ? 0 : slot.failures + 1;
    slot.failedStarts = hadStarted ? 0 : slot.failedStarts + 1;
    if (slot.failedStarts >= failedStartsMax) this.#giveUp(slot);
    else this.#replace(slot);
  }

  #replace(slot: Slot<Start>): void {
    slot.ready = readiness();
    const pauseMs = slot.failures === 0 ? 0 : Math.min(pauseMsMax, pauseMsFirst * 2 ** (slot.failures - 1));
    const begin = (): void => {
      if (!this.#isEnding) this.#begin(slot);
    };
    slot.pause = this.#options.clock.after(pauseMs, begin, { keepAlive: true });
  }

  #giveUp({ number }: Slot<Start>): void {
    if (this.#hasGivenUp) return;
    this.#hasGivenUp = true;
    this.#options.log.error({ process: number, tries: failedStartsMax }, 'A process cannot be started: giving up');
    this.#options.onGaveUp();
  }

  async #give(connection: Socket): Promise<void> {
    for (;;) {
      const [slot] = this.#slots
        .filter(({ state }) => state === 'ready')
        .toSorted((one, other) => one.connections - other.connections);
      if (!slot?.process) break;
      slot.connections++;
      try {
        return await slot.process.send({ type: 'connection' }, connection);
      } catch {
        // It has ended, which is about to be noticed.
        slot.state = 'gone';
      }
    }
    if (this.#isEnding) connection.destroy();
    else this.#waiting.push(connection);
  }

  async #end(): Promise<void> {
    const { graceMs, log } = this.#options;
    log.info({ processes: this.#slots.length, grace_ms: graceMs }, 'Ending all processes');
    for (const slot of this.#slots) this.#beginDrain(slot);
    for (const connection of this.#waiting.splice(0)) connection.destroy();
    await this.#until(graceMs + drainMsMax, () =>
      this.#slots.every(({ state }) => state === 'drained' || state === 'gone'),
    );
    await this.#endAll();
    log.info({}, 'All processes have ended');
  }

  #beginDrain(slot: Slot<Start>): void {
    slot.pause?.[Symbol.dispose]();
    if (slot.state === 'starting') slot.process?.kill();
    else slot.process?.send({ type: 'drain' }).catch(() => {});
  }

  /** Followers need the leader until they have ended. */
  async #endAll(): Promise<void> {
    await Promise.all(this.#slots.filter(({ number }) => number !== leaderNumber).map((slot) => this.#endOne(slot)));
    await Promise.all(this.#slots.filter(({ number }) => number === leaderNumber).map((slot) => this.#endOne(slot)));
  }

  async #endOne(slot: Slot<Start>): Promise<void> {
    slot.pause?.[Symbol.dispose]();
    slot.ready.promise.catch(() => {});
    const { process } = slot;
    if (!process) return;
    if (slot.state === 'starting') process.kill();
    else process.send({ type: 'end' }).catch(() => process.kill());
    await this.#until(endMsMax, () => slot.process === undefined);
    process.kill();
    await process.ended;
  }

  #wakeAll(): void {
    for (const wake of this.#wakers) wake();
  }

  /** Resolves when the condition holds, or after `ms`. */
  #until(ms: number, holds: () => boolean): Promise<void> {
    if (holds()) return Promise.resolve();
    return new Promise((resolve) => {
      const settle = (): void => {
        timer[Symbol.dispose]();
        this.#wakers.delete(look);
        resolve();
      };
      const look = (): void => {
        if (holds()) settle();
      };
      const timer = this.#options.clock.after(ms, settle, { keepAlive: true });
      this.#wakers.add(look);
    });
  }
}

function slotOf<Start>(number: number): Slot<Start> {
  return {
    number,
    state: 'gone',
    process: undefined,
    connections: 0,
    failures: 0,
    failedStarts: 0,
    pause: undefined,
    ready: readiness(),
  };
}

/** Whether anybody waits for it or not. */
function readiness(): PromiseWithResolvers<void> {
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => {});
  return ready;
}

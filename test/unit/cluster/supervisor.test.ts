import { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import type { ToWorker } from '../../../src/cluster/process-messages.ts';
import type { SupervisedProcess } from '../../../src/cluster/supervised-process.ts';
import { failedStartsMax, Supervisor, waitingConnectionsMax } from '../../../src/cluster/supervisor.ts';
import { ManualClock, settled } from '../base/manual-clock.ts';
import { MemoryLog } from '../plugins/fakes.ts';

/** A process that does what a test says. */
class FakeProcess implements SupervisedProcess<number> {
  readonly pid: number;
  readonly told: ToWorker<number>['type'][] = [];
  readonly connections: Socket[] = [];
  onMessage: SupervisedProcess<number>['onMessage'] = () => {};
  number = -1;
  isAlive = true;
  readonly #ended = Promise.withResolvers<string>();
  readonly #onTold: (process: FakeProcess, type: ToWorker<number>['type']) => void;

  constructor(pid: number, onTold: (process: FakeProcess, type: ToWorker<number>['type']) => void) {
    this.pid = pid;
    this.#onTold = onTold;
  }

  get ended(): Promise<string> {
    return this.#ended.promise;
  }

  async send(message: ToWorker<number>, connection?: Socket): Promise<void> {
    if (!this.isAlive) throw new Error('gone');
    if (message.type === 'start') this.number = message.start;
    if (connection) this.connections.push(connection);
    this.told.push(message.type);
    this.#onTold(this, message.type);
  }

  end(how: string): void {
    this.isAlive = false;
    this.#ended.resolve(how);
  }

  kill(): void {
    this.end('signal SIGKILL');
  }
}

type Reaction = (process: FakeProcess, type: ToWorker<number>['type']) => void;

/** Is ready at once, drains at once, and ends when told to. */
const obedient: Reaction = (process, type) => {
  if (type === 'start') process.onMessage({ type: 'ready' });
  if (type === 'drain') process.onMessage({ type: 'drained' });
  if (type === 'end') process.end('exit 0');
};

function world(processes: number, reaction: Reaction = obedient) {
  const clock = new ManualClock();
  const log = new MemoryLog();
  const started: FakeProcess[] = [];
  const order: string[] = [];
  let givenUp = 0;
  const current = { reaction };
  const options = {
    processes,
    clock,
    log,
    graceMs: 1_000,
    startProcess: () => {
      const process = new FakeProcess(100 + started.length, (one, type) => {
        order.push(`${type} ${one.number}`);
        current.reaction(one, type);
      });
      started.push(process);
      return process;
    },
    startOf: (number: number) => number,
    onGaveUp: () => {
      givenUp++;
    },
  };
  return { clock, log, started, order, options, current, givenUp: () => givenUp };
}

describe('A supervisor', () => {
  test('starts a process for each number and is ready with the last of them', async () => {
    const { options, started, clock } = world(3, () => {});
    const starting = Supervisor.start(options);
    for (const process of started.slice(1)) process.onMessage({ type: 'ready' });
    let isReady = false;
    void starting.then(() => {
      isReady = true;
    });
    await settled();
    expect(isReady).toBe(false);
    started[0]?.onMessage({ type: 'ready' });
    const supervisor = await starting;
    expect(started.map(({ number }) => number)).toEqual([0, 1, 2]);
    expect(supervisor.pids).toEqual([100, 101, 102]);
    expect(supervisor.unready).toBeUndefined();
    expect(clock.timers).toBe(0);
  });

  test('does not start if one process cannot, says why, and leaves none', async () => {
    const { options, started } = world(3, (process, type) => {
      if (type === 'start' && process.number === 1) {
        process.onMessage({ type: 'failed', reason: 'STORAGE_FAILED', message: 'in use' });
        process.end('exit 1');
      }
    });
    await expect(Supervisor.start(options)).rejects.toMatchObject({ reason: 'STORAGE_FAILED', message: 'in use' });
    expect(started.map(({ isAlive }) => isAlive)).toEqual([false, false, false]);
  });

  test('does not start if one process dies, and says how', async () => {
    const { options } = world(2, (process, type) => {
      if (type === 'start' && process.number === 1) process.end('signal SIGSEGV');
    });
    await expect(Supervisor.start(options)).rejects.toThrow('Process 1 ended while it started (signal SIGSEGV)');
  });

  test('gives each connection to the process with the fewest', async () => {
    const { options, started } = world(3);
    const supervisor = await Supervisor.start(options);
    for (let count = 0; count < 7; count++) supervisor.take(new Socket());
    await settled();
    expect(started.map(({ connections }) => connections.length)).toEqual([3, 2, 2]);
    started[2]?.onMessage({ type: 'closed', connections: 2 });
    for (let count = 0; count < 2; count++) supervisor.take(new Socket());
    await settled();
    expect(started.map(({ connections }) => connections.length)).toEqual([3, 2, 4]);
  });

  test('replaces a process that ends, and gives connections to the others meanwhile', async () => {
    const { options, started, clock, current } = world(2);
    const supervisor = await Supervisor.start(options);
    await clock.advance(10_000);
    current.reaction = () => {};
    started[1]?.end('signal SIGKILL');
    await settled();
    expect(supervisor.unready).toBe('not running: process 1');
    for (let count = 0; count < 3; count++) supervisor.take(new Socket());
    await clock.advance(0);
    expect(started[0]?.connections).toHaveLength(3);
    expect(started[2]).toMatchObject({ number: 1, pid: 102 });
    expect(supervisor.unready).toBe('not running: process 1');
    started[2]?.onMessage({ type: 'ready' });
    expect(supervisor.unready).toBeUndefined();
    expect(supervisor.pids).toEqual([100, 102]);
    supervisor.take(new Socket());
    await settled();
    expect(started[2]?.connections).toHaveLength(1);
  });

  test('gives a connection to another if a process turns out to be gone', async () => {
    const { options, started } = world(2);
    const supervisor = await Supervisor.start(options);
    const [first] = started;
    if (first) first.isAlive = false;
    supervisor.take(new Socket());
    await settled();
    expect(started[1]?.connections).toHaveLength(1);
  });

  test('keeps so many connections waiting while no process is ready, and closes more', async () => {
    const { options, started, clock, current } = world(1);
    const supervisor = await Supervisor.start(options);
    current.reaction = () => {};
    started[0]?.end('exit 1');
    await settled();
    const sockets = Array.from({ length: waitingConnectionsMax + 1 }, () => new Socket());
    for (const socket of sockets) supervisor.take(socket);
    expect(sockets.map(({ destroyed }) => destroyed).lastIndexOf(false)).toBe(waitingConnectionsMax - 1);
    expect(sockets.at(-1)?.destroyed).toBe(true);
    await clock.advance(50);
    started[1]?.onMessage({ type: 'ready' });
    await settled();
    expect(started[1]?.connections).toHaveLength(waitingConnectionsMax);
  });

  test('pauses longer with every life that was short, and not after a sound one', async () => {
    const { options, started, clock } = world(1);
    await Supervisor.start(options);
    for (const pauseMs of [50, 100, 200, 400]) {
      const count = started.length;
      started.at(-1)?.end('exit 1');
      await settled();
      await clock.advance(pauseMs - 1);
      expect(started).toHaveLength(count);
      await clock.advance(1);
      expect(started).toHaveLength(count + 1);
    }
    await clock.advance(10_000);
    started.at(-1)?.end('exit 1');
    await settled();
    await clock.advance(0);
    expect(started).toHaveLength(6);
  });

  test('gives up when a process fails to start again and again, and not before', async () => {
    const { options, started, clock, current, givenUp } = world(2);
    await Supervisor.start(options);
    started[0]?.end('exit 1');
    await settled();
    current.reaction = (process, type) => {
      if (type === 'start') process.end('exit 1');
    };
    const before = started.length;
    while (givenUp() === 0) await clock.advance(10);
    expect(started.length - before).toBe(failedStartsMax);
    const count = started.length;
    await clock.advance(60_000);
    expect(started).toHaveLength(count);
  });

  test('ends all after they have drained, the leader last', async () => {
    const { options, order, started, clock } = world(3);
    const supervisor = await Supervisor.start(options);
    order.splice(0);
    await Promise.all([supervisor[Symbol.asyncDispose](), supervisor[Symbol.asyncDispose]()]);
    expect(order).toEqual(['drain 0', 'drain 1', 'drain 2', 'end 1', 'end 2', 'end 0']);
    expect(started.every(({ isAlive }) => !isAlive)).toBe(true);
    expect(clock.timers).toBe(0);
    const late = new Socket();
    supervisor.take(late);
    expect(late.destroyed).toBe(true);
  });

  test('waits for the grace and then ends processes that do not drain, by force if need be', async () => {
    const { options, started, clock, current } = world(2);
    const supervisor = await Supervisor.start(options);
    current.reaction = () => {};
    const ending = supervisor[Symbol.asyncDispose]();
    await clock.advance(8_999);
    expect(started[1]?.told).toEqual(['start', 'drain']);
    await clock.advance(1);
    expect(started[1]?.told).toEqual(['start', 'drain', 'end']);
    await clock.advance(5_000);
    expect(started.map(({ isAlive }) => isAlive)).toEqual([true, false]);
    await clock.advance(5_000);
    await ending;
    expect(started.map(({ isAlive }) => isAlive)).toEqual([false, false]);
  });

  test('replaces nothing while it ends', async () => {
    const { options, started, clock, current } = world(2);
    const supervisor = await Supervisor.start(options);
    current.reaction = (process, type) => {
      if (type === 'drain') process.end('signal SIGSEGV');
    };
    await supervisor[Symbol.asyncDispose]();
    await clock.advance(60_000);
    expect(started).toHaveLength(2);
  });

  test('passes on that the grace is cut short', async () => {
    const { options, started } = world(2);
    const supervisor = await Supervisor.start(options);
    supervisor.hasten();
    expect(started.map(({ told }) => told.at(-1))).toEqual(['hasten', 'hasten']);
  });
});

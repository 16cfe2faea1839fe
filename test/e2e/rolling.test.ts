/** Versions that come and go while their plugin is called: nobody notices but by what they get. */

import { describe, expect, test } from 'vitest';
import { type Execution, Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import { PluginState } from '../../src/gen/caisson/v1/plugin_pb.ts';
import { outputOf, spin } from '../helpers/guests.ts';
import { type Clients, clientsOf, publishWat, run } from '../helpers/plugins.ts';
import { startServer } from '../helpers/server.ts';

const callers = 4;
const versions = 10;

/** What callers in loops have seen of a plugin whose version N gives N bytes of output. */
class Load {
  readonly #clients: Clients;
  readonly #ended: Promise<void>[];
  #isOver = false;
  /** The greatest version that any ended call has seen. */
  #newest = 0;
  readonly seen = new Set<number>();
  readonly errors: unknown[] = [];
  calls = 0;
  /** The greatest version whose publishing has begun. */
  announced = 1;
  /** The greatest version whose publishing has been answered. */
  published = 1;

  constructor(clients: Clients) {
    this.#clients = clients;
    this.#ended = Array.from({ length: callers }, () => this.#loop());
  }

  /** Resolves when so many calls more have ended. */
  async pass(count: number): Promise<void> {
    const until = this.calls + count;
    while (this.calls < until && this.errors.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#ended);
  }

  async #loop(): Promise<void> {
    while (!this.#isOver) {
      const before = { newest: this.#newest, published: this.published };
      try {
        const execution = await run(this.#clients, { plugin: 'rolling', function: 'run' });
        this.#check(execution, before);
      } catch (error) {
        this.errors.push(error);
        return;
      }
      this.calls++;
    }
  }

  /** No older version than a call before it has seen, none that is not published yet, and none older than one that is. */
  #check(
    { outcome, output, plugin }: Execution,
    before: { readonly newest: number; readonly published: number },
  ): void {
    const version = output.length;
    expect(outcome).toBe(Outcome.OK);
    expect(plugin).toBe(`rolling@${version}.0.0`);
    expect(version).toBeGreaterThanOrEqual(Math.max(before.newest, before.published));
    expect(version).toBeLessThanOrEqual(this.announced);
    this.#newest = Math.max(this.#newest, version);
    this.seen.add(version);
  }
}

async function publishRolling(clients: Clients, version: number): Promise<void> {
  await publishWat(clients, 'rolling', outputOf(version), { version: `${version}.0.0` });
}

/** Publishes version after version under load, and does something after each. */
async function roll(clients: Clients, afterEach: (version: number) => Promise<void>): Promise<Load> {
  await publishRolling(clients, 1);
  const load = new Load(clients);
  for (let version = 2; version <= versions; version++) {
    load.announced = version;
    await publishRolling(clients, version);
    load.published = version;
    await afterEach(version);
    await load.pass(2 * callers);
  }
  await load.end();
  return load;
}

describe('A plugin that is called all the time', () => {
  test('gets version after version without an error, each from the moment it runs', async () => {
    await using server = await startServer({ examples: false });
    using clients = clientsOf(server.address);
    const load = await roll(clients, async () => {});
    expect(load.errors).toEqual([]);
    expect([...load.seen]).toEqual(Array.from({ length: versions }, (_, at) => at + 1));
  }, 60_000);

  test('loses its old versions without an error', async () => {
    await using server = await startServer({ examples: false });
    using clients = clientsOf(server.address);
    const load = await roll(clients, async (version) => {
      const old = { plugin: `rolling@${version - 1}.0.0` };
      await (version % 2 === 0 ? clients.plugins.stopPlugin(old) : clients.plugins.retirePlugin(old));
      await clients.plugins.deletePlugin(old);
    });
    expect(load.errors).toEqual([]);
    const { plugins } = await clients.plugins.listPlugins({ name: 'rolling' });
    expect(plugins.map(({ version }) => version)).toEqual([`${versions}.0.0`]);
  }, 60_000);

  test('goes back to the version before when the newest is stopped, and forward when it starts, without an error', async () => {
    await using server = await startServer({ examples: false });
    using clients = clientsOf(server.address);
    for (const version of [1, 2]) await publishRolling(clients, version);
    const errors: unknown[] = [];
    const over = new AbortController();
    const loop = async (): Promise<void> => {
      while (!over.signal.aborted) {
        await run(clients, { plugin: 'rolling', function: 'run' }).then(
          ({ outcome }) => expect(outcome).toBe(Outcome.OK),
          (error: unknown) => errors.push(error),
        );
      }
    };
    const loops = Array.from({ length: callers }, loop);
    for (let round = 0; round < 20; round++) {
      await clients.plugins.stopPlugin({ plugin: 'rolling@2.0.0' });
      await clients.plugins.startPlugin({ plugin: 'rolling@2.0.0' });
    }
    over.abort();
    await Promise.all(loops);
    expect(errors).toEqual([]);
  }, 60_000);
});

describe('A call that is under way', () => {
  const timeout = { seconds: 2n };

  test.each(['stopPlugin', 'retirePlugin'] as const)('goes on through %s and the deletion', async (change) => {
    await using server = await startServer({ examples: false });
    using clients = clientsOf(server.address);
    await publishWat(clients, 'spin', spin);
    const call = run(clients, { plugin: 'spin', function: 'run', limits: { timeout } });
    call.catch(() => {});
    await untilRunning(clients);
    const plugin = 'spin@1.0.0';
    await clients.plugins[change]({ plugin });
    await expect(run(clients, { plugin, function: 'run' })).rejects.toMatchObject({ codeName: 'FAILED_PRECONDITION' });
    await clients.plugins.deletePlugin({ plugin });
    await expect(run(clients, { plugin, function: 'run' })).rejects.toMatchObject({ codeName: 'NOT_FOUND' });
    expect((await call).outcome).toBe(Outcome.TIMED_OUT);
  });

  test('goes on while its number is given to another module', async () => {
    await using server = await startServer({ examples: false });
    using clients = clientsOf(server.address);
    await publishWat(clients, 'spin', spin);
    const plugin = 'spin@1.0.0';
    const call = run(clients, { plugin, function: 'run', limits: { timeout } });
    call.catch(() => {});
    await untilRunning(clients);
    await clients.plugins.stopPlugin({ plugin });
    await clients.plugins.deletePlugin({ plugin });
    const published = await publishWat(clients, 'spin', outputOf(3));
    expect(published).toMatchObject({ created: true, plugin: { state: PluginState.RUNNING } });
    expect((await run(clients, { plugin, function: 'run' })).output).toHaveLength(3);
    expect((await call).outcome).toBe(Outcome.TIMED_OUT);
  });
});

/** Waits until the one execution that there is runs. */
async function untilRunning(clients: Clients): Promise<void> {
  for (;;) {
    const { executions } = await clients.executions.listExecutions({ stage: 2 });
    if (executions.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A process of a server that is killed takes its own calls with it and nothing else, and is replaced. */

import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Outcome, Stage } from '../../src/gen/caisson/v1/execution_pb.ts';
import { callGuest, capabilityGuest, kvGuest, publishGuest, textOf } from '../helpers/capability-guests.ts';
import { hello, spin } from '../helpers/guests.ts';
import { publishWat, run } from '../helpers/plugins.ts';
import { isProcess, type ProcessClients, type ProcessesServer, startProcesses } from '../helpers/processes.ts';

/** What callers in loops have seen, each on a connection of its own. */
class Load implements AsyncDisposable {
  readonly failures: { readonly number: number; readonly error: { readonly codeName: string } }[] = [];
  calls = 0;
  readonly #over = new AbortController();
  readonly #loops: readonly Promise<void>[];

  constructor(each: readonly ProcessClients[]) {
    this.#loops = each.map((clients) => this.#loop(clients));
  }

  /** Resolves when so many calls more have ended well. */
  async pass(count: number): Promise<void> {
    const until = this.calls + count;
    while (this.calls < until) await sleep(5);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await Promise.all(this.#loops);
  }

  async #loop(clients: ProcessClients): Promise<void> {
    while (!this.#over.signal.aborted) {
      try {
        const { outcome } = await run(clients, { plugin: 'hello', function: 'run' });
        expect(outcome).toBe(Outcome.OK);
        this.calls++;
      } catch (error) {
        this.failures.push({ number: clients.number, error: error as { codeName: string } });
        await sleep(20);
      }
    }
  }
}

/** The process that has replaced another. */
async function replaced(group: ProcessesServer, clients: ProcessClients, victim: number): Promise<number> {
  for (;;) {
    const { processes } = await clients.info();
    const now = processes.find(({ number }) => number === victim);
    if (processes.length === group.each.length && now && isProcess(now.pid) && !(await ready(group))) break;
    await sleep(20);
  }
  return (await group.pids())[victim] ?? 0;
}

/** What stands against being ready; undefined if nothing does. */
async function ready({ server }: ProcessesServer): Promise<string | undefined> {
  const response = await fetch(`http://${server.adminAddress}/readyz`);
  return response.status === 200 ? undefined : await response.text();
}

function at({ each }: ProcessesServer, number: number): ProcessClients {
  const clients = each[number];
  if (!clients) throw new Error(`There is no process ${number}`);
  return clients;
}

async function killed(group: ProcessesServer, victim: number): Promise<number> {
  const pid = (await group.pids())[victim] ?? 0;
  process.kill(pid, 'SIGKILL');
  while (isProcess(pid)) await sleep(5);
  return pid;
}

describe.each([
  { name: 'a follower', victim: 1 },
  { name: 'the leader', victim: 0 },
])('The death of $name under load', ({ victim }) => {
  test('fails only calls of that process, with UNAVAILABLE, and it is replaced', async () => {
    await using group = await startProcesses(3);
    await publishWat(at(group, 1), 'hello', hello);
    const load = new Load(group.each);
    await load.pass(50);
    const pid = await killed(group, victim);
    const survivor = at(group, 2);
    expect(await replaced(group, survivor, victim)).not.toBe(pid);
    await load.pass(100);
    await load[Symbol.asyncDispose]();
    expect(load.failures.filter(({ number }) => number !== victim)).toEqual([]);
    expect([...new Set(load.failures.map(({ error }) => error.codeName))]).toEqual(
      load.failures.length > 0 ? ['UNAVAILABLE'] : [],
    );
    // Everything goes on: new versions reach all processes, those that were replaced as well.
    await publishWat(survivor, 'hello', hello, { version: '2.0.0' });
    for (let count = 0; count < 6; count++) {
      const clients = await group.connect();
      expect((await run(clients, { plugin: 'hello', function: 'run' })).plugin).toBe('hello@2.0.0');
      clients[Symbol.dispose]();
    }
  }, 60_000);

  test('is told to callers whose calls were passed on to it, with a delay to retry after', async () => {
    await using group = await startProcesses(3);
    const clients = at(group, 2);
    await publishWat(clients, 'spin', spin);
    const stream = at(group, victim).executions.executeStream({ plugin: 'spin', function: 'run', detached: true });
    const id = (await stream.next()).value?.event?.executionId ?? '';
    stream.return(undefined).catch(() => {});
    const attached = clients.executions.attachExecution({ id });
    await attached.next();
    const reading = (async () => {
      for await (const _ of attached);
    })().catch((error: unknown) => error);
    await killed(group, victim);
    expect(await reading).toMatchObject({
      codeName: 'UNAVAILABLE',
      reason: 'PROCESS_UNAVAILABLE',
      retryDelayMs: expect.any(Number),
    });
    await replaced(group, clients, victim);
    const lost = clients.executions.getExecution({ id });
    await expect(lost).rejects.toMatchObject({ reason: 'EXECUTION_NOT_FOUND' });
  }, 60_000);
});

test('What followers store survives the death of another follower, and begins anew with that of the leader', async () => {
  await using group = await startProcesses(3);
  const clients = at(group, 2);
  await publishGuest(clients, 'kv', kvGuest);
  await callGuest(clients, 'kv/set', ['key', 'value', 0]);
  await killed(group, 1);
  expect(textOf(await callGuest(clients, 'kv/get', ['key']))).toBe('value');
  await replaced(group, clients, 1);
  await killed(group, 0);
  // Waits for the next leader instead of failing.
  expect(textOf(await callGuest(clients, 'kv/get', ['key']))).toBe('');
  expect(textOf(await callGuest(clients, 'kv/set', ['key', 'again', 0]))).toBe('0');
  await replaced(group, clients, 0);
  expect(textOf(await callGuest(clients, 'kv/get', ['key']))).toBe('again');
}, 60_000);

test('Sessions of a process that was replaced begin anew, those of others go on', async () => {
  await using group = await startProcesses(2);
  const clients = at(group, 0);
  const body = `(global $n (mut i64) (i64.const 0))
    (func (export "next") (global.set $n (i64.add (global.get $n) (i64.const 1))) (call $decimal (global.get $n)))`;
  await publishWat(clients, 'counter', capabilityGuest([], body), { more: { instance: { mode: 'session' } } });
  const sessions = ['a', 'b', 'c', 'd', 'e', 'f'];
  const next = (sessionId: string): Promise<string> =>
    callGuest(clients, 'counter/next', [], { sessionId }).then(textOf);
  expect(await Promise.all(sessions.map(next))).toEqual(sessions.map(() => '1'));
  await killed(group, 1);
  await replaced(group, clients, 1);
  const counts = await Promise.all(sessions.map(next));
  expect(new Set(counts)).toEqual(new Set(['1', '2']));
}, 60_000);

test('Nothing waits for ever for a process that does not answer', async () => {
  await using group = await startProcesses(2);
  const [, pid = 0] = await group.pids();
  process.kill(pid, 'SIGSTOP');
  try {
    await publishWat(at(group, 0), 'hello', hello);
    expect((await run(at(group, 0), { plugin: 'hello', function: 'run' })).outcome).toBe(Outcome.OK);
    // Neither do questions that all processes answer.
    await expect(at(group, 0).executions.listExecutions({})).rejects.toMatchObject({ reason: 'PROCESS_UNAVAILABLE' });
    expect((await at(group, 0).info()).processes.map(({ number }) => number)).toEqual([0]);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  expect((await run(at(group, 1), { plugin: 'hello', function: 'run' })).outcome).toBe(Outcome.OK);
}, 60_000);

test('All processes end when the one that was started is killed', async () => {
  const group = await startProcesses(2);
  const pids = await group.pids();
  await publishWat(at(group, 0), 'spin', spin);
  const call = run(at(group, 1), { plugin: 'spin', function: 'run' }).catch((error: unknown) => error);
  while ((await at(group, 0).executions.listExecutions({ stage: Stage.RUNNING })).executions.length === 0)
    await sleep(5);
  group.server.process.kill('SIGKILL');
  expect(await call).toMatchObject({ codeName: 'UNAVAILABLE' });
  while (pids.some(isProcess)) await sleep(5);
  // It was killed, but has left nothing all the same.
  await expect(group[Symbol.asyncDispose]()).rejects.toThrow('The server ended with null and left nothing');
}, 60_000);

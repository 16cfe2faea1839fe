/** A server of several processes looks like one: plugins, executions, values and sessions are found through any connection. */

import { existsSync, mkdtempSync, readdirSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { markOf } from '../../src/base/identifier.ts';
import { createClient } from '../../src/client/client.ts';
import { type ExecutionEvent, ExecutionService, Outcome, Stage } from '../../src/gen/caisson/v1/execution_pb.ts';
import { callGuest, capabilityGuest, kvGuest, publishGuest, textOf } from '../helpers/capability-guests.ts';
import { hello, nop, progressing, spin } from '../helpers/guests.ts';
import { publishWat, run } from '../helpers/plugins.ts';
import { startServer } from '../helpers/server.ts';
import { isProcess, type ProcessClients, type ProcessesServer, startProcesses } from '../helpers/processes.ts';

const processes = 3;
let group: ProcessesServer;
let each: readonly ProcessClients[];

beforeAll(async () => {
  group = await startProcesses(processes, { arguments: ['--threads-min', '3', '--threads-max', '6'] });
  ({ each } = group);
});

afterAll(async () => {
  await group[Symbol.asyncDispose]();
});

/** The clients whose connection one process serves. */
function at(number: number): ProcessClients {
  const clients = each[number];
  if (!clients) throw new Error(`There is no process ${number}`);
  return clients;
}

async function read(
  stream: AsyncIterable<{ readonly event?: ExecutionEvent | undefined }>,
): Promise<readonly ExecutionEvent[]> {
  const events: ExecutionEvent[] = [];
  for await (const { event } of stream) if (event) events.push(event);
  return events;
}

/** Starts a run that does not hang on its call, and answers with its id. */
async function startDetached(clients: ProcessClients, plugin: string): Promise<string> {
  const stream = clients.executions.executeStream({ plugin, function: 'run', detached: true });
  const first = await stream.next();
  await stream.return(undefined);
  return first.value?.event?.executionId ?? '';
}

const others = [
  [0, 1],
  [1, 0],
  [1, 2],
] as const;

describe('GetServerInfo of a server with several processes', () => {
  test('names each with its own process id, and adds up their threads, whoever answers', async () => {
    for (const clients of each) {
      const { pool, processes: infos } = await clients.info();
      expect(infos.map(({ number, leader }) => [number, leader])).toEqual([
        [0, true],
        [1, false],
        [2, false],
      ]);
      expect(new Set([...infos.map(({ pid }) => pid), group.server.process.pid]).size).toBe(processes + 1);
      const threads = infos.map((info) => info.pool?.threads ?? 0);
      expect(Math.min(...threads)).toBeGreaterThan(0);
      expect(pool?.threads).toBe(threads.reduce((sum, count) => sum + count));
    }
  });

  test('tells that connections are spread evenly', async () => {
    const connections = await Promise.all(Array.from({ length: 9 }, () => group.connect()));
    const counts = (await at(0).info()).processes.map((info) => info.connections);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
    expect(new Set(connections.map(({ number }) => number)).size).toBe(processes);
    for (const clients of connections) clients[Symbol.dispose]();
  });
});

describe('A plugin that is published through one process', () => {
  test.each([0, 1])('runs in all as soon as it is answered, published through process %i', async (number) => {
    const name = `hello-${number}`;
    await publishWat(at(number), name, hello);
    const runs = await Promise.all(each.map((clients) => run(clients, { plugin: name, function: 'run' })));
    expect(runs.map(({ output }) => Buffer.from(output).toString())).toEqual(['hello', 'hello', 'hello']);
    expect(runs.map(({ id }) => markOf(id))).toEqual([0, 1, 2]);
  });

  test('is refused by all as soon as its stop is answered, and gone with its deletion', async () => {
    await publishWat(at(2), 'short-lived', nop);
    const request = { plugin: 'short-lived@1.0.0', function: 'run' };
    const codes = async (): Promise<readonly unknown[]> => {
      const settled = await Promise.allSettled(each.map((clients) => run(clients, request)));
      return settled.map((one) => one.status === 'rejected' && (one.reason as { codeName: string }).codeName);
    };
    await at(1).plugins.stopPlugin({ plugin: request.plugin });
    expect(await codes()).toEqual(Array(processes).fill('FAILED_PRECONDITION'));
    await at(2).plugins.startPlugin({ plugin: request.plugin });
    expect(await codes()).toEqual([false, false, false]);
    await at(1).plugins.stopPlugin({ plugin: request.plugin });
    await at(2).plugins.deletePlugin({ plugin: request.plugin });
    expect(await codes()).toEqual(Array(processes).fill('NOT_FOUND'));
  });

  test('is what its name means in all processes, version after version', async () => {
    for (let version = 1; version <= 5; version++) {
      await publishWat(at(version % processes), 'rolling', nop, { version: `${version}.0.0` });
      const runs = await Promise.all(each.map((clients) => run(clients, { plugin: 'rolling', function: 'run' })));
      expect(runs.map(({ plugin }) => plugin)).toEqual(Array(processes).fill(`rolling@${version}.0.0`));
    }
  });

  test('is watched, listed and got through any', async () => {
    const names = await Promise.all(
      each.map(async ({ plugins }) => {
        const { plugins: versions } = await plugins.listPlugins({ name: 'where' });
        const { plugin } = await plugins.getPlugin({ plugin: 'where' });
        for await (const { plugin: first } of plugins.watchPlugins({ name: 'where' })) {
          return [versions[0]?.name, plugin?.name, first?.name];
        }
        return [];
      }),
    );
    expect(names).toEqual(each.map(() => ['where', 'where', 'where']));
  });

  test('has instances prepared in all by one WarmPlugin', async () => {
    await publishWat(at(1), 'warm', hello);
    const { threads } = await at(2).plugins.warmPlugin({ plugin: 'warm@1.0.0' });
    const { processes: infos } = await at(0).info();
    expect(threads).toBe(infos.reduce((sum, { pool }) => sum + (pool?.threads ?? 0), 0));
    const prepared = infos.map(
      ({ pool }) => pool?.instances.find(({ plugin }) => plugin.includes('warm@1.0.0'))?.prepared,
    );
    expect(prepared.every((count) => (count ?? 0) > 0)).toBe(true);
  });
});

describe('An execution', () => {
  test.each(others)('of process %i is attached to, got and canceled through process %i', async (home, elsewhere) => {
    await publishWat(at(home), `spin-${home}-${elsewhere}`, spin);
    const id = await startDetached(at(home), `spin-${home}-${elsewhere}`);
    expect(markOf(id)).toBe(home);
    const { executions } = at(elsewhere);
    const reading = read(executions.attachExecution({ id }));
    expect((await executions.getExecution({ id })).execution).toMatchObject({ id });
    expect((await executions.cancelExecution({ id })).execution).toMatchObject({ id, outcome: Outcome.CANCELED });
    const events = await reading;
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => BigInt(index + 1)));
    expect(events.at(-1)?.event.case).toBe('outcome');
    expect(await read(at(home).executions.attachExecution({ id }))).toEqual(events);
  });

  test('of many events reaches a reader through another process whole', async () => {
    await publishWat(at(0), 'thousand', progressing(1_000), { capabilities: ['progress'] });
    const id = await startDetached(at(1), 'thousand');
    const events = await read(at(2).executions.attachExecution({ id }));
    let previous = 0n;
    for (const { sequence, coalesced } of events) {
      expect(sequence - previous - 1n).toBe(coalesced);
      previous = sequence;
    }
    expect(events.at(-1)?.event.case).toBe('outcome');
  });

  test('that a process does not remember is refused with all details of that process', async () => {
    const { id } = await run(at(1), { plugin: 'where', function: 'run' });
    const unknown = `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}`;
    const refusal = await at(0)
      .executions.getExecution({ id: unknown })
      .catch((error: unknown) => error);
    expect(refusal).toMatchObject({ codeName: 'NOT_FOUND', reason: 'EXECUTION_NOT_FOUND' });
    const other = await at(2)
      .executions.attachExecution({ id, afterSequence: 1_000n })
      .next()
      .catch((error: unknown) => error);
    expect(other).toMatchObject({ codeName: 'OUT_OF_RANGE', reason: 'SEQUENCE_OUT_OF_RANGE' });
  });

  test('ends when the caller of a forwarded call goes', async () => {
    await publishWat(at(0), 'endless', capabilityGuest([], '(func (export "run") (loop (br 0)))'), {
      more: { instance: { mode: 'session' } },
    });
    const going = new AbortController();
    const calls = each.map((clients) =>
      run(clients, { plugin: 'endless', function: 'run', sessionId: 'one' }, { signal: going.signal }),
    );
    const settled = Promise.allSettled(calls);
    await untilListed('endless', processes);
    going.abort();
    expect((await settled).map(({ status }) => status)).toEqual(Array(processes).fill('rejected'));
    await untilListed('endless', processes, Stage.COMPLETED);
  });

  async function untilListed(plugin: string, count: number, stage: Stage = Stage.UNSPECIFIED): Promise<void> {
    for (;;) {
      const { executions } = await at(0).executions.listExecutions({ plugin, stage });
      if (executions.length >= count) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  test('has the deadline of its caller wherever it runs', async () => {
    const calls = each.map((clients) =>
      run(clients, { plugin: 'endless', function: 'run', sessionId: 'two' }, { timeoutMs: 300 }),
    );
    const settled = await Promise.allSettled(calls);
    const codes = settled.map((one) => one.status === 'rejected' && (one.reason as { codeName: string }).codeName);
    expect(codes).toEqual(Array(processes).fill('DEADLINE_EXCEEDED'));
  });
});

describe('ListExecutions of a server with several processes', () => {
  test('pages through those of all, newest first, none twice', async () => {
    await publishWat(at(0), 'listed', nop);
    const ids: string[] = [];
    for (let round = 0; round < 5; round++) {
      for (const clients of each) ids.push((await run(clients, { plugin: 'listed', function: 'run' })).id);
    }
    for (const clients of each) {
      const seen: string[] = [];
      let pageToken = '';
      do {
        const page = await clients.executions.listExecutions({ pageSize: 4, pageToken, plugin: 'listed' });
        expect(page.executions.length).toBeLessThanOrEqual(4);
        seen.push(...page.executions.map(({ id }) => id));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      expect(seen).toEqual(ids.toSorted().toReversed());
    }
  });

  test('goes on through another process with the token of one', async () => {
    const first = await at(0).executions.listExecutions({ pageSize: 7, plugin: 'listed' });
    const rest = await at(1).executions.listExecutions({ pageToken: first.nextPageToken, plugin: 'listed' });
    expect(first.executions.length + rest.executions.length).toBe(15);
    expect(rest.nextPageToken).toBe('');
  });
});

describe('What a plugin stores', () => {
  test('is seen by its runs in all processes at once', async () => {
    await publishGuest(at(0), 'kv', kvGuest);
    for (const writer of each) {
      const value = `of process ${writer.number}`;
      expect(textOf(await callGuest(writer, 'kv/set', ['key', value, 0]))).toBe('0');
      for (const reader of each) expect(textOf(await callGuest(reader, 'kv/get', ['key']))).toBe(value);
    }
    expect(textOf(await callGuest(at(2), 'kv/list', ['', '', 10]))).toBe('["key"]');
    const swaps = each.map((clients) => callGuest(clients, 'kv/swap', ['key', 'of process 2', 'swapped', 0]));
    const codes = (await Promise.all(swaps)).map(textOf);
    expect(codes.filter((code) => code === '0')).toHaveLength(1);
  });

  test('goes with its last version', async () => {
    await at(1).plugins.stopPlugin({ plugin: 'kv@1.0.0' });
    expect(await at(2).plugins.deletePlugin({ plugin: 'kv@1.0.0' })).toMatchObject({ storageKeysDeleted: 1n });
  });
});

describe('A session', () => {
  const counter = `(global $n (mut i64) (i64.const 0))
    (func (export "next") (global.set $n (i64.add (global.get $n) (i64.const 1))) (call $decimal (global.get $n)))`;

  test('is one and the same through all processes', async () => {
    await publishWat(at(0), 'counter', capabilityGuest([], counter), { more: { instance: { mode: 'session' } } });
    for (const sessionId of ['a', 'b', 'c', 'd']) {
      const counts: string[] = [];
      const homes = new Set<number | undefined>();
      for (const clients of [...each, ...each]) {
        const execution = await callGuest(clients, 'counter/next', [], { sessionId });
        counts.push(textOf(execution));
        homes.add(markOf(execution.id));
      }
      expect(counts).toEqual(['1', '2', '3', '4', '5', '6']);
      expect(homes.size).toBe(1);
    }
  });

  test('goes on through ExecuteMany and ExecuteStream', async () => {
    for (const [index, clients] of each.entries()) {
      const request = { plugin: 'counter', function: 'next', sessionId: 'e' };
      async function* requests() {
        yield { ...request, requestId: 'one' };
      }
      const answers = [];
      for await (const { result } of clients.executions.executeMany(requests())) {
        answers.push(result.case === 'execution' ? textOf(result.value) : result.value?.reason);
      }
      const events = await read(clients.executions.executeStream(request));
      const last = events.at(-1)?.event;
      answers.push(last?.case === 'outcome' ? textOf(last.value) : '');
      expect(answers).toEqual([`${2 * index + 1}`, `${2 * index + 2}`]);
    }
  });
});

test('ExecuteMany through any process answers results and refusals of all', async () => {
  await publishWat(at(1), 'many', hello);
  for (const clients of each) {
    async function* requests() {
      for (let index = 0; index < 50; index++) {
        yield { plugin: index % 10 === 5 ? 'nowhere' : 'many', function: 'run', requestId: `r${index}` };
      }
    }
    const answers: string[] = [];
    for await (const { result } of clients.executions.executeMany(requests())) {
      answers.push(
        result.case === 'execution' ? Buffer.from(result.value.output).toString() : (result.value?.reason ?? ''),
      );
    }
    expect(answers.filter((answer) => answer === 'hello')).toHaveLength(45);
    expect(answers.filter((answer) => answer === 'PLUGIN_NOT_FOUND')).toHaveLength(5);
  }
});

test('A server of several processes does not start on a directory that another one uses, and says so', async () => {
  const { dataDirectory } = group.server;
  const starting = startServer({ examples: false, dataDirectory, arguments: ['--processes', '2'] });
  await expect(starting).rejects.toThrow(
    /exit [1-9][^]*STORAGE_FAILED: The data directory ".+" is in use by process \d+/,
  );
});

test('The process that was started keeps nothing of the connections that it hands on', async () => {
  const pid = group.server.process.pid ?? 0;
  const descriptors = (): number => readdirSync(`/proc/${pid}/fd`).length;
  const before = descriptors();
  const connections = await Promise.all(Array.from({ length: 12 }, () => group.connect()));
  expect(descriptors()).toBeLessThan(before + 6);
  for (const clients of connections) clients[Symbol.dispose]();
});

test('A Unix socket leads to all processes as well', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'caisson-u-'));
  const path = join(folder, 'door.sock');
  await using other = await startProcesses(2, { arguments: ['--socket', path] });
  expect(other.server.address.split(',')[1]).toBe(`unix:${path}`);
  const marks = new Set<number | undefined>();
  for (let count = 0; count < 4; count++) {
    using executions = createClient(ExecutionService, { address: `unix:${path}`, ownConnection: true });
    const { execution } = await executions.execute({ plugin: 'where', function: 'run' });
    marks.add(markOf(execution?.id ?? ''));
  }
  expect(marks.size).toBe(2);
  await other.server.stop();
  expect(existsSync(path)).toBe(false);
  rmdirSync(folder);
});

describe('SIGTERM', () => {
  test('lets what runs in each process end, sends readers away, and leaves no process', async () => {
    await using other = await startProcesses(2, { arguments: ['--grace-seconds', '3'] });
    const pids = await other.pids();
    await publishWat(other.each[1] ?? at(1), 'spin', spin);
    const request = { plugin: 'spin', function: 'run', limits: { timeout: { seconds: 1n } } };
    const calls = other.each.map((clients) => run(clients, request));
    const settled = Promise.allSettled(calls);
    for (;;) {
      const { executions } = await (other.each[0] ?? at(0)).executions.listExecutions({ stage: Stage.RUNNING });
      if (executions.length === 2) break;
    }
    const [home, elsewhere] = [other.each[1] ?? at(1), other.each[0] ?? at(0)];
    const id = await startDetached(home, 'spin');
    const reader = elsewhere.executions.attachExecution({ id });
    await reader.next();
    const reading = (async () => {
      for await (const _ of reader);
    })().catch((error: unknown) => error);
    const stopped = other.server.stop();
    expect(await reading).toMatchObject({
      codeName: 'UNAVAILABLE',
      reason: 'SHUTTING_DOWN',
      metadata: { execution_id: id, last_sequence: expect.stringMatching(/^[12]$/) },
    });
    const outcomes = (await settled).map((one) => (one.status === 'fulfilled' ? one.value.outcome : one.reason));
    expect(outcomes).toEqual([Outcome.TIMED_OUT, Outcome.TIMED_OUT]);
    expect(await stopped).toBe(0);
    expect(pids.filter(isProcess)).toEqual([]);
  });
});

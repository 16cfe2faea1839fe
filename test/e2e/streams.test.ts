/** Events of an execution over the wire: order, attaching, slow readers, many executions over one stream. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ExecutionEvent, Outcome, Stage } from '../../src/gen/caisson/v1/execution_pb.ts';
import { hello, nop, progressing, spin } from '../helpers/guests.ts';
import { type Clients, clientsOf, publishWat, run } from '../helpers/plugins.ts';
import { startServer, type TestServer } from '../helpers/server.ts';

const mebi = 1_048_576;
let server: TestServer;
let clients: Clients;

beforeAll(async () => {
  server = await startServer();
  clients = clientsOf(server.address);
  await publishWat(clients, 'hello', hello);
  await publishWat(clients, 'nop', nop);
  await publishWat(clients, 'spin', spin);
  await publishWat(clients, 'ten', progressing(10), { capabilities: ['progress'] });
  await publishWat(clients, 'flood', progressing(1_000_000), { capabilities: ['progress'] });
});

afterAll(async () => {
  clients[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

type Stream = AsyncIterable<{ readonly event?: ExecutionEvent | undefined }>;

async function read(stream: Stream): Promise<ExecutionEvent[]> {
  const events: ExecutionEvent[] = [];
  for await (const { event } of stream) if (event) events.push(event);
  return events;
}

/** Sequences grow, and every gap is accounted for. */
function expectWhole(events: readonly ExecutionEvent[], from = 0n): void {
  let previous = from;
  for (const { sequence, coalesced } of events) {
    expect(sequence - previous - 1n).toBe(coalesced);
    previous = sequence;
  }
  expect(events.at(-1)?.event.case).toBe('outcome');
}

describe('ExecuteStream', () => {
  test('tells queued, running, each progress and the outcome, in order', async () => {
    const events = await read(
      clients.executions.executeStream({ plugin: 'ten', function: 'run', requestId: 'r-1', labels: { team: 'blue' } }),
    );
    expectWhole(events);
    const [queued, running] = events;
    expect([queued?.event, running?.event]).toEqual([
      { case: 'stage', value: Stage.QUEUED },
      { case: 'stage', value: Stage.RUNNING },
    ]);
    const fractions = events.flatMap(({ event }) => (event.case === 'progress' ? [event.value.fraction] : []));
    expect(fractions).toEqual([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]);
    const last = events.at(-1)?.event;
    expect(last?.case === 'outcome' && [last.value.outcome, last.value.requestId, last.value.labels]).toEqual([
      Outcome.OK,
      'r-1',
      { team: 'blue' },
    ]);
  });

  test('of the CSV example streams progress and log lines with their texts', async () => {
    const rows = Array.from({ length: 50_000 }, (_, index) => `${index},name ${index % 7},${index % 100}`);
    const input = Buffer.from(`id,name,amount\n${rows.join('\n')}\n`);
    const events = await read(
      clients.executions.executeStream({
        plugin: 'csv-transform',
        function: 'transform',
        input,
        config: { where: 'amount>98' },
      }),
    );
    expectWhole(events);
    const progress = events.flatMap(({ event }) => (event.case === 'progress' ? [event.value] : []));
    const logs = events.flatMap(({ event }) => (event.case === 'log' ? [event.value] : []));
    expect(progress.length).toBeGreaterThan(5);
    expect(progress.map(({ fraction }) => fraction)).toEqual(
      progress.map(({ fraction }) => fraction).toSorted((a, b) => (a ?? 0) - (b ?? 0)),
    );
    expect(progress.every(({ message }) => /rows/.test(message))).toBe(true);
    expect(logs.length).toBeGreaterThan(0);
    const last = events.at(-1)?.event;
    const output = last?.case === 'outcome' ? Buffer.from(last.value.output).toString() : '';
    expect(output.split('\n').length).toBe(502);
  });

  test('keeps memory bounded for a reader that does not read, and still brings the outcome', async () => {
    await run(clients, { plugin: 'nop', function: 'run' });
    const before = server.residentBytes();
    const stream = clients.executions.executeStream({ plugin: 'flood', function: 'run' });
    const first = await stream.next();
    const id = first.value?.event?.executionId ?? '';
    let stage: Stage = Stage.QUEUED;
    while (stage !== Stage.COMPLETED) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      stage = (await clients.executions.getExecution({ id })).execution?.stage ?? Stage.UNSPECIFIED;
    }
    expect(server.residentBytes() - before).toBeLessThan(100 * mebi);
    const rest = await read({ [Symbol.asyncIterator]: () => stream });
    expectWhole(rest, first.value?.event?.sequence ?? 0n);
    const last = rest.at(-1)?.event;
    expect(last?.case === 'outcome' && [last.value.outcome, last.value.usage?.progressEvents]).toEqual([
      Outcome.OK,
      1_000_000n,
    ]);
  });
});

describe('AttachExecution', () => {
  test('goes on after any sequence without gap or duplicate', async () => {
    const { id } = await run(clients, { plugin: 'ten', function: 'run' });
    const all = await read(clients.executions.attachExecution({ id }));
    expectWhole(all);
    for (let after = 0; after < all.length; after++) {
      const rest = await read(clients.executions.attachExecution({ id, afterSequence: BigInt(after) }));
      expect(rest.map(({ sequence }) => sequence)).toEqual(all.slice(after).map(({ sequence }) => sequence));
    }
  });

  test('to a running execution brings the same events to several readers', async () => {
    const stream = clients.executions.executeStream({ plugin: 'spin', function: 'run', detached: true });
    const first = await stream.next();
    const id = first.value?.event?.executionId ?? '';
    const readers = [0, 1, 2].map(() => read(clients.executions.attachExecution({ id })));
    await clients.executions.cancelExecution({ id });
    const [one, two, three] = await Promise.all(readers);
    expectWhole(one ?? []);
    expect(two).toEqual(one);
    expect(three).toEqual(one);
    await stream.return(undefined);
  });
});

describe('ExecuteMany', () => {
  test('answers each request as it ends, refusals among them', async () => {
    async function* requests() {
      for (let index = 0; index < 300; index++) {
        yield { plugin: index % 100 === 50 ? 'nowhere' : 'hello', function: 'run', requestId: `r${index}` };
      }
    }
    const answers = new Map<string, string>();
    for await (const { requestId, result } of clients.executions.executeMany(requests())) {
      expect(answers.has(requestId)).toBe(false);
      if (result.case === 'execution') answers.set(requestId, Buffer.from(result.value.output).toString());
      else answers.set(requestId, result.value?.reason ?? '');
    }
    expect(answers.size).toBe(300);
    expect([
      answers.get('r0'),
      answers.get('r50'),
      answers.get('r150'),
      answers.get('r250'),
      answers.get('r299'),
    ]).toEqual(['hello', 'PLUGIN_NOT_FOUND', 'PLUGIN_NOT_FOUND', 'PLUGIN_NOT_FOUND', 'hello']);
  });
});

describe('ListExecutions', () => {
  test('pages through all, newest first, without their outputs', async () => {
    for (let index = 0; index < 5; index++)
      await run(clients, { plugin: 'hello', function: 'run', labels: { index: `${index}` } });
    const seen: string[] = [];
    let pageToken = '';
    do {
      const page = await clients.executions.listExecutions({ pageSize: 2, pageToken, plugin: 'hello@1.0.0' });
      for (const execution of page.executions) {
        expect(execution.output.length).toBe(0);
        seen.push(execution.id);
      }
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    expect(seen.length).toBeGreaterThanOrEqual(5);
    expect(seen).toEqual(seen.toSorted().toReversed());
    expect(new Set(seen).size).toBe(seen.length);
  });
});

/** More calls than the server can take: what is refused is refused at once and says when to try again, the rest is served. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { CallError } from '../../src/client/call-error.ts';
import { createClient } from '../../src/client/client.ts';
import { AdminService } from '../../src/gen/caisson/v1/admin_pb.ts';
import { Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import { callGuest } from '../helpers/capability-guests.ts';
import { collect } from '../helpers/grpc.ts';
import { type Clients, clientsOf, publishWat } from '../helpers/plugins.ts';
import { startServer, type TestServer } from '../helpers/server.ts';
import { sleepingCommand } from '../helpers/wasi-guests.ts';

const threads = 2;
const serviceMs = 50;
const queueMax = 20;
/** What the threads can take in this time. */
const burstMs = 100;
const capacity = (threads * burstMs) / serviceMs;
const bursts = 30;

let server: TestServer;
let big: Clients;
let small: Clients;

beforeAll(async () => {
  const words = ['--threads-min', `${threads}`, '--threads-max', `${threads}`, '--queue-max', `${queueMax}`];
  server = await startServer({ examples: false, arguments: words });
  big = clientsOf(server.address, 'big');
  small = clientsOf(server.address, 'small');
  await publishWat(big, 'slow', sleepingCommand(serviceMs), { capabilities: ['wasi'] });
});

afterAll(async () => {
  for (const clients of [big, small]) clients[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

const slow = (of: Clients): Promise<Outcome> => callGuest(of, 'slow/_start').then(({ outcome }) => outcome);

/** The outcome, or the refusal, which must say what to do. */
async function served(of: Clients): Promise<Outcome | 'refused'> {
  try {
    return await slow(of);
  } catch (error) {
    expectRefusal(error);
    return 'refused';
  }
}

function expectRefusal(error: unknown): void {
  expect(error).toBeInstanceOf(CallError);
  const { codeName, reason, retryDelayMs, metadata, message } = error as CallError;
  expect([codeName, reason]).toEqual(['RESOURCE_EXHAUSTED', 'QUEUE_FULL']);
  expect(retryDelayMs).toBeGreaterThan(0);
  expect(metadata).toMatchObject({ queue: 'sandboxes', queueMax: `${queueMax}` });
  expect(Number(metadata['queueLength'])).toBeGreaterThan(0);
  expect(Number(metadata['queueLength'])).toBeLessThanOrEqual(queueMax);
  expect(message).toContain('the waiting line is full');
}

async function expectNormal(): Promise<void> {
  using admin = createClient(AdminService, server.address);
  const pool = async () => (await admin.getServerInfo({})).pool;
  await expect.poll(pool, { timeout: 10_000 }).toMatchObject({ busy: 0, waiting: 0, threads });
  for (let call = 0; call < 5; call++) expect(await slow(big)).toBe(Outcome.OK);
}

/** Fills the line, and has it full until it is disposed. */
function flood(calls: number): AsyncDisposable & { readonly ends: (Outcome | 'refused')[] } {
  const ends: (Outcome | 'refused')[] = [];
  const over = new AbortController();
  const lanes = Array.from({ length: calls }, async () => {
    while (!over.signal.aborted) {
      ends.push(await served(big));
      if (ends.at(-1) === 'refused') await systemClock.sleep(50);
    }
  });
  return {
    ends,
    async [Symbol.asyncDispose]() {
      over.abort();
      await Promise.all(lanes);
    },
  };
}

describe('At twice its capacity the server', () => {
  test('ends each call that it takes, refuses the others with a delay, and is as before when it is over', async () => {
    const calls: Promise<Outcome | 'refused'>[] = [];
    for (let burst = 0; burst < bursts; burst++) {
      for (let call = 0; call < 2 * capacity; call++) calls.push(served(big));
      await systemClock.sleep(burstMs);
    }
    const ends = await Promise.all(calls);
    const count = (end: Outcome | 'refused'): number => ends.filter((one) => one === end).length;
    expect(count(Outcome.OK) + count('refused')).toBe(ends.length);
    expect(count('refused')).toBeGreaterThan(0);
    expect(count(Outcome.OK)).toBeGreaterThan(queueMax);
    await expectNormal();
  });

  test('serves every call of a tenant that has few', async () => {
    await using flooding = flood(2 * queueMax);
    await expect.poll(() => flooding.ends.includes('refused'), { timeout: 10_000 }).toBe(true);
    const ends: Outcome[] = [];
    for (let call = 0; call < 15; call++) ends.push(await slow(small));
    expect(ends).toEqual(Array.from({ length: 15 }, () => Outcome.OK));
    expect(flooding.ends).toContain('refused');
  });

  test('refuses streams, and requests of streams, in the same way', async () => {
    await using flooding = flood(2 * queueMax);
    await expect.poll(() => flooding.ends.includes('refused'), { timeout: 10_000 }).toBe(true);
    const request = { plugin: 'slow', function: '_start' };
    const refusals: unknown[] = [];
    async function* requests() {
      for (let index = 0; index < 200; index++) yield { ...request, requestId: `r${index}` };
    }
    for await (const { result } of big.executions.executeMany(requests())) {
      if (result.case === 'refusal') refusals.push(result.value);
    }
    expect(refusals.length).toBeGreaterThan(0);
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 8, reason: 'QUEUE_FULL', retryDelay: {} });
    const streams = Array.from({ length: 50 }, () => collect(big.executions.executeStream(request)));
    const rejected = (await Promise.allSettled(streams)).filter((result) => result.status === 'rejected');
    expect(rejected.length).toBeGreaterThan(0);
    for (const { reason } of rejected) expectRefusal(reason);
  });

  test('is as before when all are gone', async () => {
    await expectNormal();
  });
});

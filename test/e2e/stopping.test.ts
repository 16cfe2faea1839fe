/** Guests that do not end by themselves are stopped, and their threads serve again. */

import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Execution, Outcome, Stage } from '../../src/gen/caisson/v1/execution_pb.ts';
import { hungry, nop, progressing, recursive, spin, spinAtStart } from '../helpers/guests.ts';
import { type Clients, clientsOf, publishWat, run } from '../helpers/plugins.ts';
import { root, startServer, type TestServer } from '../helpers/server.ts';

const mebi = 1_048_576;
let server: TestServer;
let clients: Clients;

beforeAll(async () => {
  // One thread: whatever is not freed is missed by the next call.
  server = await startServer({ examples: false, arguments: ['--threads-min', '1', '--threads-max', '1'] });
  clients = clientsOf(server.address);
  const guests = { spin, spinAtStart, hungry, recursive, nop, ticking: progressing(3, 'spin') };
  for (const [name, text] of Object.entries(guests)) {
    await publishWat(clients, name.toLowerCase(), text, { capabilities: name === 'ticking' ? ['progress'] : [] });
  }
});

afterAll(async () => {
  clients[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

async function expectThreadFreed(): Promise<void> {
  const { outcome } = await run(clients, { plugin: 'nop', function: 'run' }, { timeoutMs: 10_000 });
  expect(outcome).toBe(Outcome.OK);
}

const shortly = { timeout: { nanos: 100_000_000 } };

describe('The limit of time', () => {
  test.each(['spin', 'spinatstart'])('stops %s, again and again', async (plugin) => {
    for (let round = 0; round < 10; round++) {
      const execution = await run(clients, { plugin, function: 'run', limits: shortly });
      expect([execution.outcome, execution.error?.kind]).toEqual([Outcome.TIMED_OUT, 'TIMEOUT']);
    }
    await expectThreadFreed();
  });
});

describe('The limit of memory', () => {
  test('stops a guest that grows without end, and its memory is given back', async () => {
    await expectThreadFreed();
    const before = server.residentBytes();
    for (let round = 0; round < 3; round++) {
      const execution = await run(clients, { plugin: 'hungry', function: 'run', limits: { memoryBytes: 512n << 20n } });
      expect([execution.outcome, execution.error?.kind]).toEqual([Outcome.MEMORY_EXHAUSTED, 'GUEST_MEMORY']);
      expect(execution.usage?.memoryPeakBytes).toBe(512n << 20n);
      expect(server.residentBytes() - before).toBeLessThan(1_200 * mebi);
    }
    for (let attempt = 0; attempt < 100 && server.residentBytes() - before > 100 * mebi; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(server.residentBytes() - before).toBeLessThan(100 * mebi);
    await expectThreadFreed();
    // Touching fresh memory takes seconds on some machines.
  }, 120_000);
});

test('Endless recursion is a trap with the guest’s stack', async () => {
  const execution = await run(clients, { plugin: 'recursive', function: 'run' });
  expect([execution.outcome, execution.error?.kind]).toEqual([Outcome.TRAP, 'STACK_OVERFLOW']);
  expect(execution.error?.guestStack.length).toBeGreaterThan(0);
  await expectThreadFreed();
});

describe('A caller that', () => {
  async function idOfRunning(): Promise<string> {
    for (let attempt = 0; attempt < 200; attempt++) {
      const { executions } = await clients.executions.listExecutions({ stage: Stage.RUNNING });
      if (executions[0]) return executions[0].id;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error('Nothing is running');
  }

  async function endOf(id: string): Promise<Execution> {
    for (let attempt = 0; attempt < 200; attempt++) {
      const { execution } = await clients.executions.getExecution({ id });
      if (execution?.stage === Stage.COMPLETED) return execution;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    throw new Error('The execution does not end');
  }

  async function expectCanceled(id: string): Promise<void> {
    expect((await endOf(id)).outcome).toBe(Outcome.CANCELED);
  }

  test('cancels frees the thread', async () => {
    const canceling = new AbortController();
    const call = run(clients, { plugin: 'spin', function: 'run' }, { signal: canceling.signal });
    call.catch(() => {});
    const id = await idOfRunning();
    canceling.abort();
    await expect(call).rejects.toMatchObject({ codeName: 'CANCELLED' });
    await expectCanceled(id);
    await expectThreadFreed();
  });

  test('dies frees the thread', async () => {
    const words = ['src/main.ts', 'exec', 'spin', 'run', '--address', server.address];
    const caller = spawn(process.execPath, words, { cwd: root, stdio: 'ignore' });
    const exited = new Promise((resolve) => caller.once('exit', resolve));
    const id = await idOfRunning();
    caller.kill('SIGKILL');
    await exited;
    const { error } = await endOf(id);
    expect(error?.kind).toBe('DISCONNECTED');
    await expectThreadFreed();
  });

  test('lets its deadline pass frees the thread', async () => {
    await expect(run(clients, { plugin: 'spin', function: 'run' }, { timeoutMs: 300 })).rejects.toMatchObject({
      codeName: 'DEADLINE_EXCEEDED',
    });
    await expectThreadFreed();
  });

  test('leaves a stream frees the thread', async () => {
    let id = '';
    for await (const { event } of clients.executions.executeStream({ plugin: 'ticking', function: 'run' })) {
      id = event?.executionId ?? '';
      if (event?.event.case === 'progress') break;
    }
    await expectCanceled(id);
    await expectThreadFreed();
  });

  test('leaves a detached stream lets it run on, to be attached to and canceled', async () => {
    let id = '';
    for await (const { event } of clients.executions.executeStream({
      plugin: 'ticking',
      function: 'run',
      detached: true,
    })) {
      id = event?.executionId ?? '';
      if (event?.event.case === 'progress') break;
    }
    const { execution: running } = await clients.executions.getExecution({ id });
    expect(running?.stage).toBe(Stage.RUNNING);
    const events: (string | undefined)[] = [];
    const reading = (async () => {
      for await (const { event } of clients.executions.attachExecution({ id })) events.push(event?.event.case);
    })();
    const { execution } = await clients.executions.cancelExecution({ id });
    expect([execution?.outcome, execution?.error?.kind]).toEqual([Outcome.CANCELED, 'CANCELED']);
    await reading;
    expect([events[0], events.at(-1)]).toEqual(['stage', 'outcome']);
    await expectThreadFreed();
  });
});

import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { WorkerThread } from '../../../src/sandbox/worker-thread.ts';
import { expectThreads, threadCount } from '../../helpers/sandbox.ts';
import { ManualClock } from '../base/manual-clock.ts';

interface Started {
  readonly thread: Promise<WorkerThread<unknown, unknown>>;
  readonly messages: unknown[];
  readonly ends: (Error | undefined)[];
}

function start(fixture: string, clock: Clock = systemClock): Started {
  const messages: unknown[] = [];
  const ends: (Error | undefined)[] = [];
  const thread = WorkerThread.start<unknown, unknown>({
    entry: new URL(`./fixtures/${fixture}-thread.ts`, import.meta.url),
    name: 'sandbox-test',
    data: { given: 1 },
    stackMb: 4,
    heapMb: 64,
    clock,
    onMessage: (message) => messages.push(message),
    onEnd: (cause) => ends.push(cause),
  });
  return { thread, messages, ends };
}

test('WorkerThread gives the thread its data and nothing else of the process, and exchanges messages', async () => {
  const { thread: starting, messages, ends } = start('telling');
  const thread = await starting;
  thread.post('hello');
  await expect.poll(() => messages).toHaveLength(2);
  expect(messages).toEqual([{ data: { given: 1 }, environment: [], options: [], arguments: [] }, 'hello']);
  await thread.terminate();
  await thread.ended;
  await thread.terminate();
  expect(ends).toEqual([undefined]);
  await expectThreads(0);
});

test('WorkerThread tells why a thread died', async () => {
  const { thread, ends } = start('telling');
  (await thread).post('die');
  await (await thread).ended;
  expect(ends).toMatchObject([{ message: 'died as told' }]);
});

test('WorkerThread that fails as it starts rejects, with the cause', async () => {
  await expect(start('failing').thread).rejects.toMatchObject({
    reason: 'SANDBOX_UNAVAILABLE',
    cause: { message: 'failed as it started' },
  });
  await expectThreads(0);
});

test('WorkerThread that is not ready in time rejects, and its thread is ended', async () => {
  const clock = new ManualClock();
  const { thread, ends } = start('silent', clock);
  const refused = expect(thread).rejects.toMatchObject({ reason: 'SANDBOX_UNAVAILABLE' });
  await expect.poll(threadCount).toBe(1);
  await clock.advance(29_999);
  expect(ends).toEqual([]);
  await clock.advance(1);
  await refused;
  expect(ends).toEqual([undefined]);
  expect(clock.timers).toBe(0);
  await expectThreads(0);
});

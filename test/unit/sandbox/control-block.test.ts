import { expect, test } from 'vitest';
import { Worker } from 'node:worker_threads';
import { callsMade, ControlBlock } from '../../../src/sandbox/control-block.ts';

test('ControlBlock shows the meters of one side to the other, and forgets them when reset', () => {
  const main = new ControlBlock();
  const thread = new ControlBlock(main.buffer);
  thread.meters.hostCalls += 2 ** 33;
  thread.meters.memoryPeakBytes = 65_536;
  thread.meters.fuel = 1e13;
  thread.meters.calls.kv++;
  const { calls, ...meters } = main.meters;
  expect(callsMade(calls)).toEqual({ kv: 1 });
  expect({ ...meters }).toEqual({
    hostCalls: 2 ** 33,
    progressEvents: 0,
    progressCoalesced: 0,
    logBytes: 0,
    logLinesDropped: 0,
    memoryPeakBytes: 65_536,
    fuel: 1e13,
  });
  main.reset();
  expect(callsMade(thread.meters.calls)).toEqual({});
  expect({ ...thread.meters, calls: 0 }).toEqual({
    ...Object.fromEntries(Object.keys(meters).map((name) => [name, 0])),
    calls: 0,
  });
});

test('ControlBlock tells how many events have not been taken, also when the counts wrap', () => {
  const main = new ControlBlock();
  const thread = new ControlBlock(main.buffer);
  expect(thread.untaken(5)).toBe(5);
  for (let taken = 0; taken < 3; taken++) main.countTaken();
  expect(thread.untaken(5)).toBe(2);
  new Int32Array(main.buffer, 0, 2)[1] = 2 ** 31 - 1;
  main.countTaken();
  expect(thread.untaken((2 ** 31 + 3) | 0)).toBe(3);
});

test('ControlBlock hands on the wish to stop until it is reset', () => {
  const main = new ControlBlock();
  const thread = new ControlBlock(main.buffer);
  expect(thread.isStopRequested).toBe(false);
  main.requestStop();
  expect(thread.isStopRequested).toBe(true);
  main.reset();
  expect(thread.isStopRequested).toBe(false);
});

test('ControlBlock waits for a stop no longer than it is told, and not at all once it was asked for', () => {
  const control = new ControlBlock();
  control.waitForStop(1);
  control.requestStop();
  control.waitForStop(Number.POSITIVE_INFINITY);
  expect(control.isStopRequested).toBe(true);
});

test('ControlBlock wakes a thread that waits when a stop is asked for', async () => {
  const control = new ControlBlock();
  const entry = new URL('./fixtures/waiting-thread.ts', import.meta.url);
  const waiting = new Worker(entry, { workerData: control.buffer });
  try {
    const woken = new Promise((resolve) => waiting.once('message', () => waiting.once('message', resolve)));
    await new Promise((resolve) => waiting.once('message', resolve));
    control.requestStop();
    expect(await woken).toBe('woken');
  } finally {
    await waiting.terminate();
  }
});

test('ControlBlock lets the thread wait for an answer, which a wish to stop cuts short', () => {
  const main = new ControlBlock();
  const thread = new ControlBlock(main.buffer);
  thread.expectAnswer();
  main.announceAnswer();
  expect(thread.waitForAnswer()).toBe(true);
  thread.expectAnswer();
  main.requestStop();
  expect(thread.waitForAnswer()).toBe(false);
  main.reset();
  main.announceAnswer();
  expect(thread.waitForAnswer()).toBe(true);
});

test('ControlBlock says that a call is pending from its reset to its end', () => {
  const main = new ControlBlock();
  const thread = new ControlBlock(main.buffer);
  expect(thread.isCallPending).toBe(false);
  main.reset();
  expect(thread.isCallPending).toBe(true);
  thread.callOver();
  expect(main.isCallPending).toBe(false);
});

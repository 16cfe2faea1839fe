import { expect, test } from 'vitest';
import type { ExecError } from '../../../src/model/exec-error.ts';
import { SandboxStarter } from '../../../src/pool/sandbox-starter.ts';
import type { Sandbox } from '../../../src/sandbox/sandbox.ts';
import { settled } from '../base/manual-clock.ts';
import { setUpPool } from './fakes.ts';

function setUp(failureCount: number) {
  const { clock, failures, options } = setUpPool();
  failures.push(...Array.from({ length: failureCount }, (_, index) => new Error(`failure ${index + 1}`)));
  const started: Sandbox[] = [];
  const gaveUp: ExecError[] = [];
  const starter = new SandboxStarter({
    clock,
    startSandbox: options.startSandbox,
    onStarted: (sandbox) => started.push(sandbox),
    onGaveUp: (error) => gaveUp.push(error),
  });
  return { clock, starter, started, gaveUp };
}

test('SandboxStarter gives each sandbox an id of its own', async () => {
  const { starter, started } = setUp(0);
  starter.start();
  starter.start();
  expect(starter.pending).toBe(2);
  await settled();
  expect(started.map(({ id }) => id)).toEqual([1, 2]);
  expect([starter.pending, starter.failures]).toEqual([0, 0]);
});

test('SandboxStarter tries again after delays that grow', async () => {
  const { clock, starter, started, gaveUp } = setUp(4);
  starter.start();
  await settled();
  for (const [failuresSoFar, delayMs] of [
    [1, 100],
    [2, 200],
    [3, 400],
    [4, 800],
  ] as const) {
    expect(starter.failures).toBe(failuresSoFar);
    await clock.advance(delayMs - 1);
    expect([starter.failures, started.length, starter.pending]).toEqual([failuresSoFar, 0, 1]);
    await clock.advance(1);
  }
  expect(started).toHaveLength(1);
  expect([gaveUp, starter.pending]).toEqual([[], 0]);
});

test('SandboxStarter gives up after so many tries, with the last cause', async () => {
  const { clock, starter, started, gaveUp } = setUp(6);
  starter.start();
  await settled();
  await clock.advance(60_000);
  expect(gaveUp).toMatchObject([{ reason: 'SANDBOX_UNAVAILABLE', cause: { message: 'failure 5' } }]);
  expect([started.length, starter.pending, starter.failures, clock.timers]).toEqual([0, 0, 5, 0]);
});

test('SandboxStarter closed gives up its waits, and waits for tries under way', async () => {
  const { clock, starter, gaveUp } = setUp(1);
  starter.start();
  await settled();
  await starter[Symbol.asyncDispose]();
  expect(gaveUp).toHaveLength(1);
  expect(clock.timers).toBe(0);
});

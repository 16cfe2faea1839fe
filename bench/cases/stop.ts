/**
 * How soon a guest that never ends is stopped, seen from the client: from
 * CancelExecution to its answer, which comes when the execution has ended; and how
 * late a timeout comes. The floor is the round trip of a call that changes nothing.
 */

import { ExecutionService, Outcome, Stage } from '../../src/gen/caisson/v1/execution_pb.ts';
import type { Case } from '../context.ts';
import { Control } from '../control.ts';
import { quantile, timedUs } from '../measure.ts';
import type { Row } from '../report.ts';
import { rowsOf, usText } from '../rows.ts';

/** How long a guest has run when it is stopped, at least. */
const runMs = 15;
const timeoutMs = 50;
const name = 'a guest that never ends';
const spin = { plugin: 'workload', function: 'spin' } as const;

export const stop: Case = async ({ fleet, quick }) => {
  using control = await Control.open(await fleet.server('caisson'));
  const stops = quick ? 15 : 100;
  const floorUs: number[] = [];
  const cancelUs: number[] = [];
  const timeoutUs: number[] = [];
  for (let turn = 0; turn < stops; turn++) {
    const { stopUs, floor } = await cancelOnce(control, runMs * (1 + turn / stops));
    cancelUs.push(stopUs);
    floorUs.push(floor);
    timeoutUs.push(await timeoutOnce(control));
  }
  const rows = stopRows(floorUs, cancelUs, timeoutUs);
  const reading = rows.map(({ contender, figure, note }) => `${contender}: ${figure}, ${note}`);
  return { name: 'stop', rows, reading };
};

function stopRows(floor: readonly number[], cancel: readonly number[], timeout: readonly number[]): readonly Row[] {
  const note = (samples: readonly number[]): string => `p99 ${usText(quantile(samples, 0.99))} of ${samples.length}`;
  return rowsOf({ case: name, against: 'floor: GetExecution', better: 'less', text: usText }, [
    { contender: 'floor: GetExecution', samples: floor, note: note(floor) },
    { contender: 'CancelExecution, to its end', samples: cancel, note: note(cancel) },
    { contender: `limits.timeout of ${timeoutMs} ms, answer after it`, samples: timeout, note: note(timeout) },
  ]);
}

async function cancelOnce(control: Control, afterMs: number): Promise<{ stopUs: number; floor: number }> {
  const running = Promise.withResolvers<string>();
  const ended = control.stream(ExecutionService.method.executeStream, spin, ({ event }) => {
    if (event?.event.case === 'stage' && event.event.value === Stage.RUNNING) running.resolve(event.executionId);
  });
  const id = await Promise.race([running.promise, ended.then(({ message }) => Promise.reject(new Error(message)))]);
  await new Promise((resolve) => setTimeout(resolve, afterMs));
  const floor = await timedUs(() => control.call(ExecutionService.method.getExecution, { id }));
  const stopUs = await timedUs(async () => {
    const { execution } = await control.call(ExecutionService.method.cancelExecution, { id });
    expectOutcome(execution?.outcome, Outcome.CANCELED);
  });
  await ended;
  return { stopUs, floor };
}

async function timeoutOnce(control: Control): Promise<number> {
  const limits = { timeout: { nanos: timeoutMs * 1e6 } };
  const us = await timedUs(async () => {
    const { execution } = await control.call(ExecutionService.method.execute, { ...spin, limits });
    expectOutcome(execution?.outcome, Outcome.TIMED_OUT);
  });
  return us - timeoutMs * 1_000;
}

function expectOutcome(outcome: Outcome | undefined, expected: Outcome): void {
  if (outcome !== expected) throw new Error(`The outcome is ${outcome}, not ${expected}`);
}

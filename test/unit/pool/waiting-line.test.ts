import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import { WaitingLine } from '../../../src/pool/waiting-line.ts';

const never = new AbortController().signal;

test('WaitingLine serves in order of arrival', async () => {
  const line = new WaitingLine<string>('bread');
  const turns = [line.join(never), line.join(never)];
  expect(line.length).toBe(2);
  expect([line.serve('first'), line.serve('second'), line.serve('third')]).toEqual([true, true, false]);
  expect(await Promise.all(turns)).toEqual(['first', 'second']);
  expect(line.length).toBe(0);
  expect(getEventListeners(never, 'abort')).toEqual([]);
});

test('WaitingLine lets those leave whose signal aborts, and serves the next', async () => {
  const line = new WaitingLine<string>('bread');
  const stopping = new AbortController();
  const leaving = line.join(stopping.signal);
  const staying = line.join(never);
  stopping.abort(new AbortReason('DEADLINE', 'too late'));
  await expect(leaving).rejects.toMatchObject({
    reason: 'DEADLINE_EXCEEDED',
    message: 'Stopped waiting for bread: too late',
  });
  expect(line.length).toBe(1);
  line.serve('fresh');
  expect(await staying).toBe('fresh');
});

test('WaitingLine does not let in whose signal has aborted', async () => {
  const line = new WaitingLine<string>('bread');
  await expect(line.join(AbortSignal.abort(new AbortReason('CANCELED')))).rejects.toMatchObject({ reason: 'CANCELED' });
  expect(line.length).toBe(0);
});

test('WaitingLine refuses all at once', async () => {
  const line = new WaitingLine<string>('bread');
  const error = new ExecError('SHUTTING_DOWN', 'closed');
  const refused = [line.join(never), line.join(never)].map((turn) => expect(turn).rejects.toBe(error));
  line.refuseAll(error);
  await Promise.all(refused);
  expect([line.length, line.serve('late')]).toEqual([0, false]);
});

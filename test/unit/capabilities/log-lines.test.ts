import { expect, test } from 'vitest';
import { keepLogLine } from '../../../src/capabilities/log-lines.ts';
import { fixedLimits } from '../../../src/model/limits.ts';
import { fakeCall } from './fakes.ts';

const line = Buffer.from('x');

test('A call may send as many lines as the bound, and what is more is counted', () => {
  const call = fakeCall({ limits: { logBytes: 1_000_000 } });
  const kept = Array.from({ length: fixedLimits.logLines + 2 }, () => keepLogLine(call, 'info', line));
  expect(kept.slice(-3)).toEqual([true, false, false]);
  expect(call.sent).toHaveLength(fixedLimits.logLines);
  expect(call.meters.logLinesDropped).toBe(2);
});

test('Each call has lines of its own', () => {
  const calls = [fakeCall(), fakeCall()];
  for (const call of calls) for (let i = 0; i < fixedLimits.logLines; i++) keepLogLine(call, 'warn', line);
  expect(calls.map(({ meters }) => meters.logLinesDropped)).toEqual([0, 0]);
});

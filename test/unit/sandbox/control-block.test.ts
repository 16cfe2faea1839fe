import { expect, test } from 'vitest';
import { ControlBlock } from '../../../src/sandbox/control-block.ts';

test('ControlBlock shows the meters of one side to the other, and forgets them when reset', () => {
  const main = new ControlBlock();
  const thread = new ControlBlock(main.buffer);
  thread.meters.hostCalls += 2 ** 33;
  thread.meters.memoryPeakBytes = 65_536;
  expect({ ...main.meters }).toEqual({
    hostCalls: 2 ** 33,
    progressEvents: 0,
    progressCoalesced: 0,
    logBytes: 0,
    logLinesDropped: 0,
    memoryPeakBytes: 65_536,
  });
  main.resetMeters();
  expect(Object.values(thread.meters)).toEqual([0, 0, 0, 0, 0, 0]);
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

test('ControlBlock asks for a stop in its first word', () => {
  const main = new ControlBlock();
  main.requestStop();
  expect(new Int32Array(main.buffer, 0, 2)[0]).toBe(1);
});

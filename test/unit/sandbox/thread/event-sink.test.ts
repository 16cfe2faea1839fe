import { expect, test } from 'vitest';
import { ControlBlock } from '../../../../src/sandbox/control-block.ts';
import { eventSink, untakenMax } from '../../../../src/sandbox/thread/event-sink.ts';

test('eventSink is crowded from a full window of untaken events until one is taken', () => {
  const control = new ControlBlock();
  const posted: unknown[] = [];
  const sink = eventSink(control, (event) => posted.push(event));
  const event = { type: 'log', level: 'info', message: '' } as const;
  for (let sent = 0; sent < untakenMax - 1; sent++) sink.send(event);
  expect(sink.crowded).toBe(false);
  sink.send(event);
  expect(sink.crowded).toBe(true);
  control.countTaken();
  expect(sink.crowded).toBe(false);
  expect(posted).toHaveLength(untakenMax);
});

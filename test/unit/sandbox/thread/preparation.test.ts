import { expect, test } from 'vitest';
import { systemClock } from '../../../../src/base/clock.ts';
import { resolveLimits } from '../../../../src/model/limits.ts';
import { ControlBlock } from '../../../../src/sandbox/control-block.ts';
import { eventSink } from '../../../../src/sandbox/thread/event-sink.ts';
import type { GuestInstance } from '../../../../src/sandbox/thread/guest-instance.ts';
import { HostCaller } from '../../../../src/sandbox/thread/host-caller.ts';
import { fuelAheadMax, Preparation } from '../../../../src/sandbox/thread/preparation.ts';
import { Running } from '../../../../src/sandbox/thread/running.ts';
import { compileText } from '../../../helpers/sandbox.ts';

const control = new ControlBlock();
const preparation = new Preparation({
  control,
  clock: systemClock,
  events: eventSink(control, () => {}),
  running: new Running(),
  host: new HostCaller({ control, answers: undefined, post: () => {} }),
});

/** An instance whose lifecycle function has turned so many times, if it was run ahead. */
function prepared(turns: number): GuestInstance {
  const plugin = compileText(`(module (func (export "run"))
    (func (export "_initialize") (local i32) (local.set 0 (i32.const ${turns}))
      (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))`);
  const instance = preparation.prepare(plugin, resolveLimits({}, {}));
  if (instance === undefined) throw new Error('Nothing was prepared');
  return instance;
}

test('Lifecycle functions run ahead as long as they use no more fuel than they may', () => {
  const [few, more] = [prepared(1_000_000).fuelUsed, prepared(1_000_001).fuelUsed];
  const turnsMax = 1_000_000 + Math.floor((fuelAheadMax - few) / (more - few));
  const [last, beyond] = [prepared(turnsMax), prepared(turnsMax + 1)];
  expect(last.isInitialised).toBe(true);
  expect(last.fuelUsed).toBeGreaterThan(fuelAheadMax - (more - few));
  expect(last.fuelUsed).toBeLessThanOrEqual(fuelAheadMax);
  expect(beyond).toMatchObject({ isInitialised: false, fuelUsed: 0 });
});

import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../../src/base/clock.ts';
import { clockAnswers } from '../../../../src/capabilities/local/clock.ts';
import type { HostAnswer } from '../../../../src/model/operation.ts';
import { ManualClock } from '../../base/manual-clock.ts';

function nanoseconds({ code, payload }: HostAnswer): bigint {
  expect([code, payload.length]).toEqual([0, 8]);
  return Buffer.from(payload).readBigInt64LE();
}

describe('The clock of a run', () => {
  test('gives nanoseconds since 1970, and since the run began', async () => {
    const clock = new ManualClock(1_750_000_000_000);
    const answers = clockAnswers(clock);
    expect(nanoseconds(answers['clock.monotonic']())).toBe(0n);
    await clock.advance(250);
    expect(nanoseconds(answers['clock.now']())).toBe(1_750_000_000_250_000_000n);
    expect(nanoseconds(answers['clock.monotonic']())).toBe(250_000_000n);
  });

  test('counts from the beginning of its own run, not of another', async () => {
    const clock = new ManualClock();
    clockAnswers(clock);
    await clock.advance(1_000);
    expect(nanoseconds(clockAnswers(clock)['clock.monotonic']())).toBe(0n);
  });

  test.each([
    [1_750_000_000_000.5, 1_750_000_000_000_500_000n],
    [0.000001, 1n],
    [12.25, 12_250_000n],
    [-0.5, -500_000n],
  ])('turns %d ms into nanoseconds without losing whole ones', (ms, expected) => {
    expect(nanoseconds(clockAnswers(new ManualClock(ms))['clock.now']())).toBe(expected);
  });

  test('never gives a monotonic time below 0', () => {
    let ms = 10;
    const answers = clockAnswers({ ...systemClock, monotonic: () => ms });
    ms = 9;
    expect(nanoseconds(answers['clock.monotonic']())).toBe(0n);
  });
});

import { describe, expect, test } from 'vitest';
import { clockFamily } from '../../../src/capabilities/clock.ts';
import { clockAnswers } from '../../../src/capabilities/local/clock.ts';
import type { HostAnswer } from '../../../src/model/operation.ts';
import { callHost, fakeCall } from './fakes.ts';

function answered(nanoseconds: bigint): HostAnswer {
  const payload = Buffer.alloc(11);
  payload.writeBigInt64LE(nanoseconds, 3);
  return { code: 0, payload: payload.subarray(3) };
}

describe('clock', () => {
  test.each([0n, 1n, 1_750_000_000_000_123_456n, 2n ** 63n - 1n])(
    'gives a guest the %d ns of the answer',
    (nanoseconds) => {
      const call = fakeCall({ answer: () => answered(nanoseconds) });
      const { functions } = clockFamily(call);
      expect(callHost(functions, 'clock_now')).toBe(nanoseconds);
      expect(callHost(functions, 'clock_monotonic')).toBe(nanoseconds);
      expect(call.asked).toEqual([
        { operation: 'clock.now', request: new Uint8Array() },
        { operation: 'clock.monotonic', request: new Uint8Array() },
      ]);
    },
  );

  test('reads what its own thread answers, at the time of each call', async () => {
    const call = fakeCall({ answer: (operation) => answers[operation as keyof typeof answers]() });
    const answers = clockAnswers(call.clock);
    const { functions } = clockFamily(call);
    await call.clock.advance(1_500);
    expect(callHost(functions, 'clock_now')).toBe(1_750_000_001_500_000_000n);
    expect(callHost(functions, 'clock_monotonic')).toBe(1_500_000_000n);
    await call.clock.advance(1);
    expect(callHost(functions, 'clock_monotonic')).toBe(1_501_000_000n);
  });
});

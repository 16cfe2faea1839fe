/** Answers to a guest that asks for the time, given in its own thread: nanoseconds as 8 bytes, little-endian. */

import type { Clock } from '../../base/clock.ts';
import type { HostAnswer } from '../../model/operation.ts';

export interface ClockAnswers {
  readonly 'clock.now': () => HostAnswer;
  /** Counts from the making of these answers and never goes back. */
  readonly 'clock.monotonic': () => HostAnswer;
}

/** The answers of one run. To be made when the run begins. */
export function clockAnswers(clock: Clock): ClockAnswers {
  const beganMs = clock.monotonic();
  return {
    'clock.now': () => answerOf(clock.now()),
    'clock.monotonic': () => answerOf(Math.max(0, clock.monotonic() - beganMs)),
  };
}

function answerOf(ms: number): HostAnswer {
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setBigInt64(0, nanosecondsOf(ms), true);
  return { code: 0, payload };
}

/** Milliseconds of today, times a million, are more than a number holds exactly: whole ones and the fraction go apart. */
function nanosecondsOf(ms: number): bigint {
  const whole = Math.floor(ms);
  return BigInt(whole) * 1_000_000n + BigInt(Math.floor((ms - whole) * 1_000_000));
}

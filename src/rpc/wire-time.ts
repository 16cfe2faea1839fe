/** Milliseconds, with their fractions, to and from the messages Timestamp and Duration, to the nanosecond. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Duration, DurationSchema, TimestampSchema } from '@bufbuild/protobuf/wkt';

const msPerSecond = 1_000;
const nanosPerMs = 1_000_000;
const nanosPerSecond = 1_000_000_000;
/** The range of Duration: about 10,000 years. */
const secondsMax = 315_576_000_000n;

/** Nanos are never negative, also before 1970. */
export function timestampOf(msSince1970: number): MessageInitShape<typeof TimestampSchema> {
  return split(msSince1970, Math.floor);
}

/** Nanos have the sign of the seconds. */
export function durationOf(ms: number): MessageInitShape<typeof DurationSchema> {
  return split(ms, Math.trunc);
}

function split(ms: number, whole: (value: number) => number): { seconds: bigint; nanos: number } {
  const seconds = whole(ms / msPerSecond);
  const nanos = Math.round((ms - seconds * msPerSecond) * nanosPerMs);
  const carry = Math.trunc(nanos / nanosPerSecond);
  return { seconds: BigInt(seconds + carry), nanos: nanos - carry * nanosPerSecond };
}

/** Milliseconds of a duration; undefined if its parts are out of range or differ in sign. */
export function millisecondsOf({ seconds, nanos }: Duration): number | undefined {
  if (seconds > secondsMax || seconds < -secondsMax || Math.abs(nanos) >= nanosPerSecond) return undefined;
  if ((seconds > 0n && nanos < 0) || (seconds < 0n && nanos > 0)) return undefined;
  return Number(seconds) * msPerSecond + nanos / nanosPerMs;
}

/** Capability "clock": the time of day, and the time since the run began. What the guest reads is an answer like any other. */

import type { CallContext, HostFamily } from './call-context.ts';

const nothing = new Uint8Array();

export function clockFamily(call: CallContext): HostFamily {
  return {
    functions: {
      /** Nanoseconds since 1970. */
      clock_now: () => nanoseconds(call.ask('clock.now', nothing).payload),
      /** Nanoseconds since the run began. */
      clock_monotonic: () => nanoseconds(call.ask('clock.monotonic', nothing).payload),
    },
  };
}

/** Reads what local/clock.ts writes. */
function nanoseconds(payload: Uint8Array): bigint {
  return new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getBigInt64(0, true);
}

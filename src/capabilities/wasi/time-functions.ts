/** Functions of time: the clocks, and waiting. */

import { wasi } from '@bjorn3/browser_wasi_shim';
import { askTime } from './outside.ts';
import { eventRecord, type PollEvent, readSubscription, recordBytes, type Subscription } from './records.ts';
import { refuse, type WasiFunctions } from './refusal.ts';
import { InputStream } from './streams.ts';
import type { WasiCall } from './wasi-call.ts';

/** Subscriptions that one poll_oneoff may have. */
export const subscriptionsMax = 256;

const clockResolutionNs = 1_000n;
const nsPerMs = 1_000_000;

/** When a subscription comes true, and what is to be told then. */
interface Waiting {
  readonly waitNs: bigint;
  readonly event: PollEvent;
}

export function timeFunctions(context: WasiCall): WasiFunctions {
  const { call, memory } = context;
  return {
    clock_res_get(clockId: number, result: number): void {
      expectClock(clockId);
      memory.setU64(result, clockResolutionNs);
    },

    clock_time_get(clockId: number, _precision: bigint, result: number): void {
      expectClock(clockId);
      memory.expectRoom(result, 8);
      memory.setU64(result, askTime(call, clockId));
    },

    /** Waits for the first subscription to come true and tells all that have. Descriptors never keep anybody waiting. */
    poll_oneoff(pointer: number, events: number, count: number, result: number): void {
      if (count === 0 || count > subscriptionsMax) refuse(wasi.ERRNO_INVAL);
      memory.expectRoom(events, count * recordBytes.event);
      memory.expectRoom(result, 4);
      const waiting = subscriptionsAt(context, pointer, count).map((one) => waitingFor(context, one));
      const soonestNs = waiting.reduce(
        (least, { waitNs }) => (waitNs < least ? waitNs : least),
        waiting[0]?.waitNs ?? 0n,
      );
      // The run ends by its timeout at the latest.
      if (soonestNs > 0n) call.sleep(Math.min(Number(soonestNs) / nsPerMs, call.limits.timeoutMs));
      const due = waiting.filter(({ waitNs }) => waitNs <= soonestNs);
      for (const [index, { event }] of due.entries()) {
        memory.write(events + index * recordBytes.event, eventRecord(event));
      }
      memory.setU32(result, due.length);
    },
  };
}

/** The processor time that a guest has used is not told: fuel is its measure, and it has no clock. */
function expectClock(clockId: number): void {
  const errno = clockErrno(clockId);
  if (errno !== wasi.ERRNO_SUCCESS) refuse(errno);
}

function clockErrno(clockId: number): number {
  if (clockId === wasi.CLOCKID_REALTIME || clockId === wasi.CLOCKID_MONOTONIC) return wasi.ERRNO_SUCCESS;
  return clockId <= wasi.CLOCKID_THREAD_CPUTIME_ID ? wasi.ERRNO_NOTSUP : wasi.ERRNO_INVAL;
}

function subscriptionsAt({ call, memory }: WasiCall, pointer: number, count: number): readonly Subscription[] {
  const length = count * recordBytes.subscription;
  call.chargeBytes(length);
  const { buffer } = memory.view(pointer, length).slice();
  return Array.from({ length: count }, (_, index) =>
    readSubscription(new DataView(buffer, index * recordBytes.subscription, recordBytes.subscription)),
  );
}

function waitingFor(context: WasiCall, subscription: Subscription): Waiting {
  const { userdata, eventtype, source } = subscription;
  if (eventtype === wasi.EVENTTYPE_CLOCK) {
    const errno = clockErrno(source);
    const waitNs = errno === wasi.ERRNO_SUCCESS ? waitOf(context, subscription) : 0n;
    return { waitNs, event: { userdata, errno, eventtype, bytes: 0n } };
  }
  if (eventtype > wasi.EVENTTYPE_FD_WRITE) refuse(wasi.ERRNO_INVAL);
  const handle = context.descriptors.find(source)?.handle;
  const errno = handle === undefined ? wasi.ERRNO_BADF : wasi.ERRNO_SUCCESS;
  const bytes = eventtype === wasi.EVENTTYPE_FD_READ && handle instanceof InputStream ? BigInt(handle.bytesLeft) : 0n;
  return { waitNs: 0n, event: { userdata, errno, eventtype, bytes } };
}

function waitOf({ call }: WasiCall, { source, timeoutNs, flags }: Subscription): bigint {
  if ((flags & wasi.SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME) === 0) return timeoutNs;
  const nowNs = askTime(call, source);
  return timeoutNs > nowNs ? timeoutNs - nowNs : 0n;
}

/**
 * Capability "progress": how far the guest says that it has come. Reports faster
 * than the rate, or than they are taken, are merged: the newest is kept, and goes
 * out with the next one allowed or at the end of the call.
 */

import type { Clock } from '../base/clock.ts';
import type { GuestEvent } from '../model/execution.ts';
import { fixedLimits } from '../model/limits.ts';
import type { CallContext, HostFunctions } from './call-context.ts';
import { shownText } from './guest-text.ts';
import { withoutSecrets } from './secrets-read.ts';

/** Reports that may come at once. Burst and refill together keep any second within progressPerSecond. */
const burst = 100;
const refillPerMs = (fixedLimits.progressPerSecond - burst) / 1_000;

/** A report as it was made; its text is decoded only if it is sent. */
interface Report {
  readonly fraction: number;
  readonly message: Uint8Array;
  readonly data: Uint8Array;
}

export interface ProgressReporter {
  readonly functions: HostFunctions;
  /** Sends what was kept back. To be called once the guest has ended. */
  flush(): void;
}

export function progressReporter(call: CallContext): ProgressReporter {
  const { blocks, meters, events } = call;
  const allowed = tokenBucket(call.clock);
  let newest: Report | undefined;

  const flush = (): void => {
    if (newest !== undefined) events.send(eventOf(newest));
    newest = undefined;
  };

  /** Fraction from 0 to 1, anything else below meaning unknown; blocks of message and data, or 0. Frees both. */
  const progress = (fraction: number, message: bigint, data: bigint): void => {
    meters.progressEvents++;
    if (newest !== undefined) meters.progressCoalesced++;
    const report = {
      fraction,
      // One byte beyond the bound, to see that there is more.
      message: copyOf(call, blocks.view(message), fixedLimits.progressMessageBytes + 1),
      data: copyOf(call, blocks.view(data), fixedLimits.progressDataBytes),
    };
    // For every report, sent or merged: which are merged depends on time, and fuel must not.
    call.chargeBytes(report.message.length + report.data.length);
    newest = report;
    blocks.free(data);
    blocks.free(message);
    if (!events.crowded && allowed()) flush();
  };

  return { functions: { progress }, flush };
}

/** A mark in the place of a secret can be longer than it. */
function copyOf(call: CallContext, block: Uint8Array | undefined, bytesMax: number): Uint8Array {
  return block === undefined ? new Uint8Array() : withoutSecrets(call, block, bytesMax).slice(0, bytesMax);
}

function eventOf({ fraction, message, data }: Report): GuestEvent {
  const text = shownText(message, fixedLimits.progressMessageBytes);
  // Adding 0 turns -0 into 0. NaN is not 0 or more.
  return { type: 'progress', ...(fraction >= 0 && { fraction: Math.min(fraction, 1) + 0 }), message: text, data };
}

/** Answers whether one more is allowed now. */
function tokenBucket(clock: Clock): () => boolean {
  let tokens = burst;
  let filledMs = clock.monotonic();
  return () => {
    const nowMs = clock.monotonic();
    tokens = Math.min(burst, tokens + (nowMs - filledMs) * refillPerMs);
    filledMs = nowMs;
    if (tokens < 1) return false;
    tokens--;
    return true;
  };
}

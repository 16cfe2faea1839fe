/**
 * Capability "usage": counters that a guest names itself, such as tokens or cost,
 * added up for the receipt. What was counted is told now and then, and at the end.
 */

import { hasControlCharacter } from '../base/text.ts';
import { fixedLimits } from '../model/limits.ts';
import type { CallContext, HostFamily } from './call-context.ts';
import { freeAll, textOf } from './guest-values.ts';
import { keepLogLine } from './log-lines.ts';
import { textWithoutSecrets } from './secrets-read.ts';

/** No more than one note in this time, besides the last. */
const noteMs = 100;
const encoder = new TextEncoder();
const amountMax = BigInt(Number.MAX_SAFE_INTEGER);

export function usageFamily(call: CallContext): HostFamily {
  /** Bounded by fixedLimits.counters. */
  const totals = new Map<string, number>();
  const untold = new Map<string, number>();
  let toldMs = call.clock.monotonic();
  const warn = warnOnce(call);

  const flush = (): void => {
    if (untold.size === 0) return;
    call.events.send({ type: 'counters', counters: Object.fromEntries(untold) });
    untold.clear();
    toldMs = call.clock.monotonic();
  };

  /** A total stops at the greatest number that is exact. */
  const add = (name: string, amount: bigint): void => {
    const total = totals.get(name) ?? 0;
    const added = Math.min(Number(amount < amountMax ? amount : amountMax), Number.MAX_SAFE_INTEGER - total);
    totals.set(name, total + added);
    untold.set(name, (untold.get(name) ?? 0) + added);
    if (call.clock.monotonic() - toldMs >= noteMs) flush();
  };

  /** Why a counter is not counted; undefined if it is. */
  const refusal = (name: string, amount: bigint): string | undefined => {
    if (name === '' || hasControlCharacter(name)) {
      return `a name has 1 to ${fixedLimits.counterNameBytes} bytes of UTF-8 without control characters`;
    }
    if (amount < 0n) return 'amounts are not negative';
    if (totals.has(name) || totals.size < fixedLimits.counters) return undefined;
    return `a run has at most ${fixedLimits.counters} counters`;
  };

  return {
    functions: {
      /** Adds an amount to the counter of a name. Frees the name. */
      usage_add(name: bigint, amount: bigint): void {
        const text = textWithoutSecrets(call, textOf(call, name, fixedLimits.counterNameBytes) ?? '');
        freeAll(call, name);
        const why = refusal(text, amount);
        if (why === undefined) add(text, amount);
        else warn(`A call of usage_add was ignored: ${why}`);
      },
    },
    flush,
  };
}

/** The first call that is ignored is said in the log; each further one counts as a line dropped. */
function warnOnce(call: CallContext): (message: string) => void {
  let isSaid = false;
  return (message) => {
    if (isSaid) call.meters.logLinesDropped++;
    else keepLogLine(call, 'warn', encoder.encode(message));
    isSaid = true;
  };
}

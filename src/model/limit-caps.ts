/** What a policy makes of the limits of runs: a maximum for each that it names. Pure. */

import { type RunLimitName, type RunLimits, wasmPageBytes } from './limits.ts';

export interface LimitCap {
  readonly max: number;
  /** Name of the rule that sets it, for explanations. */
  readonly rule: string;
}

/** Limits without an entry are not capped. */
export type LimitCaps = { readonly [Name in RunLimitName]?: LimitCap };

/** Limits with those that are over their cap brought down to it. */
export function cappedLimits(limits: RunLimits, caps: LimitCaps): RunLimits {
  const capped = { ...limits };
  for (const [name, { max }] of Object.entries(caps) as [RunLimitName, LimitCap][]) {
    capped[name] = Math.min(limits[name], name === 'memoryBytes' ? max - (max % wasmPageBytes) : max);
  }
  return capped;
}

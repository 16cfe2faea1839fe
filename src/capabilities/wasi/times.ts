/** Times of files as guests set them. */

import { wasi } from '@bjorn3/browser_wasi_shim';
import { refuse } from './refusal.ts';

/** Undefined is the time that every file of the call has. */
export interface Times {
  readonly readNs: bigint | undefined;
  readonly changedNs: bigint | undefined;
}

/** The times of a file that the guest has not set. */
export const noTimes: Times = { readNs: undefined, changedNs: undefined };

export interface TimesAsked {
  readonly readNs: bigint;
  readonly changedNs: bigint;
  /** Which of them to set, and which to now. */
  readonly flags: number;
}

/** The times with those laid over that the guest asks for. */
export function timesAsked(times: Times, { readNs, changedNs, flags }: TimesAsked, now: () => bigint): Times {
  const read = timeOf({ flags, given: wasi.FSTFLAGS_ATIM, present: wasi.FSTFLAGS_ATIM_NOW }, readNs, now);
  const changed = timeOf({ flags, given: wasi.FSTFLAGS_MTIM, present: wasi.FSTFLAGS_MTIM_NOW }, changedNs, now);
  return { readNs: read ?? times.readNs, changedNs: changed ?? times.changedNs };
}

interface Choice {
  readonly flags: number;
  /** The flag that says to take the time given, and the one that says to take the present. */
  readonly given: number;
  readonly present: number;
}

function timeOf({ flags, given, present }: Choice, timeNs: bigint, now: () => bigint): bigint | undefined {
  if (flags & given && flags & present) refuse(wasi.ERRNO_INVAL);
  if (flags & present) return now();
  return flags & given ? BigInt.asUintN(64, timeNs) : undefined;
}

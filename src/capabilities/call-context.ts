/**
 * What a host function may know of the call that it serves. The thread that runs
 * the guest implements these; nothing here outlives one call.
 */

import type { Clock } from '../base/clock.ts';
import type { GuestEvent } from '../model/execution.ts';
import type { RunLimits } from '../model/limits.ts';
import type { OutcomeKind } from '../model/outcome.ts';

/** The kernel's memory blocks. Addresses come from guests: any number is possible. */
export interface GuestBlocks {
  /** The bytes of the block that begins at `address`, valid until the next call into the kernel: none for 0, undefined if no block does. */
  view(address: bigint): Uint8Array | undefined;
  /** A new block with these bytes; 0 if there are none; undefined if there is no room. */
  write(bytes: Uint8Array): bigint | undefined;
  /** Does nothing if no block begins at `address`. */
  free(address: bigint): void;
}

/** What is counted while a call runs, for its receipt. */
export interface CallMeters {
  hostCalls: number;
  progressEvents: number;
  progressCoalesced: number;
  logBytes: number;
  logLinesDropped: number;
}

/** Where events go. */
export interface EventSink {
  /** Whether so many events wait to be taken that what can be merged should be. */
  readonly crowded: boolean;
  send(event: GuestEvent): void;
}

export interface CallContext {
  readonly blocks: GuestBlocks;
  readonly meters: CallMeters;
  readonly events: EventSink;
  readonly clock: Clock;
  readonly limits: RunLimits;
  readonly config: ReadonlyMap<string, string>;
  /** Charges the guest fuel for bytes of text or data that the host reads or copies, beyond what the call costs by itself. */
  chargeBytes(bytes: number): void;
  /** Notes how the call shall end. The host function then answers with `stopped`, on which the kernel traps. */
  stop(kind: OutcomeKind, message: string): void;
  /** Notes that the host failed. */
  fault(error: unknown): void;
}

/** A host function. Its arguments and result have the types given in model/capability.ts. */
export type HostFunction = (...parameters: never[]) => number | bigint | void;

/** One family of host functions, by name. */
export type HostFunctions = Readonly<Record<string, HostFunction>>;

/** What a host function that returns an address or a code answers when the guest shall be stopped. */
export const stopped = { address: -1n, code: -1 } as const;

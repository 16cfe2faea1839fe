/** What the host functions of one call get from whoever runs it. Types only, besides the signs on which a guest is stopped. */

import type { Clock } from '../base/clock.ts';
import type { CapabilityName } from '../model/capability.ts';
import type { GuestEvent, GuestNote } from '../model/execution.ts';
import type { Grant } from '../model/grant.ts';
import type { RunLimits } from '../model/limits.ts';
import type { HostAnswer, OperationName } from '../model/operation.ts';
import type { OutcomeKind } from '../model/outcome.ts';

/** Variables with their values, and the bytes of names and values together. */
export interface Variables {
  readonly values: Map<string, Uint8Array>;
  bytes: number;
}

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
  /** Calls by capability. */
  readonly calls: Record<CapabilityName, number>;
}

/** Where events go. */
export interface EventSink {
  /** Whether so many events wait to be taken that what can be merged should be. */
  readonly crowded: boolean;
  send(event: GuestEvent | GuestNote): void;
}

export interface CallContext {
  readonly blocks: GuestBlocks;
  readonly meters: CallMeters;
  readonly events: EventSink;
  readonly clock: Clock;
  readonly limits: RunLimits;
  readonly config: ReadonlyMap<string, string>;
  readonly grant: Grant;
  readonly functionName: string;
  readonly input: Uint8Array;
  /** The guest's first memory, valid until the guest runs again; undefined if it has none. */
  readonly memory: Uint8Array | undefined;
  /** Seed of what "random" yields; empty for real randomness. */
  readonly randomSeed: Uint8Array;
  readonly variables: Variables;
  /**
   * One host call to the outside of the instance: the only way there, where all
   * such calls can be recorded. Waits for the answer. A refusal by the grant and
   * the wish to stop the run do not return: they throw RunStopped, which host
   * functions let pass.
   */
  ask(operation: OperationName, request: Uint8Array): HostAnswer;
  /** Waits until `ms` have passed; throws RunStopped if the run shall stop meanwhile. */
  sleep(ms: number): void;
  /** Charges the guest fuel for bytes of text or data that the host reads or copies, beyond what the call costs by itself. */
  chargeBytes(bytes: number): void;
  /** Notes how the call shall end. The guest traps soon; a host function of the kernel answers with `stopped`, on which it traps at once. */
  stop(kind: OutcomeKind, message: string): void;
  /** Notes that the guest ended by itself with a code, as by proc_exit, and stops it. */
  exit(code: number): void;
  /** Notes that the host failed. */
  fault(error: unknown): void;
}

/** Thrown out of a host function that shall not answer any more, to the frame around it, and never into a guest. */
export class RunStopped extends Error {
  constructor() {
    super('The run was stopped');
    this.name = 'RunStopped';
  }
}

/** A host function. Its arguments and result have the types given in model/capability.ts. */
export type HostFunction = (...parameters: never[]) => number | bigint | void;

/** One family of host functions, by name. */
export type HostFunctions = Readonly<Record<string, HostFunction>>;

/** One family of host functions at the service of one call. */
export interface HostFamily {
  readonly functions: HostFunctions;
  /** To be called once the guest has ended. */
  flush?(): void;
  /** What the guest put out by this family's means; undefined if nothing. */
  output?(): Uint8Array<ArrayBuffer> | undefined;
}

/** What a host function that returns an address or a code answers when the guest shall be stopped. */
export const stopped = { address: -1n, code: -1 } as const;

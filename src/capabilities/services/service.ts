/** Host calls answered by the main thread: what a capability's service gets and gives. Types only. */

import type { Grant } from '../../model/grant.ts';
import type { HostAnswer, OperationName } from '../../model/operation.ts';
import type { TraceSpan } from '../../model/trace.ts';

/** The run that asks. */
export interface AskingRun {
  readonly executionId: string;
  readonly grant: Grant;
  /** Aborts when the run shall stop; its reason is an AbortReason. */
  readonly signal: AbortSignal;
  /** The span to hang spans under; absent when the run is not traced. */
  readonly span?: TraceSpan;
  /** Units of fuel that the run may still use. */
  readonly fuelLeft: number;
  /** Seed of the run's randomness; empty for real randomness. */
  readonly randomSeed: Uint8Array;
  /** Which of the run's host calls to the main thread this is, from 1. */
  readonly number: number;
  /** "name@version" of the plugins whose calls led here, the outermost first, the asking one last. */
  readonly chain: readonly string[];
}

/** Answers the operations of one capability. */
export interface HostService {
  /** Rejects only when the host failed, or with the signal's reason. `request` is the service's to keep. */
  answer(operation: OperationName, request: Uint8Array, run: AskingRun): Promise<HostAnswer>;
}

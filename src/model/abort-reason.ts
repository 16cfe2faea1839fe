/** Why a run is stopped from outside. Always the reason of an execution's AbortSignal. */

import type { OutcomeKind } from './outcome.ts';
import { outcomeKinds } from './outcome.ts';

export type StopKind = Extract<OutcomeKind, 'TIMEOUT' | 'CANCELED' | 'DISCONNECTED' | 'DEADLINE' | 'SHUTDOWN'>;

export class AbortReason extends Error {
  readonly kind: StopKind;

  constructor(kind: StopKind, message: string = outcomeKinds[kind].help) {
    super(message);
    this.name = 'AbortReason';
    this.kind = kind;
  }

  /** The reason itself if it is one, else CANCELED. */
  static of(signal: AbortSignal): AbortReason {
    return signal.reason instanceof AbortReason ? signal.reason : new AbortReason('CANCELED');
  }
}

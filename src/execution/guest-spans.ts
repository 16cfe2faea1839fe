/**
 * The spans that a guest makes, on their way into the trace of its run. They are
 * told when they end, inner ones first, and made when the run is over, so that each
 * hangs under the one that it was opened in.
 */

import { fixedLimits } from '../model/limits.ts';
import type { GuestSpan } from '../model/execution.ts';
import type { TraceSpan } from '../model/trace.ts';

export class GuestSpans implements Disposable {
  readonly #parent: TraceSpan;
  /** Bounded by fixedLimits.spans. */
  readonly #told: GuestSpan[] = [];

  constructor(parent: TraceSpan) {
    this.#parent = parent;
  }

  add(span: GuestSpan): void {
    if (this.#told.length < fixedLimits.spans) this.#told.push(span);
  }

  /** Makes what was told. A span whose outer one never ended, because the guest was killed, is the run's own. */
  [Symbol.dispose](): void {
    const made = new Map<number, TraceSpan>();
    for (const { index, name, startMs, endMs, attributes, parent = -1 } of this.#told.toSorted(byStart)) {
      const span = (made.get(parent) ?? this.#parent).child(name, { startMs, attributes });
      made.set(index, span);
      span.end(endMs);
    }
  }
}

/** Indices are in the order of starts: an outer span is made before those in it. */
function byStart(one: GuestSpan, other: GuestSpan): number {
  return one.index - other.index;
}

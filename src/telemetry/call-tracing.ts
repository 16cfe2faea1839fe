/** What tracing offers to whoever takes calls. Types only, so that nothing of the SDK is loaded for them. */

import type { TraceSpan } from '../model/trace.ts';

/** Reads the headers of a call; the names are in lower case. */
export interface HeaderReader {
  get(name: string): readonly string[];
}

/** Its disposal sends what is left, takes at most 2 s, and never rejects. */
export interface Tracing extends AsyncDisposable {
  /**
   * Starts the span of a call. `path` is the rpc's, such as
   * "/caisson.v1.ExecutionService/Execute". Continues the caller's trace if it
   * sent one. Undefined if the call is not sampled, so that nothing below it is
   * traced either.
   */
  startCall(path: string, headers: HeaderReader): TraceSpan | undefined;
}

/**
 * A span as the rest of the code sees it. telemetry/ implements it; where a call
 * is not traced there is no span at all, so that not tracing costs nothing.
 */

export type TraceAttributes = Readonly<Record<string, string | number | boolean>>;

export interface TraceSpan {
  /** Starts a span below this one, at `startMs` (milliseconds since 1970) if given. */
  child(name: string, options?: { readonly startMs?: number; readonly attributes?: TraceAttributes }): TraceSpan;
  set(attributes: TraceAttributes): void;
  /** Marks the span as failed; `kind` becomes error.type. */
  fail(kind: string): void;
  /** The W3C traceparent that names this span as the parent of what another server does. */
  readonly traceparent: string;
  /** Ends the span, at `endMs` if given. A second end does nothing. */
  end(endMs?: number): void;
}

/**
 * Decorator: hangs the spans of a run below the span of its call. They are made
 * from the measured phases when the run has ended; a run that is not traced
 * goes straight through.
 */

import { boundedText, singleLine } from '../base/text.ts';
import { ExecError } from '../model/exec-error.ts';
import type { ExecutionContext, Executor, PreparedAction, RunPhases } from '../model/execution.ts';
import type { Outcome } from '../model/outcome.ts';
import type { TraceAttributes, TraceSpan } from '../model/trace.ts';

/** Waits shorter than this get no span. */
const waitMsMin = 0.1;
/** Bytes of a function's name in the name of a span. */
const nameBytesMax = 128;

export function traced(inner: Executor): Executor {
  return {
    execute: (action, context) =>
      context.span ? executeTraced(inner, action, context, context.span) : inner.execute(action, context),
  };
}

async function executeTraced(
  inner: Executor,
  action: PreparedAction,
  context: ExecutionContext,
  parent: TraceSpan,
): Promise<Outcome> {
  let phases: RunPhases | undefined;
  const measured = (measured: RunPhases): void => {
    phases = measured;
    context.measured?.(measured);
  };
  let end: RunEnd = { kind: 'INTERNAL' };
  try {
    const outcome = await inner.execute(action, { ...context, measured });
    end = outcome.name === 'OK' ? { outcome: 'OK' } : { outcome: outcome.name, kind: outcome.error.kind };
    return outcome;
  } catch (error) {
    end = { kind: ExecError.from(error).reason };
    throw error;
  } finally {
    if (phases) makeSpans({ parent, action, phases, end, executionId: context.id });
  }
}

interface RunEnd {
  /** Absent if the host failed. */
  readonly outcome?: Outcome['name'];
  /** What went wrong; absent if nothing did. */
  readonly kind?: string;
}

interface SpanFacts {
  readonly parent: TraceSpan;
  readonly action: PreparedAction;
  readonly phases: RunPhases;
  readonly end: RunEnd;
  readonly executionId: string;
}

interface Phase {
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** The last phase says how the run ended. */
function makeSpans({ parent, action, phases, end, executionId }: SpanFacts): void {
  const { manifest } = action.version;
  const attributes: TraceAttributes = {
    'caisson.plugin.name': manifest.name,
    'caisson.plugin.version': manifest.version,
    'caisson.execution.id': executionId,
  };
  const reached = phasesOf(phases, action.function);
  const last = reached.at(-1);
  for (const phase of reached) {
    const { name, startMs, endMs } = phase;
    const span = parent.child(name, { startMs, attributes });
    if (phase === last) sayEnd(span, end);
    span.end(endMs);
  }
}

/**
 * The phases that the run went through, without waits too short to matter. Of a
 * guest that was killed nobody knows when its function began: the call is all of it.
 */
function phasesOf(phases: RunPhases, functionName: string): readonly Phase[] {
  const { startMs, compiledMs, leasedMs, guestStartMs, endMs } = phases;
  const compile = { name: 'wasm compile', startMs, endMs: compiledMs ?? endMs };
  if (compiledMs === undefined) return [compile];
  const wait = { name: 'queue wait', startMs: compiledMs, endMs: leasedMs ?? endMs };
  if (leasedMs === undefined) return [...[compile].filter(matters), wait];
  const called = singleLine(boundedText(functionName, nameBytesMax));
  const call = { name: `wasm call ${called}`, startMs: guestStartMs ?? leasedMs, endMs: phases.guestEndMs ?? endMs };
  const waits = [compile, wait].filter(matters);
  if (guestStartMs === undefined) return [...waits, call];
  return [...waits, { name: 'instance acquire', startMs: leasedMs, endMs: guestStartMs }, call];
}

function matters(phase: Phase): boolean {
  return phase.endMs - phase.startMs > waitMsMin;
}

function sayEnd(span: TraceSpan, { outcome, kind }: RunEnd): void {
  if (outcome !== undefined) span.set({ 'caisson.outcome': outcome });
  if (kind !== undefined) span.fail(kind);
}

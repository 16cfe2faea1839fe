/** What to run, in what context, and what is reported while it runs. Types only. */

import type { AbortReason } from './abort-reason.ts';
import type { LimitsAsked, RunLimits } from './limits.ts';
import type { Grant } from './grant.ts';
import type { FuelProfile } from './fuel-profile.ts';
import type { Outcome } from './outcome.ts';
import type { PluginVersion } from './plugin.ts';
import type { TraceSpan } from './trace.ts';

/** What to run. Its fields have been checked for form, not yet against the plugin. */
export interface Action {
  /** Who asks: see model/tenant.ts. */
  readonly tenant: string;
  /** "name", "name@version" or "sha256:…". */
  readonly plugin: string;
  readonly function: string;
  /** Never written to after the action was made. */
  readonly input: Uint8Array;
  readonly config: ReadonlyMap<string, string>;
  readonly limits: LimitsAsked;
  readonly requestId: string;
  readonly labels: ReadonlyMap<string, string>;
  /** Seed of what the guest sees as randomness; empty for real randomness. */
  readonly randomSeed: Uint8Array;
  /** Session whose instance the call shall use; empty for none. */
  readonly sessionId: string;
}

/** An action that has been checked against its plugin and stands on its own: what executors run. */
export interface PreparedAction extends Action {
  readonly version: PluginVersion;
  /** The action's configuration laid over the manifest's. */
  readonly config: ReadonlyMap<string, string>;
  /** Every limit, resolved. */
  readonly limits: RunLimits;
  readonly grant: Grant;
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** What a guest reports while it runs. */
export type GuestEvent =
  | { readonly type: 'progress'; readonly fraction?: number; readonly message: string; readonly data: Uint8Array }
  | { readonly type: 'log'; readonly level: LogLevel; readonly message: string };

/** What a guest tells the host alone; no reader of events sees it. */
export type GuestNote =
  /** What the guest counted since the last such note. */
  | { readonly type: 'counters'; readonly counters: Readonly<Record<string, number>> }
  | { readonly type: 'span'; readonly span: GuestSpan };

/** A span that a guest made; names and values are fit to be shown. */
export interface GuestSpan {
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly startMs: number;
  readonly endMs: number;
  /** Index of the span around it among the guest's spans of this run, by order of their starts; absent for none. */
  readonly parent?: number;
  readonly index: number;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What is reported of a run while it runs; the outcome comes by return. */
export type RunEvent = { readonly type: 'stage'; readonly stage: 'RUNNING' } | GuestEvent;

/** When the phases of a run began, in milliseconds since 1970; absent where the run did not get so far. */
export interface RunPhases {
  /** The executor took the action. */
  readonly startMs: number;
  /** Its module was compiled; it began to wait for a sandbox. */
  readonly compiledMs?: number;
  /** It had a sandbox. */
  readonly leasedMs?: number;
  /** The guest's function began, and ended; absent too if the guest had to be killed. */
  readonly guestStartMs?: number;
  readonly guestEndMs?: number;
  readonly endMs: number;
}

/** What a run may know of its caller and whom it tells. */
export interface ExecutionContext {
  readonly id: string;
  /** Aborts when the run shall stop; the reason is an AbortReason. */
  readonly signal: AbortSignal;
  /** Aborts the signal. */
  stop(reason: AbortReason): void;
  /** The span to hang spans under; absent when the run is not traced. */
  readonly span?: TraceSpan;
  /** "name@version" of the plugins whose calls led here, the outermost first; absent for calls from outside. */
  readonly chain?: readonly string[];
  report(event: RunEvent): void;
  /** Told once, at the end of the run, when its phases began; absent if nobody wants to know. */
  measured?(phases: RunPhases): void;
  /** Told once, at the end of the run, where its fuel went; absent if nobody wants to know, which is cheaper. */
  profiled?(profile: FuelProfile): void;
}

export interface Executor {
  /** Resolves for everything the guest did. Rejects with an ExecError only when the run never began or the host failed. */
  execute(action: PreparedAction, context: ExecutionContext): Promise<Outcome>;
}

/** The messages between the main thread and its threads. Types only. */

import type { Digest } from '../base/digest.ts';
import type { CapabilityName } from '../model/capability.ts';
import type { FuelProfile } from '../model/fuel-profile.ts';
import type { GuestEvent } from '../model/execution.ts';
import type { RunLimits } from '../model/limits.ts';
import type { Outcome } from '../model/outcome.ts';
import type { Reason } from '../model/reasons.ts';
import type { OffsetMap } from '../wasm/metering/offset-map.ts';
import type { ModuleInfo } from '../wasm/inspect.ts';
import type { ModulePolicy } from '../wasm/policy.ts';
import type { WasmProblem } from '../wasm/problem.ts';

/** The first message of every thread. */
export interface ReadyMessage {
  readonly type: 'ready';
}

/** An error on its way between threads, where classes are lost. */
export interface ErrorData {
  readonly reason: Reason;
  readonly message: string;
  /** Message and stack of what stands behind it: for the log. */
  readonly cause?: string;
}

/** Modules of one plugin version under one limit of memory. */
export interface CompiledPlugin {
  /** Digest, "/", bytes of memory. */
  readonly key: string;
  readonly guest: WebAssembly.Module;
  readonly adapter: WebAssembly.Module;
  /** Exports of the adapter to be called before the function, in order. */
  readonly lifecycle: readonly string[];
  /** Exports of the adapter that are the guest's memories. */
  readonly memories: readonly string[];
  /** From positions in the code that runs to those in the module as published. */
  readonly offsets: OffsetMap;
}

// Sandbox.

export interface SandboxData {
  readonly kernel: WebAssembly.Module;
  readonly control: SharedArrayBuffer;
  /** What the thread runs before it says that it is ready. */
  readonly warmUp: CompiledPlugin;
}

export interface CallMessage {
  readonly type: 'call';
  readonly pluginKey: string;
  /** Only if the thread does not hold the plugin yet. */
  readonly plugin: CompiledPlugin | undefined;
  /** Key of a plugin that the thread shall forget first. */
  readonly forget: string | undefined;
  readonly functionName: string;
  readonly input: Uint8Array<ArrayBuffer>;
  readonly config: ReadonlyMap<string, string>;
  readonly capabilities: readonly CapabilityName[];
  readonly limits: RunLimits;
  /** Whether the answer shall say where the fuel went. */
  readonly profiled: boolean;
}

export type ToSandbox = CallMessage;

/** Milliseconds since 1970. */
export interface RunTimings {
  readonly instanceStartMs: number;
  readonly guestStartMs: number;
  readonly guestEndMs: number;
}

export type FromSandbox =
  | { readonly type: 'event'; readonly event: GuestEvent }
  | {
      readonly type: 'ended';
      readonly outcome: Outcome;
      readonly timings: RunTimings;
      readonly profile: FuelProfile | undefined;
    }
  | { readonly type: 'failed'; readonly error: ErrorData };

// Compiler.

export interface CompilerData {
  readonly policy: ModulePolicy;
}

export interface ModuleInput {
  readonly bytes: Uint8Array;
  readonly memoryBytes: number;
}

/** What was found in a module. */
export interface ModuleAnalysis {
  readonly problems: readonly WasmProblem[];
  /** Absent if the module could not be decoded. */
  readonly info?: ModuleInfo;
  readonly rewrittenBytes?: number;
  readonly clamped?: {
    readonly memories: readonly { readonly clampedPages: number }[];
    readonly tables: readonly { readonly clampedElements: number }[];
  };
}

export type ToCompiler =
  | ({ readonly type: 'analyse' } & ModuleInput)
  | ({ readonly type: 'compile'; readonly digest: Digest } & ModuleInput);

/** Ends a job. */
export type CompilerAnswer =
  | { readonly type: 'analysed'; readonly analysis: ModuleAnalysis }
  | { readonly type: 'compiled'; readonly plugin: CompiledPlugin }
  | { readonly type: 'failed'; readonly error: ErrorData };

/** The messages between the main thread and its threads. Types only. */

import type { MessagePort } from 'node:worker_threads';
import type { FuelProfile } from '../model/fuel-profile.ts';
import type { GuestEvent, GuestNote } from '../model/execution.ts';
import type { Grant } from '../model/grant.ts';
import type { RunLimits } from '../model/limits.ts';
import type { InstanceMode } from '../model/manifest.ts';
import type { HostAnswer, OperationName } from '../model/operation.ts';
import type { OutcomeError, OutcomeName } from '../model/outcome.ts';
import type { Reason } from '../model/reasons.ts';
import type { ModuleInfo } from '../wasm/inspect.ts';
import type { ModulePolicy } from '../wasm/policy.ts';
import type { WasmProblem } from '../wasm/problem.ts';
import type { ComposedModule } from './kernel/compose.ts';
import type { Reference } from './remembered.ts';

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

/** One plugin version under one limit of memory: its guest and the kernel as one module. */
export interface CompiledPlugin extends Omit<ComposedModule, 'bytes'> {
  /** Digest, "/", bytes of memory. */
  readonly key: string;
  readonly module: WebAssembly.Module;
}

// Sandbox.

export interface SandboxData {
  readonly control: SharedArrayBuffer;
  /** Where answers to host calls come in: a port of its own, because the thread reads it while it waits. */
  readonly answers: MessagePort;
  /** What the thread runs before it says that it is ready. */
  readonly warmUp: CompiledPlugin;
}

/** A plugin as messages name it: its modules only if the thread does not hold them yet. */
export interface PluginMessage {
  readonly pluginKey: string;
  readonly plugin: CompiledPlugin | undefined;
  /** Key of a plugin that the thread shall forget first. */
  readonly forget: string | undefined;
}

/** Which instances may serve a call, and how many to keep ready for the next ones. */
export interface InstanceWish {
  readonly mode: InstanceMode;
  readonly warm: number;
  /** Under which name an instance is kept for calls to come; unused for mode "fresh". */
  readonly key: string;
}

export interface CallMessage extends PluginMessage {
  readonly type: 'call';
  readonly functionName: string;
  readonly input: Uint8Array<ArrayBuffer>;
  readonly config: ReadonlyMap<string, string>;
  readonly grant: Grant;
  readonly limits: RunLimits;
  readonly instance: InstanceWish;
  readonly randomSeed: Uint8Array;
  /** Whether the answer shall say where the fuel went. */
  readonly profiled: boolean;
}

/** Has instances prepared for a call like this one. */
export interface WarmMessage extends PluginMessage {
  readonly type: 'warm';
  readonly limits: RunLimits;
  readonly warm: number;
}

/** A call on its way. What is mostly the same or empty is not cloned each time. */
export interface PostedCall extends Omit<CallMessage, 'config' | 'grant' | 'limits' | 'randomSeed'> {
  /** Undefined if it is empty. */
  readonly config: ReadonlyMap<string, string> | undefined;
  readonly grant: Reference<Grant>;
  readonly limits: Reference<RunLimits>;
  /** Undefined if it is empty. */
  readonly randomSeed: Uint8Array | undefined;
}

/** Drops a plugin and its instances. */
export interface ForgetMessage {
  readonly type: 'forget';
  readonly pluginKey: string;
}

export type ToSandbox = PostedCall | WarmMessage | ForgetMessage;

/** What a thread keeps of one plugin. */
export interface InstanceCounts {
  /** Made ahead, used by nobody yet. */
  readonly prepared: number;
  /** Kept for further calls. */
  readonly kept: number;
  /** Bytes of memory that the kept ones hold. */
  readonly keptBytes: number;
}

/** The answer to the host call with the same number. */
export interface AnswerMessage {
  readonly number: number;
  readonly answer: HostAnswer;
}

/** Milliseconds since 1970. */
export interface RunTimings {
  readonly instanceStartMs: number;
  readonly guestStartMs: number;
  readonly guestEndMs: number;
}

/** An outcome without its usage. */
export type PostedOutcome =
  | { readonly name: 'OK'; readonly output: Uint8Array<ArrayBuffer> }
  | { readonly name: Exclude<OutcomeName, 'OK'>; readonly error: OutcomeError };

export type FromSandbox =
  | { readonly type: 'event'; readonly event: GuestEvent | GuestNote }
  /** The thread waits until the answer is announced in the control block. */
  | {
      readonly type: 'ask';
      readonly number: number;
      readonly operation: OperationName;
      readonly request: Uint8Array;
      readonly fuelLeft: number;
    }
  /** Its numbers stand in the control block. */
  | { readonly type: 'ended'; readonly outcome: PostedOutcome; readonly profile: FuelProfile | undefined }
  | { readonly type: 'warmed'; readonly counts: InstanceCounts }
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
  /** What runs in place of the module. Present if nothing stands against it and it finds in the kernel what it imports. */
  readonly composed?: ComposedModule;
  /** What it imports from the kernel and does not find there. */
  readonly unlinkable?: WasmProblem;
}

export type ToCompiler =
  | ({ readonly type: 'analyse' } & ModuleInput)
  /** What analysis composed. */
  | { readonly type: 'compile'; readonly bytes: Uint8Array };

/** Ends a job. */
export type CompilerAnswer =
  | { readonly type: 'analysed'; readonly analysis: ModuleAnalysis }
  | { readonly type: 'compiled'; readonly module: WebAssembly.Module }
  | { readonly type: 'failed'; readonly error: ErrorData };

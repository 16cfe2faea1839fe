/**
 * What the command line is given by whoever starts it: streams, environment, and
 * the parts of Caisson that it may not import itself. Types only.
 */

import type { Readable } from 'node:stream';
import type { ExecutionEvent } from '../gen/caisson/v1/execution_pb.ts';
import type { FuelProfile } from '../model/fuel-profile.ts';
import type { Action } from '../model/execution.ts';
import type { GrantExplanation } from '../model/grant-explanation.ts';
import type { ModuleInspection } from '../model/module-description.ts';
import type { Connection, Target } from './connection.ts';
import type { Sink } from './output.ts';
import type { HostPort } from './values.ts';

export interface CliDependencies {
  /** Version of Caisson. */
  readonly version: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Sink;
  readonly stderr: Sink;
  /** WebAssembly features that an operator can allow. */
  readonly optionalFeatures: readonly string[];
  /** Calls the listener whenever the user interrupts (SIGINT); until disposed, an interrupt does nothing else. */
  onInterrupt(listener: () => void): Disposable;
  /** Clients of a server; `connectTo`, unless in tests. */
  connect(target: Target): Connection;
  /** Runs a server until it is told to stop; answers with the exit code. */
  serve(options: ServeOptions): Promise<number>;
  /**
   * Runs one function of a module in this process, as a server would. Yields the
   * execution's events, the outcome last; when the signal aborts, it stops the
   * guest and still yields the outcome. Throws ExecError for what is refused.
   */
  runFile(options: RunOptions, signal: AbortSignal): AsyncIterable<ExecutionEvent>;
  /** What is to be seen in a module, and what a server would say about it; runs none of it. Does not throw for a bad module. */
  inspectModule(options: InspectOptions): ModuleInspection;
  /** What a policy grants a manifest, and why; undefined if the manifest is not acceptable. Rejects with an ExecError for a bad policy. */
  explainGrant(options: ExplainOptions): Promise<GrantExplanation | undefined>;
  /** Checks of parts that the command line does not see, such as the embedded kernel. Never rejects. */
  diagnose(): Promise<readonly DoctorCheck[]>;
}

export type ServerLogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface ServeOptions {
  /** Undefined for no such listener. Port 0 means any free port. */
  readonly grpc: HostPort | undefined;
  readonly admin: HostPort | undefined;
  /** Path of a Unix socket for gRPC, beside or instead of host:port. */
  readonly socketPath: string | undefined;
  readonly dataDirectory: string;
  /** Processes that share the listeners and the work. */
  readonly processes: number;
  /** Of all processes together. */
  readonly threadsMin: number;
  readonly threadsMax: number;
  readonly queueMax: number;
  readonly graceMs: number;
  readonly logLevel: ServerLogLevel;
  /** Each one of optionalFeatures. */
  readonly allowedFeatures: readonly string[];
  /** File with the operator's policy; undefined for the built-in one. */
  readonly policyPath: string | undefined;
  /** What to publish at start, in order; the files exist. */
  readonly publish: readonly PublishedFiles[];
}

export interface PublishedFiles {
  readonly modulePath: string;
  readonly manifestPath: string;
}

export interface RunOptions {
  readonly module: Uint8Array;
  readonly manifestText: string;
  /** What to run; `plugin` is the name in the manifest, or empty if that cannot be read. */
  readonly action: Action;
  /** Told at the end of the run where its fuel went. */
  readonly profiled?: (profile: FuelProfile) => void;
  readonly allowedFeatures: readonly string[];
}

export interface InspectOptions {
  readonly module: Uint8Array;
  /** Undefined if there is none: then the default limits hold, and every capability counts as granted. */
  readonly manifestText: string | undefined;
  /** How many functions are described, the dearest first. */
  readonly functionsMax: number;
  readonly allowedFeatures: readonly string[];
}

export interface ExplainOptions {
  readonly manifestText: string;
  /** File with the operator's policy; undefined for the built-in one. */
  readonly policyPath: string | undefined;
  readonly tenant: string;
}

/** One finding of `caisson doctor`. */
export interface DoctorCheck {
  readonly name: string;
  readonly ok: boolean;
  /** What was found. */
  readonly message: string;
  /** What to do, if it is not as it should be. */
  readonly remedy?: string;
}

export interface DoctorReport {
  readonly ok: boolean;
  readonly checks: readonly DoctorCheck[];
}

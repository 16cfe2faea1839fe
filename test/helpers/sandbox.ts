/**
 * Sandboxes for tests: modules from text to compiled plugin, calls with defaults
 * for all that a test does not care about, and an end that fails if a thread is
 * left behind.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { digestOf } from '../../src/base/digest.ts';
import { AbortReason, type StopKind } from '../../src/model/abort-reason.ts';
import { type CapabilityName, capabilityNames } from '../../src/model/capability.ts';
import type { GuestEvent } from '../../src/model/execution.ts';
import type { Grant } from '../../src/model/grant.ts';
import { type LimitsAsked, resolveLimits } from '../../src/model/limits.ts';
import type { Outcome, OutcomeKind } from '../../src/model/outcome.ts';
import type { CompiledPlugin } from '../../src/sandbox/compiler.ts';
import {
  type InstanceWish,
  Sandbox,
  type SandboxCall,
  type SandboxOptions,
  type SandboxRun,
} from '../../src/sandbox/sandbox.ts';
import { type ModulePolicy, modulePolicyDefault } from '../../src/wasm/policy.ts';
import { compileModule } from './compile-module.ts';
import { ampleGrant } from './grants.ts';
import { watWithNames } from './wat.ts';

/** Imports of everything that a guest can import, under the names that guests here use, and a memory. */
export const guestImports = `
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "length_unsafe" (func $length_unsafe (param i64) (result i64)))
  (import "extism:host/env" "load_u8" (func $load_u8 (param i64) (result i32)))
  (import "extism:host/env" "load_u64" (func $load_u64 (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  (import "extism:host/env" "error_get" (func $error_get (result i64)))
  (import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))
  (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
  (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))
  (import "extism:host/env" "log_trace" (func $log_trace (param i64)))
  (import "extism:host/env" "log_debug" (func $log_debug (param i64)))
  (import "extism:host/env" "log_info" (func $log_info (param i64)))
  (import "extism:host/env" "log_warn" (func $log_warn (param i64)))
  (import "extism:host/env" "log_error" (func $log_error (param i64)))
  (import "extism:host/env" "get_log_level" (func $get_log_level (result i32)))
  (import "extism:host/user" "progress" (func $progress (param f64 i64 i64)))`;

/** Functions for guests: $block makes a block of bytes of memory 0, $output gives a block as the output. */
export const guestFunctions = `
  (func $block (param $from i32) (param $length i32) (result i64)
    (local $at i64) (local $i i32)
    (local.set $at (call $alloc (i64.extend_i32_u (local.get $length))))
    (loop $next
      (if (i32.lt_u (local.get $i) (local.get $length))
        (then
          (call $store_u8
            (i64.add (local.get $at) (i64.extend_i32_u (local.get $i)))
            (i32.load8_u (i32.add (local.get $from) (local.get $i))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next))))
    (local.get $at))
  (func $output (param $block i64)
    (call $output_set (local.get $block) (call $length (local.get $block))))`;

/** A guest that imports everything and has $block and $output; \`body\` is the rest of the module. */
export function guest(body: string, memory = '(memory 1)'): string {
  return `(module $guest ${guestImports} ${memory} ${guestFunctions} ${body})`;
}

/** Gives its input back as its output. */
export const echoGuest: string = guest(`
  (func (export "run") (result i32)
    (call $output_set (call $input_offset) (call $input_length)) (i32.const 0))`);

export interface CompileOptions {
  readonly memoryBytes?: number;
  readonly policy?: ModulePolicy;
}

export function compileText(text: string, options: CompileOptions = {}): CompiledPlugin {
  return compileBytes(watWithNames(text), options);
}

export function compileBytes(bytes: Uint8Array<ArrayBuffer>, options: CompileOptions = {}): CompiledPlugin {
  const { memoryBytes = resolveLimits({}, {}).memoryBytes, policy = modulePolicyDefault } = options;
  return compileModule({ bytes, memoryBytes, policy }, digestOf(bytes));
}

export interface CallOptions {
  readonly functionName?: string;
  readonly input?: Uint8Array | string;
  readonly config?: Readonly<Record<string, string>>;
  readonly capabilities?: readonly CapabilityName[];
  readonly limits?: LimitsAsked;
  readonly grant?: Partial<Grant>;
  readonly instance?: InstanceWish;
}

/** A call of "run" with every capability and the default limits. */
export function callOf(plugin: CompiledPlugin, options: CallOptions = {}): SandboxCall {
  const { functionName = 'run', input = '', config = {}, capabilities = capabilityNames, limits = {} } = options;
  const { grant = {}, instance = { mode: 'fresh', warm: 0, key: '' } } = options;
  return {
    executionId: 'execution',
    plugin,
    functionName,
    input: typeof input === 'string' ? Buffer.from(input) : input,
    config: new Map(Object.entries(config)),
    grant: { ...ampleGrant, capabilities, ...grant },
    limits: resolveLimits(limits, {}),
    instance,
    randomSeed: new Uint8Array(),
  };
}

/** What happened in a call. */
export interface Ran {
  readonly outcome: Outcome;
  readonly events: readonly GuestEvent[];
}

export interface RunOptions extends CallOptions {
  /** Stops the call after this time. Default: never. */
  readonly stopAfterMs?: number;
  readonly stopKind?: StopKind;
  readonly answer?: SandboxRun['answer'];
}

/** Runs one call, a module in text form or compiled, to its end. */
export async function runIn(sandbox: Sandbox, plugin: CompiledPlugin | string, options: RunOptions = {}): Promise<Ran> {
  const compiled = typeof plugin === 'string' ? compileText(plugin) : plugin;
  const stopping = new AbortController();
  const events: GuestEvent[] = [];
  const { stopAfterMs, stopKind = 'TIMEOUT', answer } = options;
  const run: SandboxRun = {
    signal: stopping.signal,
    report: (event) => events.push(event),
    ...(answer && { answer }),
  };
  using timers = new DisposableStack();
  if (stopAfterMs !== undefined) {
    timers.use(systemClock.after(stopAfterMs, () => stopping.abort(new AbortReason(stopKind))));
  }
  const { outcome } = await sandbox.run(callOf(compiled, options), run);
  return { outcome, events };
}

export function outputText(outcome: Outcome): string {
  expect(outcome).toMatchObject({ name: 'OK' });
  return outcome.name === 'OK' ? Buffer.from(outcome.output).toString() : '';
}

export function kindOf(outcome: Outcome): OutcomeKind | 'OK' {
  return outcome.name === 'OK' ? 'OK' : outcome.error.kind;
}

/** Asserts that a sandbox does what it should. */
export async function expectSound(sandbox: Sandbox): Promise<void> {
  const input = 'sound and well';
  const { outcome } = await runIn(sandbox, echoGuest, { input });
  expect(outputText(outcome)).toBe(input);
  expect(outcome.usage).toMatchObject({ hostCalls: 0, progressEvents: 0, logBytes: 0, logLinesDropped: 0 });
}

/** Sandboxes that end with the test. */
export class SandboxSet implements AsyncDisposable {
  readonly #sandboxes: Sandbox[] = [];
  readonly #threadsBefore: number = threadCount();

  async start(options: Partial<SandboxOptions> = {}): Promise<Sandbox> {
    const sandbox = await Sandbox.start({ clock: systemClock, id: this.#sandboxes.length + 1, ...options });
    this.#sandboxes.push(sandbox);
    return sandbox;
  }

  /** Ends all, and asserts that no thread is left. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const sandbox of this.#sandboxes) {
      await sandbox[Symbol.asyncDispose]();
      expect(sandbox.state).toBe('dead');
    }
    await expectThreads(this.#threadsBefore);
  }
}

const tasks = '/proc/self/task';
const ownThreadForm = /^(sandbox-|compiler)/;

/** Threads of this process that run sandboxes or compilers. Only Linux tells; elsewhere none are seen. */
export function threadCount(): number {
  if (!existsSync(tasks)) return 0;
  return readdirSync(tasks).filter((task) => ownThreadForm.test(threadName(task))).length;
}

/** A thread may end between being listed and being asked. */
function threadName(task: string): string {
  try {
    return readFileSync(`${tasks}/${task}/comm`, 'utf8');
  } catch {
    return '';
  }
}

/** Asserts that so many worker threads are left; an ending one is given a moment. */
export async function expectThreads(count: number): Promise<void> {
  for (let tries = 0; threadCount() !== count && tries < 500; tries++) await systemClock.sleep(10);
  expect(threadCount()).toBe(count);
}

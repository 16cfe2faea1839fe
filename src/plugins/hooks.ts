/**
 * Lifecycle hooks: work done before and after a version is loaded, started,
 * stopped and unloaded. Runs the hooks of a phase in order, each in bounded
 * time; what a failure means for the version's state is decided in lifecycle.ts.
 */

import type { Clock } from '../base/clock.ts';
import { linkSignals } from '../base/signals.ts';
import { boundedText, singleLine } from '../base/text.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Log } from '../model/log.ts';
import { type PluginVersion, referenceOf } from '../model/plugin.ts';
import { unlessAborted } from './aborted.ts';

export type LifecyclePhase =
  | 'preLoad'
  | 'postLoad'
  | 'preStart'
  | 'postStart'
  | 'preStop'
  | 'postStop'
  | 'preUnload'
  | 'postUnload';

export interface LifecycleHook {
  readonly name: string;
  readonly phase: LifecyclePhase;
  /** Higher ones run first; of equal ones, the one registered first. */
  readonly priority: number;
  /** Whether its failure makes the version fail; that of others is only logged. */
  readonly critical: boolean;
  readonly timeoutMs: number;
  /** The signal aborts when the time is over or the registry closes. An ExecError keeps its reason; anything else becomes LIFECYCLE_HOOK_FAILED. */
  run(version: PluginVersion, signal: AbortSignal): Promise<void> | void;
}

const messageBytesMax = 500;

export interface HookRunnerOptions {
  readonly hooks: readonly LifecycleHook[];
  readonly clock: Clock;
  readonly log: Log;
}

export class HookRunner {
  readonly #hooks: readonly LifecycleHook[];
  readonly #clock: Clock;
  readonly #log: Log;

  constructor(options: HookRunnerOptions) {
    this.#hooks = options.hooks.toSorted((a, b) => b.priority - a.priority);
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** Runs the hooks of a phase one after another; throws what the first critical one that failed says. */
  async run(phase: LifecyclePhase, version: PluginVersion, signal: AbortSignal): Promise<void> {
    for (const hook of this.#of(phase)) {
      const failure = await this.#failureOf(hook, version, signal);
      if (failure && hook.critical) throw failure;
    }
  }

  /** Runs the hooks of a phase to the last one, whatever fails. */
  async runAll(phase: LifecyclePhase, version: PluginVersion, signal: AbortSignal): Promise<void> {
    for (const hook of this.#of(phase)) await this.#failureOf(hook, version, signal);
  }

  #of(phase: LifecyclePhase): readonly LifecycleHook[] {
    return this.#hooks.filter((hook) => hook.phase === phase);
  }

  async #failureOf(hook: LifecycleHook, version: PluginVersion, signal: AbortSignal): Promise<ExecError | undefined> {
    try {
      await this.#inTime(hook, version, signal);
      return undefined;
    } catch (error) {
      const { name, phase, critical } = hook;
      const fields = { plugin: referenceOf(version), hook: name, phase, critical, error };
      if (critical) this.#log.error(fields, 'Critical lifecycle hook failed');
      else this.#log.warn(fields, 'Lifecycle hook failed');
      return asExecError(hook, error);
    }
  }

  async #inTime(hook: LifecycleHook, version: PluginVersion, signal: AbortSignal): Promise<void> {
    const timeout = new AbortController();
    using _timer = this.#clock.after(hook.timeoutMs, () =>
      timeout.abort(hookError(hook, `it took longer than ${hook.timeoutMs} ms`)),
    );
    using linked = linkSignals(signal, timeout.signal);
    await unlessAborted((async () => hook.run(version, linked.signal))(), linked.signal);
  }
}

function asExecError(hook: LifecycleHook, error: unknown): ExecError {
  if (error instanceof ExecError) return error;
  return hookError(hook, error instanceof Error ? error.message : 'it threw something that is not an Error');
}

function hookError(hook: LifecycleHook, why: string): ExecError {
  const text = singleLine(boundedText(why, messageBytesMax));
  return new ExecError('LIFECYCLE_HOOK_FAILED', `The ${hook.phase} hook "${hook.name}" failed: ${text}`, {
    metadata: { hook: hook.name, phase: hook.phase },
  });
}

/**
 * Moves versions through their states, one step of the table in model/plugin.ts
 * at a time, and runs the hooks on the way. Its caller serialises the moves of
 * one version and answers to whoever asked for them.
 */

import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Log } from '../model/log.ts';
import { type PluginState, type PluginVersion, referenceOf, stateTransitions } from '../model/plugin.ts';
import { reasons } from '../model/reasons.ts';
import type { HookRunner } from './hooks.ts';
import type { Entry, StoredState } from './version-index.ts';

export interface LifecycleOptions {
  readonly hooks: HookRunner;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborts when the registry closes. */
  readonly signal: AbortSignal;
  /** Compiles the version's module for its own limits. */
  readonly compile: (version: PluginVersion) => Promise<void>;
  /** Writes the version with this state to disk. */
  readonly store: (version: PluginVersion, state: StoredState) => Promise<void>;
  readonly changed: (version: PluginVersion) => void;
}

export class Lifecycle {
  readonly #options: LifecycleOptions;

  constructor(options: LifecycleOptions) {
    this.#options = options;
  }

  /** From unloaded, stopped or failed to running; to failed and a throw if that cannot be. */
  async start(entry: Entry): Promise<void> {
    try {
      await this.#load(entry);
      this.#move(entry, 'starting');
      await this.#run(entry, 'preStart', 'postStart');
      await this.#store(entry, 'running');
      this.#move(entry, 'running');
      entry.accepting = true;
    } catch (error) {
      throw await this.#fail(entry, ExecError.from(error));
    }
    this.#options.log.info({ plugin: referenceOf(entry.version) }, 'Plugin started');
  }

  /** From running or failed to stopped; to failed and a throw if a critical hook or the disk refuses. */
  async stop(entry: Entry): Promise<void> {
    try {
      entry.accepting = false;
      this.#move(entry, 'stopping');
      await this.#run(entry, 'preStop', 'postStop', 'preUnload', 'postUnload');
      await this.#store(entry, 'stopped');
      this.#move(entry, 'stopped');
    } catch (error) {
      throw await this.#fail(entry, ExecError.from(error));
    }
    this.#options.log.info({ plugin: referenceOf(entry.version) }, 'Plugin stopped');
  }

  /** From unloaded, stopped or failed to retired; stays as it is and throws if the disk refuses. */
  async retire(entry: Entry): Promise<void> {
    await this.#store(entry, 'retired');
    entry.accepting = false;
    this.#move(entry, 'retired');
    this.#options.log.info({ plugin: referenceOf(entry.version) }, 'Plugin retired');
  }

  /** From running to failed, for a fault found while it ran. */
  async fail(entry: Entry, error: ExecError): Promise<void> {
    await this.#fail(entry, error);
  }

  async #load(entry: Entry): Promise<void> {
    this.#move(entry, 'loading');
    await this.#run(entry, 'preLoad');
    await this.#options.compile(entry.version);
    await this.#run(entry, 'postLoad');
    this.#move(entry, 'loaded');
  }

  /**
   * A failure that may pass is not kept across a restart and does not take the
   * version out of service: the next execution tries to load it again.
   */
  async #fail(entry: Entry, error: ExecError): Promise<ExecError> {
    const { hooks, log, signal } = this.#options;
    const passing = reasons[error.reason].retryable || error.reason === 'CANCELED';
    if (!passing) entry.accepting = false;
    log.error({ plugin: referenceOf(entry.version), state: entry.version.state, error }, 'Plugin failed');
    this.#move(entry, 'failed', error.message);
    for (const phase of ['preUnload', 'postUnload'] as const) await hooks.runAll(phase, entry.version, signal);
    // What could not be stored is logged where it was tried; memory is right, and the next start finds out again.
    if (!passing) await this.#store(entry, 'failed').catch(() => {});
    return error;
  }

  async #run(entry: Entry, ...phases: readonly Parameters<HookRunner['run']>[0][]): Promise<void> {
    const { hooks, signal } = this.#options;
    for (const phase of phases) await hooks.run(phase, entry.version, signal);
  }

  async #store(entry: Entry, state: StoredState): Promise<void> {
    if (entry.stored === state && state !== 'failed') return;
    await this.#options.store(entry.version, state);
    entry.stored = state;
  }

  #move(entry: Entry, state: PluginState, failure = ''): void {
    const allowed: readonly PluginState[] = stateTransitions[entry.version.state];
    assert(allowed.includes(state), `${referenceOf(entry.version)} goes from ${entry.version.state} to ${state}`);
    entry.version = { ...entry.version, state, failure, updatedMs: this.#options.clock.now() };
    this.#options.changed(entry.version);
  }
}

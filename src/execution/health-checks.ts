/**
 * Runs the export "health_check" of every running version that has one, again
 * and again, spread over the interval so that they do not come all at once. They
 * are runs like others, of a tenant of the server's own, but no executions that
 * anybody can list.
 */

import { linkSignals } from '../base/signals.ts';
import type { Clock } from '../base/clock.ts';
import { timeOrderedId } from '../base/identifier.ts';
import { AbortReason } from '../model/abort-reason.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Action, Executor } from '../model/execution.ts';
import { refusalText } from '../model/grant-refusal.ts';
import type { Log } from '../model/log.ts';
import type { Outcome } from '../model/outcome.ts';
import { type PluginHealth, type PluginVersion, referenceOf } from '../model/plugin.ts';
import { tenantOfServer } from '../model/tenant.ts';
import type { GrantSource } from './executions.ts';
import { prepareAction } from './prepared-action.ts';

/** The export that tells how a plugin fares: by returning 0, or not. */
const healthCheckFunction = 'health_check';

const intervalMs = 30_000;
const atOnceMax = 2;
const timeoutMs = 5_000;

/** What the checks need of the registry. */
export interface CheckedPlugins {
  /** Every version that runs. */
  running(): readonly PluginVersion[];
  /** Undefined if the version does not run any more. */
  health(version: PluginVersion): PluginHealth | undefined;
  /** Takes what the check of a version failed with; undefined if it did not fail. */
  noteCheck(version: PluginVersion, failure: string | undefined): void;
}

export interface HealthChecksOptions {
  readonly executor: Executor;
  readonly plugins: CheckedPlugins;
  readonly grants: GrantSource;
  readonly clock: Clock;
  readonly log: Log;
}

export class HealthChecks implements AsyncDisposable {
  readonly #options: HealthChecksOptions;
  readonly #closing = new AbortController();
  readonly #checking = new Set<Promise<void>>();
  /** Versions whose checks cannot be run and of which that has been logged. */
  readonly #logged = new WeakSet<PluginVersion>();
  readonly #rounds: Promise<void>;

  /** Begins to check; the first check comes after the first part of the interval. */
  constructor(options: HealthChecksOptions) {
    this.#options = options;
    this.#rounds = this.#goRounds();
  }

  /** Stops the checks that are under way and begins no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new AbortReason('SHUTDOWN'));
    await this.#rounds;
    await Promise.all(this.#checking);
  }

  async #goRounds(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const due = this.#options.plugins.running().filter(({ functions }) => functions.includes(healthCheckFunction));
      if (due.length === 0) await this.#pause(intervalMs);
      for (const version of due) await this.#checkInTurn(version, intervalMs / due.length);
    }
  }

  async #checkInTurn(version: PluginVersion, pauseMs: number): Promise<void> {
    await this.#pause(pauseMs);
    while (this.#checking.size >= atOnceMax) await Promise.race(this.#checking);
    if (this.#closing.signal.aborted || !this.#options.plugins.health(version)) return;
    const checking = this.#check(version).finally(() => this.#checking.delete(checking));
    this.#checking.add(checking);
  }

  /** Ends early when the checks are to stop. */
  async #pause(ms: number): Promise<void> {
    await this.#options.clock.sleep(ms, this.#closing.signal).catch(() => {});
  }

  /** What the host failed at says nothing of the plugin. */
  async #check(version: PluginVersion): Promise<void> {
    const { plugins } = this.#options;
    try {
      const outcome = await this.#run(version);
      if (outcome.name !== 'CANCELED') plugins.noteCheck(version, failureOf(outcome));
    } catch (error) {
      this.#logOnce(version, ExecError.from(error));
    }
  }

  #logOnce(version: PluginVersion, error: ExecError): void {
    if (this.#logged.has(version)) return;
    this.#logged.add(version);
    this.#options.log.warn({ plugin: referenceOf(version), error }, 'A health check could not be run');
  }

  async #run(version: PluginVersion): Promise<Outcome> {
    const { executor, grants, clock } = this.#options;
    const decision = grants.grantFor(tenantOfServer, version);
    const [refusal] = decision.refusals;
    if (refusal) throw new ExecError('CAPABILITY_NOT_GRANTED', refusalText(refusal));
    const action = prepareAction(actionOf(version), version, decision);
    using linked = linkSignals(this.#closing.signal);
    const { signal, abort: stop } = linked;
    return await executor.execute(action, { id: timeOrderedId(clock.now()), signal, stop, report: () => {} });
  }
}

function actionOf(version: PluginVersion): Action {
  const isInSession = version.manifest.instance.mode === 'session';
  return {
    tenant: tenantOfServer,
    plugin: referenceOf(version),
    function: healthCheckFunction,
    input: new Uint8Array(),
    config: new Map(),
    limits: { timeoutMs },
    requestId: '',
    labels: new Map(),
    randomSeed: new Uint8Array(),
    sessionId: isInSession ? healthCheckFunction : '',
  };
}

/** "health_check failed: …", "health_check ended with TRAP (UNREACHABLE): …". */
function failureOf(outcome: Outcome): string | undefined {
  if (outcome.name === 'OK') return undefined;
  const { kind, message } = outcome.error;
  const how = outcome.name === 'PLUGIN_ERROR' ? 'failed' : `ended with ${outcome.name} (${kind})`;
  return `${healthCheckFunction} ${how}: ${message}`;
}

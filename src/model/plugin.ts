/** A plugin's version as the registry knows it, and the table of its states. */

import type { Digest } from '../base/digest.ts';
import type { Manifest } from './manifest.ts';

/**
 * States and their transitions. Whatever is not in the table is refused with
 * PLUGIN_STATE (asked for by a caller) or is an assertion (asked for by code).
 *
 * | from     | to                                   | by                          |
 * |----------|--------------------------------------|-----------------------------|
 * | unloaded | loading, retired                     | start or first use; retire  |
 * | loading  | loaded, failed                       | load hooks                  |
 * | loaded   | starting                             | start                       |
 * | starting | running, failed                      | start hooks                 |
 * | running  | stopping, failed                     | stop; failed health         |
 * | stopping | stopped, failed                      | stop hooks                  |
 * | stopped  | loading, retired                     | start; retire               |
 * | failed   | loading, stopping, retired           | start; stop; retire         |
 * | retired  | (none)                               |                             |
 */
export const stateTransitions = {
  unloaded: ['loading', 'retired'],
  loading: ['loaded', 'failed'],
  loaded: ['starting'],
  starting: ['running', 'failed'],
  running: ['stopping', 'failed'],
  stopping: ['stopped', 'failed'],
  stopped: ['loading', 'retired'],
  failed: ['loading', 'stopping', 'retired'],
  retired: [],
} as const satisfies Record<string, readonly string[]>;

export type PluginState = keyof typeof stateTransitions;

export interface PluginVersion {
  readonly manifest: Manifest;
  /** The manifest as published, to the byte. */
  readonly manifestText: string;
  readonly digest: Digest;
  readonly sizeBytes: number;
  /** Functions that can be executed, sorted. */
  readonly functions: readonly string[];
  /** Exported functions that cannot be executed, sorted; the first hundred. */
  readonly otherFunctions: readonly string[];
  readonly state: PluginState;
  /** Why it failed; empty unless state is failed. */
  readonly failure: string;
  readonly createdMs: number;
  readonly updatedMs: number;
}

export type HealthState = 'HEALTHY' | 'DEGRADED' | 'FAILED';

/** How a running version fares. */
export interface PluginHealth {
  /** The worst that any reason says. */
  readonly state: HealthState;
  /** Why it is not healthy; made well-formed and bounded already. */
  readonly reasons: readonly string[];
  /** When the state last changed. */
  readonly changedMs: number;
  /** When its health check last ended; absent if there was none. */
  readonly checkedMs?: number;
}

/** "name@version". */
export function referenceOf(version: PluginVersion): string {
  return `${version.manifest.name}@${version.manifest.version}`;
}

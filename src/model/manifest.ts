/**
 * What a plugin asks for. The words are Extism's where Extism has them. Parsing
 * and checking stand in plugins/manifest-schema.ts; this is the checked form.
 */

import type { CapabilityName } from './capability.ts';
import type { LimitsAsked } from './limits.ts';

export interface Manifest {
  readonly name: string;
  /** Semantic version 2.0.0. */
  readonly version: string;
  readonly description: string;
  /** Functions that may be executed; undefined means every export that has the right type. */
  readonly functions: readonly string[] | undefined;
  readonly capabilities: readonly CapabilityName[];
  readonly config: Readonly<Record<string, string>>;
  readonly limits: LimitsAsked;
  readonly instance: InstancePlan;
  /** Hosts that http shall reach: host names, or "*." and a host name. */
  readonly allowedHosts: readonly string[];
  /** Names of secrets to be read. */
  readonly secrets: readonly string[];
  /** Plugins to be called: names, or the beginning of names and "*". */
  readonly invoke: readonly string[];
  /** Folders of the operator to be seen: name of the folder by the guest's absolute path. */
  readonly mounts: Readonly<Record<string, string>>;
}

/**
 * Whether instances are used again. "fresh": one call, then thrown away. "reuse":
 * the plugin says that it keeps nothing between calls, so that an instance may serve
 * many calls of one tenant. "session": calls that name a session share an instance.
 */
export const instanceModes = ['fresh', 'reuse', 'session'] as const;

export type InstanceMode = (typeof instanceModes)[number];

export interface InstancePlan {
  readonly mode: InstanceMode;
  /** Instances to be kept ready in each thread that has run the plugin, from 0 to warmMax. */
  readonly warm: number;
}

/** Most instances kept ready of one plugin in one thread. */
export const warmMax = 8;
/** Instances kept ready unless the manifest says otherwise. */
export const warmDefault = 1;

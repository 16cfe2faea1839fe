/** What another process of the same server is told of the registry's versions. Types only. */

import type { PluginVersion } from '../model/plugin.ts';

/** A version as it stands. */
export interface FollowedVersion {
  readonly version: PluginVersion;
  /** Whether executions may use it: it runs, or will be loaded by the first of them. */
  readonly accepting: boolean;
}

/** One change of the registry. */
export type VersionChange =
  | ({ readonly type: 'STANDS' } & FollowedVersion)
  | { readonly type: 'GONE'; readonly version: PluginVersion }
  /** With the last version of a plugin went what its runs have stored. */
  | { readonly type: 'STORAGE_DROPPED'; readonly plugin: string };

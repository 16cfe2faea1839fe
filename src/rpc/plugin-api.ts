/** What the services need of plugins/. Types only. */

import type { PluginVersion } from '../model/plugin.ts';
import type { PluginRegistry } from '../plugins/registry.ts';

/** The registry as far as rpc/ calls it. */
export type PluginApi = Pick<
  PluginRegistry,
  'publish' | 'validate' | 'get' | 'list' | 'start' | 'stop' | 'retire' | 'delete' | 'watch' | 'health'
>;

/** What has instances of versions prepared. */
export interface WarmingApi {
  /**
   * Has instances of a running version prepared on so many threads, 0 for all
   * that there are, and answers with how many hold some and how many are ready.
   */
  warm(
    version: PluginVersion,
    threads: number,
    signal: AbortSignal,
  ): Promise<{ readonly threads: number; readonly instances: number }>;
}

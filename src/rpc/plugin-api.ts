/** What the services need of plugins/. Types only. */

import type { PluginRegistry } from '../plugins/registry.ts';

/** The registry as far as rpc/ calls it. */
export type PluginApi = Pick<
  PluginRegistry,
  'publish' | 'validate' | 'get' | 'list' | 'start' | 'stop' | 'retire' | 'delete' | 'watch'
>;

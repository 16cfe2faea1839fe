/**
 * A call that does nothing. Every thread runs it before its first real one, which
 * would else wait for code to be loaded and compiled.
 */

import { resolveLimits } from '../../model/limits.ts';
import type { Grant } from '../../model/grant.ts';
import type { CallMessage, CompiledPlugin } from '../protocol.ts';

const noGrant: Grant = {
  tenant: '',
  plugin: '',
  capabilities: [],
  http: {
    askedHosts: [],
    targets: [],
    requestBytesMax: 0,
    responseBytesMax: 0,
    timeoutMsMax: 0,
    connectionsMax: 0,
    requestsMax: 0,
    requestsPerSecond: 0,
    redirectsMax: 0,
  },
  kv: { bytesMax: 0, keysMax: 0 },
  wasi: { fileBytesMax: 0, descriptorsMax: 0, inodesMax: 0, mounts: [] },
  invoke: { plugins: [], depthMax: 0 },
  secrets: [],
};

/** Name of the only function of the warm-up's plugin. */
export const warmUpFunction = 'warm_up';

export function warmUpCall(plugin: CompiledPlugin): CallMessage {
  return {
    type: 'call',
    pluginKey: plugin.key,
    plugin,
    forget: undefined,
    functionName: warmUpFunction,
    input: new Uint8Array(),
    config: new Map(),
    grant: noGrant,
    limits: resolveLimits({}, {}),
    instance: { mode: 'fresh', warm: 0, key: '' },
    randomSeed: new Uint8Array(),
    profiled: false,
  };
}

/**
 * A call that does nothing. Every thread runs it before its first real one, which
 * would else wait for code to be loaded and compiled.
 */

import { resolveLimits } from '../../model/limits.ts';
import type { CallMessage, CompiledPlugin } from '../protocol.ts';

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
    capabilities: [],
    limits: resolveLimits({}, {}),
    profiled: false,
  };
}

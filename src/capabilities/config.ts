/** Capability "config": a guest reads the configuration of its call. */

import { fixedLimits } from '../model/limits.ts';
import { type CallContext, type HostFunctions, stopped } from './call-context.ts';
import { exactText } from './guest-text.ts';

const encoder = new TextEncoder();

export function configFunctions(call: CallContext): HostFunctions {
  return {
    /** The block of the key's value, or 0. Frees the key. */
    config_get(key: bigint): bigint {
      const name = call.blocks.view(key);
      const value = name && name.length <= fixedLimits.configKeyBytes ? valueOf(call, name) : undefined;
      call.blocks.free(key);
      if (value === undefined) return 0n;
      const bytes = encoder.encode(value);
      call.chargeBytes(bytes.length);
      const block = call.blocks.write(bytes);
      if (block !== undefined) return block;
      call.stop('KERNEL_MEMORY', 'No kernel memory is left for the value of a configuration key');
      return stopped.address;
    },
  };
}

function valueOf(call: CallContext, name: Uint8Array): string | undefined {
  call.chargeBytes(name.length);
  const key = exactText(name);
  return key === undefined ? undefined : call.config.get(key);
}

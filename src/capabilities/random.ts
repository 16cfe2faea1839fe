/** Capability "random": bytes of chance, or of the run's seed if it has one. */

import { fixedLimits } from '../model/limits.ts';
import { type CallContext, type HostFamily, stopped } from './call-context.ts';
import { newBlock } from './guest-values.ts';

export function randomFamily(call: CallContext): HostFamily {
  return {
    functions: {
      /** A new block of so many bytes; 0 for none. */
      random_bytes(length: bigint): bigint {
        if (length < 0n || length > fixedLimits.randomBytes) {
          const asked = `The guest asked for ${length} random bytes`;
          call.stop('TRAP', `${asked}: ask for at least 0 and at most ${fixedLimits.randomBytes} at once`);
          return stopped.address;
        }
        if (length === 0n) return 0n;
        const { payload } = call.ask('random.bytes', lengthBytes(Number(length)));
        return newBlock(call, payload, 'random bytes');
      },
    },
  };
}

/** Read by local/random.ts. */
function lengthBytes(length: number): Uint8Array {
  const request = new Uint8Array(4);
  new DataView(request.buffer).setUint32(0, length, true);
  return request;
}

/** Capability "invoke": a plugin calls a function of a plugin. What came of it is the answer; whether it may is the service's business. */

import { runLimitRanges } from '../model/limits.ts';
import type { CallContext, HostFamily } from './call-context.ts';
import { bytesOf, freeAll, newBlock, textOf } from './guest-values.ts';
import {
  invokedFunctionBytesMax,
  invokedReferenceBytesMax,
  type InvokeFailure,
  writeInvoke,
} from './invoke-requests.ts';

const encoder = new TextEncoder();

export function invokeFamily(call: CallContext): HostFamily {
  /** JSON of how the last call failed; none if it did not. */
  let failure = new Uint8Array();

  const fail = (kind: InvokeFailure['kind'], message: string): bigint => {
    failure = encoder.encode(JSON.stringify({ outcome: 'REFUSED', kind, message } satisfies InvokeFailure));
    return 0n;
  };

  return {
    functions: {
      /** The block of the output; 0 if it is empty or the call failed, of which invoke_error tells. Frees all three. */
      invoke(plugin: bigint, functionName: bigint, input: bigint): bigint {
        const reference = textOf(call, plugin, invokedReferenceBytesMax);
        const name = textOf(call, functionName, invokedFunctionBytesMax);
        const bytes = bytesOf(call, input, runLimitRanges.inputBytes.max);
        freeAll(call, input, functionName, plugin);
        if (!reference) return fail('REQUEST_INVALID', badText('plugin', invokedReferenceBytesMax));
        if (!name) return fail('REQUEST_INVALID', badText('function', invokedFunctionBytesMax));
        if (!bytes) return fail('INPUT_TOO_LARGE', `input: must be at most ${runLimitRanges.inputBytes.max} bytes`);
        const request = writeInvoke({ plugin: reference, function: name, input: bytes });
        const { code, payload } = call.ask('invoke.call', request);
        failure = code === 0 ? new Uint8Array() : new Uint8Array(payload);
        return code === 0 ? newBlock(call, payload, 'the output of a plugin') : 0n;
      },

      /** A block of JSON that says how the last call failed; 0 if it did not. */
      invoke_error: () => newBlock(call, failure, 'the error of a plugin'),
    },
  };
}

function badText(field: string, bytesMax: number): string {
  return `${field}: must be a block of 1 to ${bytesMax} bytes of UTF-8`;
}

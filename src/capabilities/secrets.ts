/**
 * Capability "secrets": values that the operator gives. What was read is
 * remembered, so that nothing that the run says carries it by accident.
 */

import type { CallContext, HostFamily } from './call-context.ts';
import { freeAll, newBlock, textOf } from './guest-values.ts';
import { secretNameBytesMax } from './secret-bounds.ts';
import { rememberSecret } from './secrets-read.ts';

const encoder = new TextEncoder();

export function secretsFamily(call: CallContext): HostFamily {
  return {
    functions: {
      /** The block of the secret's value; 0 if the operator has set none, or an empty one. Frees the name. */
      secret_get(name: bigint): bigint {
        const text = textOf(call, name, secretNameBytesMax);
        freeAll(call, name);
        if (text === undefined) return 0n;
        const { code, payload } = call.ask('secrets.get', encoder.encode(text));
        if (code !== 0) return 0n;
        rememberSecret(call, payload);
        return newBlock(call, payload, 'the value of a secret');
      },
    },
  };
}

/**
 * Capability "kv": values that outlive the call, by key, in the namespace of
 * tenant and plugin. What a guest hands over is checked here, so that what cannot
 * be a key asks nobody; where the values are is the service's business.
 */

import { fixedLimits } from '../model/limits.ts';
import type { CallContext, HostFamily } from './call-context.ts';
import { bytesOf, freeAll, newBlock, textOf } from './guest-values.ts';
import {
  kvCodes,
  type KvSetRequest,
  kvTtlMsMax,
  writeKvCompareAndSet,
  writeKvList,
  writeKvSet,
} from './kv-requests.ts';

const encoder = new TextEncoder();

export function kvFamily(call: CallContext): HostFamily {
  return {
    functions: {
      /** The block of the key's value; 0 if there is none or it is empty. Frees the key. */
      kv_get(key: bigint): bigint {
        const name = keyOf(call, key);
        freeAll(call, key);
        if (name === undefined) return 0n;
        const { code, payload } = call.ask('kv.get', encoder.encode(name));
        return code === kvCodes.ok ? newBlock(call, payload, 'the value of a key') : 0n;
      },

      /** Keeps the value for `ttl_ms`, or for good if that is 0. Answers a code. Frees key and value. */
      kv_set(key: bigint, value: bigint, ttlMs: bigint): number {
        const request = setRequest(call, key, value, ttlMs);
        freeAll(call, value, key);
        return request === undefined ? kvCodes.invalid : call.ask('kv.set', writeKvSet(request)).code;
      },

      /** Answers 1 if there was nothing. Frees the key. */
      kv_delete(key: bigint): number {
        const name = keyOf(call, key);
        freeAll(call, key);
        return name === undefined ? kvCodes.absent : call.ask('kv.delete', encoder.encode(name)).code;
      },

      /** Keeps the value if the one there is equal to the expected one, 0 meaning none. Answers a code. Frees all three. */
      kv_compare_and_set(key: bigint, expected: bigint, value: bigint, ttlMs: bigint): number {
        const request = setRequest(call, key, value, ttlMs);
        const old = expected === 0n ? undefined : bytesOf(call, expected, fixedLimits.kvValueBytes);
        freeAll(call, value, expected, key);
        if (request === undefined || (old === undefined && expected !== 0n)) return kvCodes.invalid;
        return call.ask('kv.compare_and_set', writeKvCompareAndSet({ ...request, expected: old })).code;
      },

      /** A block of JSON: the keys that begin with the prefix, in order, those after `after`. Frees both. */
      kv_list(prefix: bigint, after: bigint, limit: number): bigint {
        const beginning = textOf(call, prefix, fixedLimits.kvKeyBytes);
        const last = textOf(call, after, fixedLimits.kvKeyBytes);
        freeAll(call, after, prefix);
        if (beginning === undefined || last === undefined) return 0n;
        const request = writeKvList({ prefix: beginning, after: last, limit: listLimit(limit) });
        return newBlock(call, call.ask('kv.list', request).payload, 'a list of keys');
      },
    },
  };
}

function keyOf(call: CallContext, address: bigint): string | undefined {
  return textOf(call, address, fixedLimits.kvKeyBytes) || undefined;
}

function setRequest(call: CallContext, key: bigint, value: bigint, ttlMs: bigint): KvSetRequest | undefined {
  if (ttlMs < 0n || ttlMs > kvTtlMsMax) return undefined;
  const name = keyOf(call, key);
  const bytes = bytesOf(call, value, fixedLimits.kvValueBytes);
  return name === undefined || bytes === undefined ? undefined : { key: name, value: bytes, ttlMs: Number(ttlMs) };
}

/** Guests count without a sign; 0 is as many as there may be. */
function listLimit(limit: number): number {
  const asked = limit >>> 0;
  return asked === 0 ? fixedLimits.kvListedKeys : Math.min(asked, fixedLimits.kvListedKeys);
}

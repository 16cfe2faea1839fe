/** What both halves of capability "kv" agree on: codes, what a key is, and how requests are written. */

import { fixedLimits } from '../model/limits.ts';
import { exactText } from './guest-text.ts';
import { joinParts, splitParts } from './parts.ts';

/** Codes of answers; a guest sees those of writes as they are. */
export const kvCodes = {
  ok: 0,
  /** Nothing is stored under the key; for compare-and-set, not what was expected. */
  absent: 1,
  different: 1,
  quota: 2,
  invalid: 3,
} as const;

/** The longest that a value can be given to live: 100 years. */
export const kvTtlMsMax = 100 * 365 * 86_400_000;

/** The text of a key, UTF-8 of 1 to fixedLimits.kvKeyBytes bytes; undefined if the bytes are none. */
export function kvKeyOf(bytes: Uint8Array): string | undefined {
  return bytes.length === 0 || bytes.length > fixedLimits.kvKeyBytes ? undefined : exactText(bytes);
}

export interface KvSetRequest {
  readonly key: string;
  readonly value: Uint8Array;
  /** 0 for a value that stays. */
  readonly ttlMs: number;
}

export interface KvCompareAndSetRequest extends KvSetRequest {
  /** The value that must be there; undefined if there must be none. */
  readonly expected: Uint8Array | undefined;
}

export interface KvListRequest {
  readonly prefix: string;
  /** Keys are listed from the next one on; empty for all. */
  readonly after: string;
  readonly limit: number;
}

export function writeKvSet({ key, value, ttlMs }: KvSetRequest): Uint8Array {
  return joinParts(key, value, numberBytes(ttlMs));
}

/** Undefined if a key, a value or a time is not as it must be. */
export function readKvSet(request: Uint8Array): KvSetRequest | undefined {
  const [keyBytes = none, value = none, ttl = none] = splitParts(request);
  const key = kvKeyOf(keyBytes);
  const ttlMs = numberOf(ttl);
  const isGood = value.length <= fixedLimits.kvValueBytes && ttlMs >= 0 && ttlMs <= kvTtlMsMax;
  return key !== undefined && isGood ? { key, value, ttlMs } : undefined;
}

export function writeKvCompareAndSet({ key, value, ttlMs, expected }: KvCompareAndSetRequest): Uint8Array {
  return joinParts(writeKvSet({ key, value, ttlMs }), ...(expected === undefined ? [] : [expected]));
}

export function readKvCompareAndSet(request: Uint8Array): KvCompareAndSetRequest | undefined {
  const [set = none, expected] = splitParts(request);
  const read = readKvSet(set);
  return read && { ...read, expected };
}

export function writeKvList({ prefix, after, limit }: KvListRequest): Uint8Array {
  return joinParts(prefix, after, numberBytes(limit));
}

/** Undefined if prefix or beginning could not belong to a key, or a limit is not as it must be. */
export function readKvList(request: Uint8Array): KvListRequest | undefined {
  const [prefixBytes = none, afterBytes = none, limitBytes = none] = splitParts(request);
  const [prefix, after] = [prefixBytes, afterBytes].map((bytes) => (bytes.length === 0 ? '' : kvKeyOf(bytes)));
  const limit = numberOf(limitBytes);
  const isGood = limit >= 1 && limit <= fixedLimits.kvListedKeys;
  return prefix !== undefined && after !== undefined && isGood ? { prefix, after, limit } : undefined;
}

const none = new Uint8Array();

function numberBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true);
  return bytes;
}

function numberOf(bytes: Uint8Array): number {
  return Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigInt64(0, true));
}

/**
 * Every number that a rule of the policy can set, with the value that holds if no
 * rule sets it, and the range that rules may choose from. In the policy a number's
 * word is its name here in snake_case.
 */

import { type RunLimitName, runLimitRanges, wasmPageBytes } from '../model/limits.ts';

const kibi = 1_024;
const mebi = 1_048_576;

interface Quota {
  readonly default: number;
  readonly min: number;
  readonly max: number;
}

export const quotas = {
  http: {
    /** Bytes of one request's body. */
    requestBytesMax: { default: 1 * mebi, min: 0, max: 64 * mebi },
    /** Bytes of one response's body. */
    responseBytesMax: { default: 4 * mebi, min: 0, max: 64 * mebi },
    /** From the first connection to the last byte, redirects included. */
    timeoutMsMax: { default: 30_000, min: 1, max: 300_000 },
    /** Requests under way at once, of one tenant. */
    connectionsMax: { default: 16, min: 1, max: 1_000 },
    /** Requests that one run may make. */
    requestsMax: { default: 1_000, min: 1, max: 1_000_000 },
    /** Requests a second, of one tenant. */
    requestsPerSecond: { default: 100, min: 1, max: 100_000 },
    redirectsMax: { default: 5, min: 0, max: 20 },
  },
  kv: {
    /** Bytes of all keys and values of one tenant and plugin. */
    bytesMax: { default: 4 * mebi, min: 0, max: 256 * mebi },
    keysMax: { default: 10_000, min: 0, max: 100_000 },
  },
  wasi: {
    /** Bytes of all files of one instance. */
    fileBytesMax: { default: 10 * mebi, min: 0, max: 512 * mebi },
    /** Descriptors open at once. */
    descriptorsMax: { default: 10, min: 0, max: 1 * kibi },
    /** Files and directories together. */
    inodesMax: { default: 1_000, min: 0, max: 100_000 },
  },
  invoke: {
    /** Calls nested in calls. */
    depthMax: { default: 4, min: 1, max: 16 },
  },
} as const satisfies Record<string, Readonly<Record<string, Quota>>>;

type Quotas = typeof quotas;

export type QuotaFamily = keyof Quotas;

/** The numbers of one family, such as http, as some rule sets them or leaves them out. */
export type FamilyQuotas<Family extends QuotaFamily> = { readonly [Name in keyof Quotas[Family]]?: number };

/** Maxima of the limits of runs: what rules may choose from. */
export const limitQuotas = Object.fromEntries(
  Object.entries(runLimitRanges).map(([name, range]) => [
    name,
    { default: range.default, min: name === 'memoryBytes' ? wasmPageBytes : 1, max: range.max },
  ]),
) as Readonly<Record<RunLimitName, Quota>>;

/** A name as the policy spells it: requestBytesMax is request_bytes_max. */
export function wordOf(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * Host calls as requests and responses: the operations behind those host
 * functions whose answers come from outside the instance. Everything that a
 * guest learns from outside is the payload of one of them.
 */

import type { CapabilityName } from './capability.ts';

interface OperationInfo {
  readonly capability: CapabilityName;
  /** Who answers: the guest's own thread, or the main thread, for which the guest's thread waits. */
  readonly place: 'thread' | 'main';
}

const inThread = (capability: CapabilityName) => ({ capability, place: 'thread' }) as const;
const inMain = (capability: CapabilityName) => ({ capability, place: 'main' }) as const;

export const operations = {
  'clock.now': inThread('clock'),
  'clock.monotonic': inThread('clock'),
  'random.bytes': inThread('random'),
  'wasi.clock': inThread('wasi'),
  'wasi.random': inThread('wasi'),
  'wasi.mount': inMain('wasi'),
  'kv.get': inMain('kv'),
  'kv.set': inMain('kv'),
  'kv.delete': inMain('kv'),
  'kv.compare_and_set': inMain('kv'),
  'kv.list': inMain('kv'),
  'http.request': inMain('http'),
  'secrets.get': inMain('secrets'),
  'invoke.call': inMain('invoke'),
} as const satisfies Record<string, OperationInfo>;

export type OperationName = keyof typeof operations;

/** The response to a host call. */
export interface HostAnswer {
  /** 0 for success; from 1 to 99 what the operation documents; see also answerCodes. */
  readonly code: number;
  readonly payload: Uint8Array;
  /** Fuel that answering used on the guest's account, beyond the call's price; default 0. */
  readonly fuel?: number;
}

/** Codes that every operation can answer with, and on which the run ends. */
export const answerCodes = {
  /** The grant does not cover it: the outcome is DENIED with the payload, which is text, as its message. */
  denied: 254,
  /** The host failed: the call is rejected as INTERNAL. */
  failed: 255,
} as const;

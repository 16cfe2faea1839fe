/** Where the values of capability "kv" are kept. Types only; each implementation is held to the same contract by its tests. */

import type { KvGrant } from '../../model/grant.ts';

/** Nothing of one namespace can be seen from another. */
export interface KvNamespace {
  readonly tenant: string;
  readonly plugin: string;
}

export interface KvUsage {
  readonly keys: number;
  /** Of keys, as UTF-8, and values together. */
  readonly bytes: number;
}

export interface KvWrite {
  readonly key: string;
  readonly value: Uint8Array;
  /** How long the value lives; 0 for good. */
  readonly ttlMs: number;
  /** What the namespace may hold once this is written. */
  readonly quota: KvGrant;
}

export interface KvQuery {
  readonly prefix: string;
  /** Only keys after this one; empty for all. */
  readonly after: string;
  readonly limit: number;
}

/** Values whose time is over are gone for every method, and count no more. Bytes that go in and come out are copies. */
export interface KvStore {
  get(namespace: KvNamespace, key: string): Promise<Uint8Array | undefined>;
  set(namespace: KvNamespace, write: KvWrite): Promise<'stored' | 'quota'>;
  /** Whether there was something. */
  delete(namespace: KvNamespace, key: string): Promise<boolean>;
  /** Keys by the order of their bytes as UTF-8. */
  list(namespace: KvNamespace, query: KvQuery): Promise<readonly string[]>;
  /** Stores only if the value there is equal to `expected`, undefined meaning that there is none. */
  compareAndSet(
    namespace: KvNamespace,
    expected: Uint8Array | undefined,
    write: KvWrite,
  ): Promise<'stored' | 'different' | 'quota'>;
  usage(namespace: KvNamespace): Promise<KvUsage>;
  /** Forgets what a plugin has stored for any tenant and answers how much that was. */
  dropPlugin(plugin: string): Promise<KvUsage>;
  /** Forgets everything in the namespace and answers how much that was. */
  drop(namespace: KvNamespace): Promise<KvUsage>;
}

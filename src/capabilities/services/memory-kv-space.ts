/**
 * One namespace of the store in memory. Keys are held as strings with a unit for
 * each byte of UTF-8, which compare as the bytes do. Quotas, other namespaces and
 * the time of day are the store's business.
 */

import { ExpiryQueue, type Expiry } from './expiry-queue.ts';
import type { KvQuery, KvUsage } from './kv-store.ts';

/** What a key costs in memory besides its bytes and those of its value. */
const entryOverheadBytes = 512;

/** With more keys gone at once, one pass over the order is cheaper than a search for each. */
const singlyRemovedMax = 16;
/** Expiries of values that are gone already, before they are cleared away, beyond as many as there are values. */
const staleExpiriesMax = 64;

interface Entry {
  readonly value: Uint8Array;
  /** Absent for a value that stays. */
  readonly expiry: Expiry | undefined;
}

/** A key as bytes, each a unit of a string. */
export function byteText(key: string): string {
  return Buffer.from(key).toString('latin1');
}

/** What so much costs in memory, about. */
export function heldBytes({ keys, bytes }: KvUsage): number {
  return bytes + keys * entryOverheadBytes;
}

function keyText(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString();
}

export class MemoryKvSpace {
  readonly #entries = new Map<string, Entry>();
  readonly #expiries = new ExpiryQueue();
  /** The keys of all entries, in order. */
  #order: string[] = [];
  #bytes = 0;

  get usage(): KvUsage {
    return { keys: this.#entries.size, bytes: this.#bytes };
  }

  /** Of the process's memory, about. */
  get heldBytes(): number {
    return heldBytes(this.usage);
  }

  /** When the next value expires; undefined if none does. */
  get nextExpiryMs(): number | undefined {
    return this.#expiries.next?.expiresMs;
  }

  get(key: string): Uint8Array | undefined {
    return this.#entries.get(key)?.value;
  }

  /** What the namespace would hold with this value instead of the one there. */
  usageWith(key: string, value: Uint8Array): KvUsage {
    const before = this.get(key);
    const { keys, bytes } = this.usage;
    if (before !== undefined) return { keys, bytes: bytes - before.length + value.length };
    return { keys: keys + 1, bytes: bytes + key.length + value.length };
  }

  set(key: string, value: Uint8Array, expiresMs: number | undefined): void {
    const { bytes } = this.usageWith(key, value);
    if (!this.#entries.has(key)) this.#order.splice(this.#indexOf(key), 0, key);
    const expiry = expiresMs === undefined ? undefined : { key, expiresMs };
    this.#entries.set(key, { value: new Uint8Array(value), expiry });
    this.#bytes = bytes;
    if (expiry) this.#expiries.add(expiry);
    this.#clearStale();
  }

  /** Whether it was there. */
  delete(key: string): boolean {
    if (!this.#forget(key)) return false;
    this.#order.splice(this.#indexOf(key), 1);
    this.#clearStale();
    return true;
  }

  clear(): void {
    this.#entries.clear();
    this.#expiries.replace([]);
    this.#order = [];
    this.#bytes = 0;
  }

  list({ prefix, after, limit }: KvQuery): readonly string[] {
    const beginning = byteText(prefix);
    // The least key after another one is that one and a zero byte.
    const past = after === '' ? '' : `${byteText(after)}\0`;
    const first = this.#indexOf(past > beginning ? past : beginning);
    const keys: string[] = [];
    for (let at = first; at < this.#order.length && keys.length < limit; at++) {
      const key = this.#order[at] ?? '';
      if (!key.startsWith(beginning)) break;
      keys.push(keyText(key));
    }
    return keys;
  }

  /** Forgets values that have expired, at most so many, and answers how many. */
  expire(nowMs: number, valuesMax: number): number {
    const gone: string[] = [];
    for (let next = this.#expiries.next; next && next.expiresMs <= nowMs; next = this.#expiries.next) {
      if (gone.length === valuesMax) break;
      this.#expiries.removeNext();
      if (this.#entries.get(next.key)?.expiry !== next) continue;
      this.#forget(next.key);
      gone.push(next.key);
    }
    if (gone.length > singlyRemovedMax) this.#order = this.#order.filter((key) => this.#entries.has(key));
    else for (const key of gone) this.#order.splice(this.#indexOf(key), 1);
    return gone.length;
  }

  /** Takes a key out of everything but the order. */
  #forget(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#bytes -= key.length + entry.value.length;
    return this.#entries.delete(key);
  }

  #clearStale(): void {
    if (this.#expiries.size <= 2 * this.#entries.size + staleExpiriesMax) return;
    const live = Array.from(this.#entries.values(), ({ expiry }) => expiry);
    this.#expiries.replace(live.filter((expiry) => expiry !== undefined));
  }

  /** Where the key is in the order, or would be. */
  #indexOf(key: string): number {
    let [low, high] = [0, this.#order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#order[middle] ?? '') < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

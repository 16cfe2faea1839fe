/**
 * Values of capability "kv" in the memory of the server, gone when it ends. It
 * holds no more than its bounds, whatever the quotas of the namespaces add up to.
 */

import type { Clock } from '../../base/clock.ts';
import { byteText, heldBytes, MemoryKvSpace } from './memory-kv-space.ts';
import type { KvNamespace, KvQuery, KvStore, KvUsage, KvWrite } from './kv-store.ts';

/** Bytes of keys and values of all namespaces, with what each key costs besides. */
export const storeBytesMax = 256 * 1_048_576;
/** Namespaces that hold something. */
export const namespacesMax = 10_000;

/** How often what has expired is cleared away where nobody asks for it. */
const sweepMs = 10_000;
/** Until the sweep after one that did not get through. */
const sweepAgainMs = 10;
/** Between sweeps for want of room. */
const sweepApartMs = 100;
/** Values that one sweep takes. */
export const sweptValuesMax = 10_000;

export interface MemoryKvStoreOptions {
  readonly clock: Clock;
  /** Default storeBytesMax. */
  readonly bytesMax?: number;
  /** Default namespacesMax. */
  readonly namespacesMax?: number;
}

export class MemoryKvStore implements KvStore, Disposable {
  readonly #clock: Clock;
  readonly #bytesMax: number;
  readonly #namespacesMax: number;
  /** Only those that hold something. */
  readonly #spaces = new Map<string, MemoryKvSpace>();
  #heldBytes = 0;
  #sweptMs = Number.NEGATIVE_INFINITY;
  #timer: Disposable | undefined;

  constructor(options: MemoryKvStoreOptions) {
    this.#clock = options.clock;
    this.#bytesMax = options.bytesMax ?? storeBytesMax;
    this.#namespacesMax = options.namespacesMax ?? namespacesMax;
  }

  /** Of all namespaces, as the bound counts them: also what has expired and is not cleared away yet. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  async get(namespace: KvNamespace, key: string): Promise<Uint8Array | undefined> {
    return this.#within(namespace, (space) => space.get(byteText(key))?.slice());
  }

  async set(namespace: KvNamespace, write: KvWrite): Promise<'stored' | 'quota'> {
    return this.#within(namespace, (space) => this.#write(space, write));
  }

  async delete(namespace: KvNamespace, key: string): Promise<boolean> {
    return this.#within(namespace, (space) => this.#change(space, () => space.delete(byteText(key))));
  }

  async list(namespace: KvNamespace, query: KvQuery): Promise<readonly string[]> {
    return this.#within(namespace, (space) => space.list(query));
  }

  async compareAndSet(
    namespace: KvNamespace,
    expected: Uint8Array | undefined,
    write: KvWrite,
  ): Promise<'stored' | 'different' | 'quota'> {
    return this.#within(namespace, (space) => {
      const isExpected = isEqual(space.get(byteText(write.key)), expected);
      return isExpected ? this.#write(space, write) : 'different';
    });
  }

  async usage(namespace: KvNamespace): Promise<KvUsage> {
    return this.#within(namespace, (space) => space.usage);
  }

  async drop(namespace: KvNamespace): Promise<KvUsage> {
    return this.#within(namespace, (space) => {
      const { usage } = space;
      this.#change(space, () => space.clear());
      return usage;
    });
  }

  async dropPlugin(plugin: string): Promise<KvUsage> {
    const ofPlugin = [...this.#spaces.keys()].map(namespaceOf).filter((namespace) => namespace.plugin === plugin);
    let [keys, bytes] = [0, 0];
    for (const namespace of ofPlugin) {
      const dropped = await this.drop(namespace);
      keys += dropped.keys;
      bytes += dropped.bytes;
    }
    return { keys, bytes };
  }

  /** Ends the sweeps. */
  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
  }

  /** Does something in a namespace in which nothing has expired. */
  #within<Result>(namespace: KvNamespace, act: (space: MemoryKvSpace) => Result): Result {
    const id = idOf(namespace);
    const space = this.#spaces.get(id) ?? new MemoryKvSpace();
    this.#expire(space, Number.POSITIVE_INFINITY);
    if (space.heldBytes === 0) this.#spaces.delete(id);
    const result = act(space);
    if (space.heldBytes > 0) this.#spaces.set(id, space);
    else this.#spaces.delete(id);
    return result;
  }

  #write(space: MemoryKvSpace, { key, value, ttlMs, quota }: KvWrite): 'stored' | 'quota' {
    const bytes = byteText(key);
    const after = space.usageWith(bytes, value);
    if (after.bytes > quota.bytesMax || after.keys > quota.keysMax) return 'quota';
    if (!this.#hasRoom(space, after) && !(this.#sweepUnlessDone() && this.#hasRoom(space, after))) return 'quota';
    const expiresMs = ttlMs === 0 ? undefined : this.#clock.monotonic() + ttlMs;
    this.#change(space, () => space.set(bytes, value, expiresMs));
    if (ttlMs !== 0) this.#sweepIn(sweepMs);
    return 'stored';
  }

  /** Whether the bounds of the whole store allow it. */
  #hasRoom(space: MemoryKvSpace, after: KvUsage): boolean {
    const isNew = space.heldBytes === 0;
    if (isNew && this.#spaces.size >= this.#namespacesMax) return false;
    return this.#heldBytes - space.heldBytes + heldBytes(after) <= this.#bytesMax;
  }

  #expire(space: MemoryKvSpace, valuesMax: number): number {
    return this.#change(space, () => space.expire(this.#clock.monotonic(), valuesMax));
  }

  /** The one way to change what a space holds: it keeps the books. */
  #change<Result>(space: MemoryKvSpace, act: () => Result): Result {
    const beforeBytes = space.heldBytes;
    const result = act();
    this.#heldBytes += space.heldBytes - beforeBytes;
    return result;
  }

  /** Clears away for a write that found no room, which many may do at once. Answers whether it did. */
  #sweepUnlessDone(): boolean {
    if (this.#clock.monotonic() - this.#sweptMs < sweepApartMs) return false;
    this.#sweep();
    return true;
  }

  #sweep(): void {
    this.#sweptMs = this.#clock.monotonic();
    let left = sweptValuesMax;
    let isExpiring = false;
    for (const [id, space] of this.#spaces) {
      left -= this.#expire(space, left);
      if (space.heldBytes === 0) this.#spaces.delete(id);
      isExpiring ||= space.nextExpiryMs !== undefined;
    }
    if (isExpiring) this.#sweepIn(left === 0 ? sweepAgainMs : sweepMs);
  }

  #sweepIn(ms: number): void {
    this.#timer ??= this.#clock.after(ms, () => {
      this.#timer = undefined;
      this.#sweep();
    });
  }
}

function idOf({ tenant, plugin }: KvNamespace): string {
  return JSON.stringify([tenant, plugin]);
}

function namespaceOf(id: string): KvNamespace {
  const [tenant = '', plugin = ''] = JSON.parse(id) as readonly string[];
  return { tenant, plugin };
}

function isEqual(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return Buffer.compare(one, other) === 0;
}

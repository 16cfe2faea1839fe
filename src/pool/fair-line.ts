/**
 * Those who wait for something, served in turns: one tenant after the other, and
 * of each tenant one plugin after the other, in each first come, first served. So a
 * tenant that has a thousand calls waiting delays another's first by one call.
 * Whoever lets them join bounds how many there are.
 */

/** Whose turn it is in. */
export interface Place {
  readonly tenant: string;
  readonly plugin: string;
}

/** One tenant's: its plugins' lines in the order of their turns. No line is empty. */
interface TenantLine<T> {
  readonly plugins: Map<string, Set<T>>;
  length: number;
}

export class FairLine<T extends Place> {
  /** In the order of their turns; none is empty. */
  readonly #tenants = new Map<string, TenantLine<T>>();
  #length = 0;

  get length(): number {
    return this.#length;
  }

  lengthOf(tenant: string): number {
    return this.#tenants.get(tenant)?.length ?? 0;
  }

  /** Tenants that wait, with how many calls. */
  *lengths(): Generator<readonly [tenant: string, length: number]> {
    for (const [tenant, { length }] of this.#tenants) yield [tenant, length];
  }

  join(waiting: T): void {
    const line = this.#tenants.get(waiting.tenant) ?? { plugins: new Map<string, Set<T>>(), length: 0 };
    this.#tenants.set(waiting.tenant, line);
    const ofPlugin = line.plugins.get(waiting.plugin) ?? new Set<T>();
    line.plugins.set(waiting.plugin, ofPlugin);
    ofPlugin.add(waiting);
    line.length++;
    this.#length++;
  }

  /** Whether it was there. */
  leave(waiting: T): boolean {
    const line = this.#tenants.get(waiting.tenant);
    const ofPlugin = line?.plugins.get(waiting.plugin);
    if (line === undefined || ofPlugin?.delete(waiting) !== true) return false;
    if (ofPlugin.size === 0) line.plugins.delete(waiting.plugin);
    if (--line.length === 0) this.#tenants.delete(waiting.tenant);
    this.#length--;
    return true;
  }

  /** Takes whose turn it is, of the tenants that may have one; undefined if there is none. */
  next(mayHaveTurn: (tenant: string) => boolean): T | undefined {
    for (const [tenant, line] of this.#tenants) {
      if (!mayHaveTurn(tenant)) continue;
      const first = firstOf(line);
      if (first === undefined) continue;
      this.leave(first);
      toTheEnd(this.#tenants, tenant);
      toTheEnd(line.plugins, first.plugin);
      return first;
    }
    return undefined;
  }

  /** Takes all. */
  takeAll(): readonly T[] {
    const all = [...this.#tenants.values()].flatMap(({ plugins }) =>
      [...plugins.values()].flatMap((line) => [...line]),
    );
    this.#tenants.clear();
    this.#length = 0;
    return all;
  }
}

function firstOf<T>({ plugins }: TenantLine<T>): T | undefined {
  const [line] = plugins.values();
  const [first] = line ?? [];
  return first;
}

function toTheEnd<Value>(map: Map<string, Value>, key: string): void {
  const value = map.get(key);
  if (value === undefined) return;
  map.delete(key);
  map.set(key, value);
}

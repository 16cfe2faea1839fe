/**
 * All versions in memory, found by name, version and digest and kept in order:
 * by name, the newest version first. Decides which one a name alone means. Holds
 * entries; changes nothing in them.
 */

import semver from 'semver';
import { assert } from '../base/assert.ts';
import type { Digest } from '../base/digest.ts';
import { type PluginVersion, referenceOf } from '../model/plugin.ts';

/** One version with what the registry knows of it beyond what callers see. */
export interface Entry {
  /** As it stands; replaced, never changed. */
  version: PluginVersion;
  /** Whether executions may use it: it runs, or will be loaded by the first of them. */
  accepting: boolean;
  /** The state that the record on disk holds. */
  stored: StoredState;
  /** Whether manifest and module have been validated since the server started. */
  validated: boolean;
  /** The load that executions wait for. */
  loading: Promise<void> | undefined;
}

/** States that outlive the server. One that is stored as running is unloaded when the server comes back. */
export type StoredState = 'running' | 'stopped' | 'failed' | 'retired';

interface Ranked {
  readonly entry: Entry;
  readonly rank: semver.SemVer;
}

export class VersionIndex {
  readonly #byReference = new Map<string, Entry>();
  /** Newest first. */
  readonly #byName = new Map<string, Ranked[]>();
  readonly #byDigest = new Map<Digest, Set<Entry>>();
  /** Sorted. */
  readonly #names: string[] = [];
  #manifestBytes = 0;

  get size(): number {
    return this.#byReference.size;
  }

  /** Bytes of all versions' manifests. */
  get manifestBytes(): number {
    return this.#manifestBytes;
  }

  get names(): readonly string[] {
    return this.#names;
  }

  add(entry: Entry): void {
    const { manifest, digest } = entry.version;
    const reference = referenceOf(entry.version);
    assert(!this.#byReference.has(reference), 'a version is added once');
    this.#byReference.set(reference, entry);
    this.#manifestBytes += Buffer.byteLength(entry.version.manifestText);
    const rank = new semver.SemVer(manifest.version);
    const ranked = this.#byName.get(manifest.name) ?? this.#addName(manifest.name);
    const index = firstIndex(ranked, (other) => compareRanks(rank, other.rank) < 0);
    ranked.splice(index, 0, { entry, rank });
    this.#byDigest.set(digest, (this.#byDigest.get(digest) ?? new Set()).add(entry));
  }

  delete(entry: Entry): void {
    const { manifest, digest } = entry.version;
    assert(this.has(entry), 'a version that is deleted was there');
    this.#byReference.delete(referenceOf(entry.version));
    this.#manifestBytes -= Buffer.byteLength(entry.version.manifestText);
    const ranked = this.#byName.get(manifest.name) ?? [];
    ranked.splice(
      ranked.findIndex((other) => other.entry === entry),
      1,
    );
    if (ranked.length === 0) this.#deleteName(manifest.name);
    const sharing = this.#byDigest.get(digest);
    sharing?.delete(entry);
    if (sharing?.size === 0) this.#byDigest.delete(digest);
  }

  find(name: string, version: string): Entry | undefined {
    return this.#byReference.get(`${name}@${version}`);
  }

  /** Whether this very entry is there, not just one of the same name and version. */
  has(entry: Entry): boolean {
    return this.#byReference.get(referenceOf(entry.version)) === entry;
  }

  /** Newest first; empty if there is no such plugin. */
  ofName(name: string): readonly Entry[] {
    return (this.#byName.get(name) ?? []).map(({ entry }) => entry);
  }

  ofDigest(digest: Digest): readonly Entry[] {
    return [...(this.#byDigest.get(digest) ?? [])];
  }

  /** What a name alone means: the newest version that accepts executions, else the newest; pre-releases only if there is nothing else. */
  latest(name: string): Entry | undefined {
    const ranked = this.#byName.get(name) ?? [];
    const isRelease = ({ rank }: Ranked): boolean => rank.prerelease.length === 0;
    const isAccepting = ({ entry }: Ranked): boolean => entry.accepting;
    const found =
      ranked.find((one) => isAccepting(one) && isRelease(one)) ??
      ranked.find(isAccepting) ??
      ranked.find(isRelease) ??
      ranked[0];
    return found?.entry;
  }

  /** All of them, or those of one name, by name and then newest first. */
  *inOrder(query: OrderQuery = {}): Generator<Entry, void, undefined> {
    const { after } = query;
    const start = after === undefined ? 0 : firstIndex(this.#names, (name) => name >= after.name);
    const names = query.name === undefined ? this.#names.slice(start) : [query.name];
    for (const name of names) yield* this.#ofNameAfter(name, after);
  }

  *#ofNameAfter(name: string, after: Position | undefined): Generator<Entry, void, undefined> {
    const ranked = this.#byName.get(name) ?? [];
    if (after === undefined || name > after.name) yield* ranked.map(({ entry }) => entry);
    else if (name === after.name) {
      const rank = new semver.SemVer(after.version);
      yield* ranked.filter((other) => compareRanks(rank, other.rank) < 0).map(({ entry }) => entry);
    }
  }

  #addName(name: string): Ranked[] {
    const ranked: Ranked[] = [];
    this.#byName.set(name, ranked);
    this.#names.splice(
      firstIndex(this.#names, (other) => other > name),
      0,
      name,
    );
    return ranked;
  }

  #deleteName(name: string): void {
    this.#byName.delete(name);
    this.#names.splice(this.#names.indexOf(name), 1);
  }
}

/** Where a listing stands: the version that was listed last. It need not be there any more. */
export interface Position {
  readonly name: string;
  readonly version: string;
}

export interface OrderQuery {
  /** Only versions of this plugin. */
  readonly name?: string | undefined;
  /** Only what follows this one. */
  readonly after?: Position | undefined;
}

/** Negative if `a` is listed before `b`: newer versions first. Two versions never compare equal: of the same precedence, build metadata decides. */
function compareRanks(a: semver.SemVer, b: semver.SemVer): number {
  return b.compare(a) || b.compareBuild(a) || compareText(b.raw, a.raw);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Index of the first item that fits in a list where every item after it fits too. */
function firstIndex<Item>(items: readonly Item[], fits: (item: Item) => boolean): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const item = items[middle];
    if (item !== undefined && fits(item)) high = middle;
    else low = middle + 1;
  }
  return low;
}

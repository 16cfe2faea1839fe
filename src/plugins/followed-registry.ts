/**
 * The registry as processes see it that follow another process's: knows the
 * versions that it is told of, reads their modules from the same directory and
 * compiles them for its own threads. It changes no version and writes no file.
 */

import type { Digest } from '../base/digest.ts';
import { linkSignals } from '../base/signals.ts';
import { AbortReason } from '../model/abort-reason.ts';
import type { Log } from '../model/log.ts';
import { type PluginHealth, type PluginVersion, referenceOf } from '../model/plugin.ts';
import type { CompiledPlugin, Compiler } from '../sandbox/compiler.ts';
import { abortError, unlessAborted } from './aborted.ts';
import { Artifacts } from './artifacts.ts';
import { type PluginBounds, pluginBoundsDefault } from './bounds.ts';
import { PluginFiles } from './files.ts';
import type { FollowedVersion, VersionChange } from './followed-version.ts';
import { Gate } from './gate.ts';
import type { RunFacts } from './health.ts';
import { findVersion, refusalToExecute } from './lookup.ts';
import { deletedMeanwhile } from './registry-refusals.ts';
import { RewrittenReader } from './rewritten-reader.ts';
import { RunsUnderWay } from './runs-under-way.ts';
import { ownMemoryBytes, variantOf } from './variant.ts';
import { VariantMaker } from './variant-maker.ts';
import { type Entry, VersionIndex } from './version-index.ts';

export interface FollowedRegistryOptions {
  /** The directory that the other process holds. */
  readonly dataDirectory: string;
  /** Outlives the registry. */
  readonly compiler: Pick<Compiler, 'analyse' | 'compile' | 'identity'>;
  readonly log: Log;
  readonly bounds?: Partial<PluginBounds>;
  /** Has the other process load a version that its first use loads; "name@version". */
  readonly load: (reference: string, signal: AbortSignal) => Promise<void>;
  /** Told when the last run has ended that may have stored something since its plugin's storage was dropped. */
  readonly leftovers: (plugin: string) => void;
  /** Told that nobody may run a module any more. */
  readonly released?: (digest: Digest) => void;
  /** Takes how runs ended, for the health of their version. */
  readonly noteRun: (version: PluginVersion, facts: RunFacts) => void;
}

export class FollowedRegistry implements AsyncDisposable {
  readonly #options: FollowedRegistryOptions;
  readonly #index = new VersionIndex();
  readonly #artifacts: Artifacts;
  readonly #variants: VariantMaker;
  readonly #runs = new RunsUnderWay();
  readonly #closing = new AbortController();

  constructor(options: FollowedRegistryOptions) {
    const { dataDirectory, compiler, log } = options;
    const bounds = { ...pluginBoundsDefault, ...options.bounds };
    const rewritten = new RewrittenReader({ dataDirectory, log, identity: compiler.identity });
    this.#options = options;
    this.#variants = new VariantMaker({ compiler, modules: modulesOf(options, bounds), rewritten, log, bounds });
    this.#artifacts = new Artifacts({
      bounds,
      compile: (variant) => this.#variants.compile(variant, this.#closing.signal),
      isUsed: (digest) => this.#index.ofDigest(digest).some(({ version }) => version.state === 'running'),
      released: options.released,
    });
  }

  /** Takes a change over at once; resolves when a version that runs now can be executed without compiling it first. */
  async apply(change: VersionChange): Promise<void> {
    if (change.type === 'GONE') return this.#remove(change.version);
    if (change.type === 'STORAGE_DROPPED') return this.#watchLeftovers(change.plugin);
    const entry = this.#put(change);
    if (change.version.state === 'running') await this.#prepare(entry.version);
    else this.#artifacts.release(change.version.digest);
  }

  /** Takes over all versions as they stand: those that are not among them are gone. */
  replaceAll(versions: readonly FollowedVersion[]): void {
    const references = new Set(versions.map(({ version }) => referenceOf(version)));
    for (const { version } of [...this.#index.inOrder()]) {
      if (!references.has(referenceOf(version))) this.#remove(version);
    }
    for (const followed of versions) this.#put(followed);
  }

  /** The version that an execution shall use, as far as this process knows. */
  resolve(reference: string): PluginVersion {
    const entry = findVersion(this.#index, reference);
    if (!entry.accepting) throw refusalToExecute(entry.version);
    return entry.version;
  }

  /** The version's module, compiled for a limit of memory; the other process loads the version on its first use. */
  async compiled(version: PluginVersion, memoryBytes: number, signal?: AbortSignal): Promise<CompiledPlugin> {
    const entry = this.#acceptingEntry(version);
    const variant = variantOf(version, memoryBytes);
    const kept = entry.version.state === 'running' ? this.#artifacts.kept(variant) : undefined;
    if (kept) return kept;
    using linked = linkSignals(this.#closing.signal, ...(signal ? [signal] : []));
    if (linked.signal.aborted) throw abortError(linked.signal);
    if (entry.version.state !== 'running') {
      await unlessAborted(this.#options.load(referenceOf(version), linked.signal), linked.signal);
    }
    return await this.#artifacts.get(variant, linked.signal).catch((error: unknown) => {
      if (!this.#index.has(entry)) throw deletedMeanwhile(version);
      throw error;
    });
  }

  /** A run of a version is under way until what it answers with is disposed of. */
  beginRun({ manifest: { name } }: PluginVersion): Disposable {
    this.#runs.begin(name);
    return { [Symbol.dispose]: () => this.#runs.end(name) };
  }

  /** Passes on how a run ended. */
  noteRun(version: PluginVersion, facts: RunFacts): void {
    this.#options.noteRun(version, facts);
  }

  /** "name@version" of every version that has this module. */
  referencesOf(digest: Digest): readonly string[] {
    return this.#index.ofDigest(digest).map(({ version }) => referenceOf(version));
  }

  /** None: health checks are run by the process that keeps the versions. */
  running(): readonly PluginVersion[] {
    return [];
  }

  /** As of running. */
  health(): PluginHealth | undefined {
    return undefined;
  }

  /** There are no checks whose result could be noted. */
  noteCheck(): void {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new AbortReason('SHUTDOWN'));
  }

  /** A number that was deleted and published again is another version. */
  #put({ version, accepting }: FollowedVersion): Entry {
    const there = this.#index.find(version.manifest.name, version.manifest.version);
    if (there?.version.digest === version.digest && there.version.createdMs === version.createdMs) {
      there.version = version;
      there.accepting = accepting;
      return there;
    }
    if (there) this.#remove(there.version);
    const entry: Entry = { version, accepting, stored: 'running', validated: true, loading: undefined };
    this.#index.add(entry);
    return entry;
  }

  #watchLeftovers(plugin: string): void {
    this.#runs.atEnd(plugin, () => this.#options.leftovers(plugin));
  }

  #remove(version: PluginVersion): void {
    const entry = this.#index.find(version.manifest.name, version.manifest.version);
    if (!entry) return;
    entry.accepting = false;
    this.#index.delete(entry);
    this.#artifacts.release(entry.version.digest);
  }

  /** Whoever executes it next learns why it cannot be compiled. */
  async #prepare(version: PluginVersion): Promise<void> {
    const variant = variantOf(version, ownMemoryBytes(version.manifest));
    await this.#artifacts.get(variant, this.#closing.signal).catch((error: unknown) => {
      this.#options.log.warn(
        { plugin: referenceOf(version), error },
        'Cannot compile a version that another process runs',
      );
    });
  }

  #acceptingEntry(version: PluginVersion): Entry {
    const entry = this.#index.find(version.manifest.name, version.manifest.version);
    if (!entry || entry.version.digest !== version.digest) throw deletedMeanwhile(version);
    if (!entry.accepting) throw refusalToExecute(entry.version);
    return entry;
  }
}

/** Reads stored modules, a bounded number at once. */
function modulesOf(
  { dataDirectory, log }: FollowedRegistryOptions,
  { modulesReadMax, modulesWaitingMax }: PluginBounds,
): ConstructorParameters<typeof VariantMaker>[0]['modules'] {
  const files = PluginFiles.ofAnother(dataDirectory, log);
  const reading = new Gate({ holdersMax: modulesReadMax, waitersMax: modulesWaitingMax, subject: 'a stored module' });
  return {
    withModule: ({ digest, sizeBytes }, signal, work) =>
      reading.run(signal, async () => await work(await files.readModule(digest, sizeBytes))),
  };
}

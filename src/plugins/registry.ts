/**
 * The registry of plugins: publishes, finds, starts, stops, retires and deletes
 * versions, and hands out their compiled modules. What was acknowledged is on
 * disk. It runs no guest code; compiling is the compiler's.
 */

import type { Clock } from '../base/clock.ts';
import type { Digest } from '../base/digest.ts';
import { linkSignals } from '../base/signals.ts';
import { AbortReason } from '../model/abort-reason.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Log } from '../model/log.ts';
import type { Manifest } from '../model/manifest.ts';
import { type PluginHealth, type PluginVersion, referenceOf } from '../model/plugin.ts';
import { tenantDefault } from '../model/tenant.ts';
import type { CompiledPlugin, Compiler } from '../sandbox/compiler.ts';
import { abortError, unlessAborted } from './aborted.ts';
import { Artifacts } from './artifacts.ts';
import { type PluginBounds, pluginBoundsDefault } from './bounds.ts';
import { builtInHooks } from './built-in-hooks.ts';
import { type Examined, Examiner, type GrantSource, type UploadRequest } from './examiner.ts';
import { KeyedGates } from './gate.ts';
import { HealthBook, type RunFacts } from './health.ts';
import { HookRunner, type LifecycleHook } from './hooks.ts';
import { Lifecycle } from './lifecycle.ts';
import { listVersions, type PluginPage, type PluginQuery } from './listing.ts';
import { findExactVersion, findVersion, refusalToExecute } from './lookup.ts';
import type { FollowedVersion, VersionChange } from './followed-version.ts';
import { deletedMeanwhile, sameOrRefused, stateRefusal } from './registry-refusals.ts';
import type { ValidationReport } from './report.ts';
import { RewrittenStore } from './rewritten-store.ts';
import { RunsUnderWay } from './runs-under-way.ts';
import type { PluginUploadHeader } from './upload.ts';
import { refusalOf } from './validation.ts';
import { ownMemoryBytes, type Variant, variantOf } from './variant.ts';
import { VariantMaker } from './variant-maker.ts';
import type { Entry, VersionIndex } from './version-index.ts';
import { VersionStore } from './version-store.ts';
import { type PluginChange, Watchers } from './watchers.ts';

export interface PluginRegistryOptions {
  /** Directory that the registry shares with no other server; its files stand in "plugins" below it. */
  readonly dataDirectory: string;
  /** Outlives the registry. */
  readonly compiler: Pick<Compiler, 'analyse' | 'compile' | 'identity'>;
  readonly clock: Clock;
  readonly log: Log;
  /** What the operator allows; absent if that is everything. */
  readonly grants?: GrantSource;
  /** Hooks beside the built-in ones. */
  readonly hooks?: readonly LifecycleHook[];
  /** Absent if runs store nothing. */
  readonly storage?: PluginStorage;
  /** Told that nobody may run a module any more: whoever holds instances of it can let them go. */
  readonly released?: (digest: Digest) => void;
  readonly bounds?: Partial<PluginBounds>;
  /** Told of every version that came, changed its state or went, and of what went with it, at once and in order. */
  readonly changed?: (change: VersionChange) => void;
}

/** What runs of plugins have stored, as far as the registry has to do with it. */
export interface PluginStorage {
  /** Deletes what runs of the plugin have stored, for all tenants, and answers with how much that was. */
  drop(plugin: string): Promise<DroppedStorage>;
}

export interface DroppedStorage {
  readonly keys: number;
  readonly bytes: number;
}

export interface DeleteOptions {
  /** Who deletes, for the log. */
  readonly tenant?: string;
  /** Keep what runs have stored, for a later version of the same name. */
  readonly keepStorage?: boolean;
}

export interface Published {
  readonly version: PluginVersion;
  /** False if the very same version was there already. */
  readonly created: boolean;
  readonly report: ValidationReport;
}

export class PluginRegistry implements AsyncDisposable {
  readonly #options: PluginRegistryOptions;
  readonly #bounds: PluginBounds;
  readonly #store: VersionStore;
  readonly #rewritten: RewrittenStore;
  readonly #variants: VariantMaker;
  readonly #index: VersionIndex;
  readonly #examiner: Examiner;
  readonly #watchers: Watchers;
  readonly #artifacts: Artifacts;
  readonly #lifecycle: Lifecycle;
  readonly #health = new HealthBook();
  readonly #runs = new RunsUnderWay();
  /** One transition at a time for each name@version, and for each name one that makes or takes its first or last version. */
  readonly #transitions: KeyedGates;
  readonly #closing = new AbortController();
  /** What is under way and must end before the store is let go of. */
  readonly #tasks = new Set<Promise<unknown>>();

  private constructor(options: PluginRegistryOptions, bounds: PluginBounds, stores: Stores) {
    const { versions, rewritten } = stores;
    const { compiler, log } = options;
    this.#options = options;
    this.#bounds = bounds;
    this.#store = versions;
    this.#rewritten = rewritten;
    this.#variants = new VariantMaker({ compiler, modules: versions, rewritten, log, bounds });
    this.#index = versions.index;
    this.#examiner = new Examiner({ compiler: options.compiler, clock: options.clock, bounds, grants: options.grants });
    this.#watchers = new Watchers(bounds);
    this.#artifacts = this.#createArtifacts();
    this.#transitions = new KeyedGates(bounds.transitionsWaitingMax);
    this.#lifecycle = this.#createLifecycle();
  }

  /** Opens the registry of a data directory; throws STORAGE_FAILED if it cannot be used or another server uses it. */
  static async open(options: PluginRegistryOptions): Promise<PluginRegistry> {
    const bounds = { ...pluginBoundsDefault, ...options.bounds };
    const { dataDirectory, clock, log } = options;
    const versions = await VersionStore.open({ dataDirectory, clock, log, bounds });
    const isStored = (digest: Digest): boolean => versions.index.ofDigest(digest).length > 0;
    const { identity } = options.compiler;
    const rewritten = await RewrittenStore.open({ dataDirectory, clock, log, bounds, identity, isStored });
    const registry = new PluginRegistry(options, bounds, { versions, rewritten });
    registry.#inBackground(() => registry.#warmUp());
    return registry;
  }

  /** Stores and starts a new version. One that is refused leaves nothing behind. */
  async publish(
    header: PluginUploadHeader,
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
    tenant: string = tenantDefault,
  ): Promise<Published> {
    return await this.#receive({ header, chunks, signal, tenant }, async (examined, signal) => {
      const { manifest, report } = examined;
      if (manifest === undefined) throw refusalOf(report);
      const publish = (): Promise<Omit<Published, 'report'>> => this.#publish({ ...examined, manifest }, signal);
      const published = await this.#transitions.run(`${manifest.name}@${manifest.version}`, signal, publish);
      return { ...published, report };
    });
  }

  /** Checks an upload as publish would, and stores nothing. */
  async validate(
    header: PluginUploadHeader,
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal,
    tenant: string = tenantDefault,
  ): Promise<ValidationReport> {
    return await this.#receive({ header, chunks, signal, tenant }, async ({ report }) => report);
  }

  /** The version that "name", "name@version" or a digest means. */
  get(reference: string): PluginVersion {
    return findVersion(this.#index, reference).version;
  }

  /** Versions by name and then newest first, from the one that follows `after` on. */
  list(query: PluginQuery): PluginPage {
    return listVersions(this.#index, query);
  }

  /** Makes a stopped, unloaded or failed version accept executions; a running one stays as it is. */
  async start(reference: string): Promise<PluginVersion> {
    return await this.#transition(reference, async (entry) => {
      const { state } = entry.version;
      if (state === 'retired') throw stateRefusal(entry.version, 'started', 'a retired version can only be deleted');
      if (state !== 'running') await this.#lifecycle.start(entry);
    });
  }

  /** Makes a version refuse executions; a stopped one stays as it is. */
  async stop(reference: string): Promise<PluginVersion> {
    return await this.#transition(reference, async (entry) => {
      const { state } = entry.version;
      if (state === 'retired') throw stateRefusal(entry.version, 'stopped', 'a retired version can only be deleted');
      // The table of states leads from unloaded to stopped only by way of running. One that fails to start is stopped from there.
      if (state === 'unloaded') await this.#lifecycle.start(entry).catch(() => {});
      if (state !== 'stopped') await this.#lifecycle.stop(entry);
    });
  }

  /** Withdraws a version for good, stopping it first if it runs; a retired one stays as it is. */
  async retire(reference: string): Promise<PluginVersion> {
    return await this.#transition(reference, async (entry) => {
      if (entry.version.state === 'retired') return;
      if (entry.version.state === 'running') await this.#lifecycle.stop(entry);
      await this.#lifecycle.retire(entry);
    });
  }

  /**
   * Removes a stopped, failed or retired version and, if no other version shares
   * it, its module. With the last version of a name goes what its runs have
   * stored, unless that is to be kept; answers with how much that was.
   */
  async delete(reference: string, options: DeleteOptions = {}): Promise<DroppedStorage> {
    let dropped = nothingDropped;
    await this.#transition(reference, async (entry) => {
      const { state } = entry.version;
      if (state === 'running' || state === 'unloaded') {
        throw stateRefusal(entry.version, 'deleted', 'only a stopped, failed or retired version can be: stop it first');
      }
      dropped = await this.#delete(entry, options);
    });
    return dropped;
  }

  /** Drops what runs have stored that were still under way when a plugin's storage was dropped, unless it is there again. */
  dropLeftovers(plugin: string): void {
    const { storage } = this.#options;
    if (storage) this.#inBackground(() => this.#dropLeftovers(plugin, storage));
  }

  /** How a version fares; undefined unless it runs. */
  health(version: PluginVersion): PluginHealth | undefined {
    return this.#health.of(version);
  }

  /** A run of a version is under way until what it answers with is disposed of. */
  beginRun({ manifest: { name } }: PluginVersion): Disposable {
    this.#runs.begin(name);
    return { [Symbol.dispose]: () => this.#runs.end(name) };
  }

  /** Notes for its health how a run of a version ended. */
  noteRun(version: PluginVersion, facts: RunFacts): void {
    if (this.#health.noteRun(version, facts, this.#options.clock.now())) this.#reportHealth(version);
  }

  /** Notes what a version's health check failed with; undefined if it did not fail. */
  noteCheck(version: PluginVersion, failure: string | undefined): void {
    if (this.#health.noteCheck(version, failure, this.#options.clock.now())) this.#reportHealth(version);
  }

  /** "name@version" of every version that has this module. */
  referencesOf(digest: Digest): readonly string[] {
    return this.#index.ofDigest(digest).map(({ version }) => referenceOf(version));
  }

  /** Every version that runs. */
  running(): readonly PluginVersion[] {
    return [...this.#index.inOrder()].map(({ version }) => version).filter(({ state }) => state === 'running');
  }

  /** Every version as it stands now, for whoever follows the changes from here on. */
  standing(): readonly FollowedVersion[] {
    return Array.from(this.#index.inOrder(), followedOf);
  }

  /** Every version as it stands, SYNCED, and then each change until the signal aborts. Watching begins with this call. */
  watch(query: { readonly name?: string }, signal: AbortSignal): AsyncIterable<PluginChange> {
    this.#assertOpen();
    const timeMs = this.#options.clock.now();
    const versions = [...this.#index.inOrder({ name: query.name })].map(({ version }) => version);
    const existing = versions.map((version): PluginChange => {
      return { type: 'EXISTING', timeMs, version, health: this.health(version) };
    });
    return this.#watchers.watch({ name: query.name, snapshot: [...existing, { type: 'SYNCED', timeMs }], signal });
  }

  /** The version that an execution shall use: one that runs or that its first use loads. */
  resolve(reference: string): PluginVersion {
    const entry = findVersion(this.#index, reference);
    if (!entry.accepting) throw refusalToExecute(entry.version);
    return entry.version;
  }

  /** The version's module, compiled for a limit of memory; loads the version on its first use. */
  async compiled(version: PluginVersion, memoryBytes: number, signal?: AbortSignal): Promise<CompiledPlugin> {
    this.#assertOpen();
    const entry = this.#acceptingEntry(version);
    const variant = variantOf(version, memoryBytes);
    const kept = entry.version.state === 'running' ? this.#artifacts.kept(variant) : undefined;
    return kept ?? (await this.#task(() => this.#compiled(entry, variant, signal)));
  }

  /** Ends what is under way and lets go of the data directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new AbortReason('SHUTDOWN'));
    this.#watchers.endAll(abortError(this.#closing.signal));
    while (this.#tasks.size > 0) await Promise.allSettled(this.#tasks);
    await this.#rewritten[Symbol.asyncDispose]();
    await this.#store[Symbol.asyncDispose]();
  }

  #createArtifacts(): Artifacts {
    return new Artifacts({
      bounds: this.#bounds,
      compile: (variant) => this.#variants.compile(variant, this.#closing.signal),
      isUsed: (digest) => this.#index.ofDigest(digest).some(({ version }) => holdsVariants.includes(version.state)),
      released: this.#options.released,
    });
  }

  #createLifecycle(): Lifecycle {
    const { clock, log, hooks = [] } = this.#options;
    const { signal } = this.#closing;
    const builtIn = builtInHooks({
      verify: (version, signal) => this.#store.withModule(version, signal, async () => {}),
      recheck: (version, signal) => this.#recheck(version, signal),
      release: (version) => this.#artifacts.release(version.digest),
      log,
    });
    return new Lifecycle({
      hooks: new HookRunner({ hooks: [...builtIn, ...hooks], clock, log }),
      clock,
      log,
      signal,
      compile: async (version) => {
        await this.#artifacts.get(variantOf(version, ownMemoryBytes(version.manifest)), signal);
      },
      store: (version, state) => this.#store.write(version, state),
      changed: (version) => this.#moved(version),
    });
  }

  async #receive<Result>(
    request: UploadRequest,
    work: (examined: Examined, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    return await this.#task(async () => {
      using linked = linkSignals(request.signal, this.#closing.signal);
      const { signal } = linked;
      return await this.#examiner.receive({ ...request, signal }, (examined) => work(examined, signal));
    });
  }

  async #publish(
    examined: Examined & { readonly manifest: Manifest },
    signal: AbortSignal,
  ): Promise<Omit<Published, 'report'>> {
    const { upload, manifest, report, analysis } = examined;
    const existing = this.#index.find(manifest.name, manifest.version);
    if (existing) return { version: sameOrRefused(existing.version, upload), created: false };
    const { functions, otherFunctions } = report;
    const entry = await this.#transitions.run(manifest.name, signal, () =>
      this.#store.add({ upload, manifest, functions, otherFunctions }, signal),
    );
    this.#report('PUBLISHED', entry.version);
    await this.#variants.keep(variantOf(entry.version, ownMemoryBytes(manifest)), analysis);
    // From here on the caller cannot stop it: the version is there for everybody.
    await this.#lifecycle.start(entry).catch(async (error: unknown) => {
      await this.#removeUnstarted(entry);
      throw error;
    });
    return { version: entry.version, created: true };
  }

  async #removeUnstarted(entry: Entry): Promise<void> {
    try {
      await this.#remove(entry);
    } catch (error) {
      const plugin = referenceOf(entry.version);
      this.#options.log.error(
        { plugin, error },
        'A version that did not start could not be removed and stays as failed',
      );
    }
  }

  /** While the last version of a name goes with what its runs have stored, no new version of that name comes. */
  #delete(entry: Entry, options: DeleteOptions): Promise<DroppedStorage> {
    const { name } = entry.version.manifest;
    return this.#transitions.run(name, this.#closing.signal, async () => {
      await this.#remove(entry);
      if (options.keepStorage === true || this.#index.ofName(name).length > 0) return nothingDropped;
      return await this.#dropStorage(name, options.tenant ?? tenantDefault);
    });
  }

  /** Runs that are still under way may store more: that goes when the last of them has ended. */
  async #dropStorage(plugin: string, tenant: string): Promise<DroppedStorage> {
    const { storage, log } = this.#options;
    if (!storage) return nothingDropped;
    const dropped = await storage.drop(plugin);
    log.info({ plugin, tenant, ...dropped }, 'Dropped what runs of a deleted plugin had stored');
    this.#runs.atEnd(plugin, () => this.dropLeftovers(plugin));
    this.#options.changed?.({ type: 'STORAGE_DROPPED', plugin });
    return dropped;
  }

  async #dropLeftovers(plugin: string, storage: PluginStorage): Promise<void> {
    await this.#transitions.run(plugin, this.#closing.signal, async () => {
      if (this.#index.ofName(plugin).length === 0) await storage.drop(plugin);
    });
  }

  async #remove(entry: Entry): Promise<void> {
    const { digest } = entry.version;
    await this.#store.remove(entry);
    this.#artifacts.release(digest);
    if (this.#index.ofDigest(digest).length === 0) await this.#rewritten.forget(digest);
    this.#report('DELETED', entry.version);
  }

  async #transition(reference: string, work: (entry: Entry) => Promise<void>): Promise<PluginVersion> {
    return await this.#task(async () => {
      const entry = findExactVersion(this.#index, reference);
      await this.#exclusively(entry, () => work(entry));
      return entry.version;
    });
  }

  /** Runs `work` while no other transition of the version runs, unless the version is deleted before its turn comes. */
  async #exclusively(entry: Entry, work: () => Promise<void>): Promise<void> {
    await this.#transitions.run(referenceOf(entry.version), this.#closing.signal, async () => {
      if (!this.#index.has(entry)) throw deletedMeanwhile(entry.version);
      await work();
    });
  }

  async #compiled(entry: Entry, variant: Variant, caller: AbortSignal | undefined): Promise<CompiledPlugin> {
    using linked = linkSignals(this.#closing.signal, ...(caller ? [caller] : []));
    if (linked.signal.aborted) throw abortError(linked.signal);
    if (entry.version.state !== 'running') await unlessAborted(this.#loadOnUse(entry), linked.signal);
    return await this.#artifacts.get(variant, linked.signal).catch((error: unknown) => {
      if (!this.#index.has(entry)) throw deletedMeanwhile(entry.version);
      if (error instanceof ExecError && error.reason === 'PLUGIN_CORRUPT') this.#failInBackground(entry, error);
      throw error;
    });
  }

  /** One load for all executions that wait for it. */
  #loadOnUse(entry: Entry): Promise<void> {
    const load = async (): Promise<void> => {
      if (entry.version.state === 'running') return;
      if (!entry.accepting) throw refusalToExecute(entry.version);
      await this.#lifecycle.start(entry);
    };
    entry.loading ??= this.#task(() => this.#exclusively(entry, load)).finally(() => {
      entry.loading = undefined;
    });
    return entry.loading;
  }

  /** Loads the version that each name means, in the order of names, as far as the bound goes. */
  async #warmUp(): Promise<void> {
    const latest = this.#index.names.map((name) => this.#index.latest(name)).filter((entry) => entry !== undefined);
    for (const entry of latest.filter(isUnloaded).slice(0, this.#bounds.warmUpMax)) {
      if (this.#closing.signal.aborted) return;
      // A version that fails says so in its state and in the log.
      if (isUnloaded(entry)) await this.#loadOnUse(entry).catch(() => {});
    }
  }

  #failInBackground(entry: Entry, error: ExecError): void {
    this.#inBackground(() =>
      this.#exclusively(entry, async () => {
        if (entry.version.state === 'running') await this.#lifecycle.fail(entry, error);
      }),
    );
  }

  #acceptingEntry(version: PluginVersion): Entry {
    const entry = this.#index.find(version.manifest.name, version.manifest.version);
    if (!entry || entry.version.digest !== version.digest) throw deletedMeanwhile(version);
    if (!entry.accepting) throw refusalToExecute(entry.version);
    return entry;
  }

  async #recheck(version: PluginVersion, signal: AbortSignal): Promise<void> {
    const entry = this.#index.find(version.manifest.name, version.manifest.version);
    if (!entry || entry.validated) return;
    const analysis = await this.#variants.analysis(variantOf(version, ownMemoryBytes(version.manifest)), signal);
    const { report, manifest } = this.#examiner.judge(version, analysis);
    if (!manifest) throw refusalOf(report);
    if (`${manifest.name}@${manifest.version}` !== referenceOf(version)) {
      throw new ExecError('PLUGIN_CORRUPT', `The stored manifest is that of "${manifest.name}@${manifest.version}"`);
    }
    entry.validated = true;
  }

  #moved(version: PluginVersion): void {
    if (version.state === 'running') this.#health.begin(version, version.updatedMs);
    else this.#health.forget(version);
    this.#report('STATE_CHANGED', version);
  }

  #reportHealth(version: PluginVersion): void {
    const entry = this.#index.find(version.manifest.name, version.manifest.version);
    if (entry) this.#report('HEALTH_CHANGED', entry.version);
  }

  #report(type: 'PUBLISHED' | 'STATE_CHANGED' | 'HEALTH_CHANGED' | 'DELETED', version: PluginVersion): void {
    this.#watchers.report({ type, timeMs: this.#options.clock.now(), version, health: this.health(version) });
    if (type === 'DELETED') this.#options.changed?.({ type: 'GONE', version });
    else if (type !== 'HEALTH_CHANGED') this.#tell(version);
  }

  #tell(version: PluginVersion): void {
    const entry = this.#index.find(version.manifest.name, version.manifest.version);
    if (entry) this.#options.changed?.({ type: 'STANDS', ...followedOf(entry) });
  }

  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw abortError(this.#closing.signal);
  }

  async #task<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#assertOpen();
    const task = work();
    this.#tasks.add(task);
    try {
      return await task;
    } finally {
      this.#tasks.delete(task);
    }
  }

  #inBackground(work: () => Promise<void>): void {
    this.#task(work).catch((error: unknown) => {
      this.#options.log.warn({ error }, 'Background work of the plugin registry failed');
    });
  }
}

/** A version that runs accepts executions from the moment it is told to run. */
function followedOf({ version, accepting }: Entry): FollowedVersion {
  return { version, accepting: accepting || version.state === 'running' };
}

/** What the registry has on disk. */
interface Stores {
  readonly versions: VersionStore;
  readonly rewritten: RewrittenStore;
}

const nothingDropped: DroppedStorage = { keys: 0, bytes: 0 };

/** States in which a version has a use for compiled variants of its module. */
const holdsVariants: readonly string[] = ['loading', 'loaded', 'starting', 'running'];

function isUnloaded(entry: Entry): boolean {
  return entry.version.state === 'unloaded' && entry.accepting;
}

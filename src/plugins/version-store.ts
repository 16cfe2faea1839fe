/**
 * The versions that there are, in memory and on disk alike: adds and removes
 * them in an order that leaves no half version behind whenever the server dies,
 * and reads their modules. Knows nothing of who may do what in which state.
 */

import type { Clock } from '../base/clock.ts';
import type { Digest } from '../base/digest.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Log } from '../model/log.ts';
import type { Manifest } from '../model/manifest.ts';
import { type PluginVersion, referenceOf } from '../model/plugin.ts';
import type { PluginBounds } from './bounds.ts';
import { PluginFiles } from './files.ts';
import { Gate } from './gate.ts';
import { entryOf, storedOf } from './restoring.ts';
import type { Upload } from './upload.ts';
import { type Entry, type StoredState, VersionIndex } from './version-index.ts';

export interface VersionStoreOptions {
  readonly dataDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly bounds: Pick<
    PluginBounds,
    'versionsMax' | 'manifestBytesMax' | 'transitionsWaitingMax' | 'modulesReadMax' | 'modulesWaitingMax'
  >;
}

/** What a new version is made of. */
export interface NewVersion {
  readonly upload: Upload;
  readonly manifest: Manifest;
  readonly functions: readonly string[];
  readonly otherFunctions: readonly string[];
}

export class VersionStore implements AsyncDisposable {
  /** Changed by the store alone; entries change in it. */
  readonly index: VersionIndex;
  readonly #options: VersionStoreOptions;
  readonly #files: PluginFiles;
  /** Versions come and go on disk one after another, so that a module is never deleted under a new version that shares it. */
  readonly #writing: Gate;
  readonly #reading: Gate;

  private constructor(options: VersionStoreOptions, files: PluginFiles, index: VersionIndex) {
    const { modulesReadMax, modulesWaitingMax, transitionsWaitingMax } = options.bounds;
    this.#options = options;
    this.#files = files;
    this.index = index;
    this.#writing = new Gate({ holdersMax: 1, waitersMax: transitionsWaitingMax, subject: 'the data directory' });
    this.#reading = new Gate({ holdersMax: modulesReadMax, waitersMax: modulesWaitingMax, subject: 'a stored module' });
  }

  static async open(options: VersionStoreOptions): Promise<VersionStore> {
    const { files, records } = await PluginFiles.open(options.dataDirectory, options.log);
    await using stack = new AsyncDisposableStack();
    stack.use(files);
    const index = new VersionIndex();
    for (const record of records) index.add(entryOf(record));
    options.log.info({ versions: index.size }, 'Plugin versions read');
    const store = new VersionStore(options, files, index);
    stack.move();
    return store;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files[Symbol.asyncDispose]();
  }

  /** Adds a version that is not there yet; it is on disk then, unloaded and not accepting executions. */
  async add(created: NewVersion, signal: AbortSignal): Promise<Entry> {
    return await this.#writing.run(signal, async () => {
      this.#checkRoom(created.upload.manifestText);
      const version = this.#versionOf(created);
      await this.#write(version, created.upload.bytes);
      const entry: Entry = { version, accepting: false, stored: 'running', validated: true, loading: undefined };
      this.index.add(entry);
      return entry;
    });
  }

  /** Removes a version and, if no other one shares it, its module. Goes on to its end once it has begun. */
  async remove(entry: Entry): Promise<void> {
    const { manifest, digest } = entry.version;
    await this.#writing.run(never, async () => {
      await this.#files.deleteRecord(manifest.name, manifest.version);
      entry.accepting = false;
      this.index.delete(entry);
      // The version is gone with its record: a module that stays behind is swept away when the store is opened again.
      await this.#deleteUnsharedModule(digest).catch(() => {});
    });
    this.#options.log.info({ plugin: referenceOf(entry.version) }, 'Plugin deleted');
  }

  /** Writes a version's record so that it comes back in `state`. */
  async write(version: PluginVersion, state: StoredState): Promise<void> {
    const { name, version: number } = version.manifest;
    await this.#files.writeRecord(name, number, storedOf(version, state));
  }

  /** Reads a module, verifies it and hands it to `work`; a bounded number is in memory at once. */
  async withModule<Result>(
    module: { readonly digest: Digest; readonly sizeBytes: number },
    signal: AbortSignal,
    work: (bytes: Uint8Array) => Promise<Result>,
  ): Promise<Result> {
    return await this.#reading.run(
      signal,
      async () => await work(await this.#files.readModule(module.digest, module.sizeBytes)),
    );
  }

  #checkRoom(manifestText: string): void {
    const { versionsMax, manifestBytesMax } = this.#options.bounds;
    if (this.index.size >= versionsMax) {
      throw new ExecError(
        'PLUGINS_FULL',
        `${versionsMax} versions are stored, the maximum of this server: delete some first`,
      );
    }
    if (this.index.manifestBytes + Buffer.byteLength(manifestText) > manifestBytesMax) {
      const text = `The manifests of all versions would have more than ${manifestBytesMax} bytes: delete versions first`;
      throw new ExecError('PLUGINS_FULL', text);
    }
  }

  #versionOf({ upload, manifest, functions, otherFunctions }: NewVersion): PluginVersion {
    const { manifestText, digest, bytes } = upload;
    const nowMs = this.#options.clock.now();
    const facts = { manifest, manifestText, digest, sizeBytes: bytes.length, functions, otherFunctions };
    return { ...facts, state: 'unloaded', failure: '', createdMs: nowMs, updatedMs: nowMs };
  }

  async #write(version: PluginVersion, bytes: Uint8Array): Promise<void> {
    const { manifest, digest } = version;
    try {
      await this.#files.writeModule(digest, bytes);
      await this.write(version, 'running');
    } catch (error) {
      await this.#files.deleteRecord(manifest.name, manifest.version).catch(() => {});
      await this.#deleteUnsharedModule(digest).catch(() => {});
      throw error;
    }
  }

  async #deleteUnsharedModule(digest: Digest): Promise<void> {
    if (this.index.ofDigest(digest).length === 0) await this.#files.deleteModule(digest);
  }
}

/** For work that is not to be given up once it has begun. */
const never = new AbortController().signal;

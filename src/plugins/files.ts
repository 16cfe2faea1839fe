/**
 * The registry's files below the data directory:
 *   plugins/modules/<hex>.wasm              modules by their SHA-256
 *   plugins/versions/<name>/<version>.json  one record for each version
 * Writes are atomic and on disk when they return. Knows nothing of states.
 */

import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Digest } from '../base/digest.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Log } from '../model/log.ts';
import { DirectoryLock } from './directory-lock.ts';
import { nameRefusal, versionRefusal } from './manifest-schema.ts';
import { decodeRecord, encodeRecord, type StoredVersion } from './record.ts';

/** A record as it was found, with the name and version that its path gives. */
export interface FoundRecord {
  readonly name: string;
  readonly version: string;
  readonly stored: StoredVersion;
}

const tempForm = /^\.[0-9a-f-]{16,36}\.tmp$/;
const moduleForm = /^[0-9a-f]{64}\.wasm$/;
const recordSuffix = '.json';
const damagedSuffix = '.damaged';
const readBytes = 1_048_576;
const fileMode = 0o600;
const directoryMode = 0o700;

export class PluginFiles implements AsyncDisposable {
  readonly #modules: string;
  readonly #versions: string;
  readonly #log: Log;
  readonly #lock: DirectoryLock | undefined;

  private constructor(directory: string, lock: DirectoryLock | undefined, log: Log) {
    this.#modules = join(directory, 'modules');
    this.#versions = join(directory, 'versions');
    this.#lock = lock;
    this.#log = log;
  }

  /** Makes and locks the directories and removes what an interrupted write left behind. */
  static async open(dataDirectory: string, log: Log): Promise<{ files: PluginFiles; records: readonly FoundRecord[] }> {
    const directory = join(dataDirectory, 'plugins');
    const message = `The data directory "${dataDirectory}" cannot be used`;
    return await storing({ log, doing: `open "${directory}"`, message }, async () => {
      await makeDirectories(dataDirectory, directory);
      const lock = await DirectoryLock.take(directory);
      try {
        const files = new PluginFiles(directory, lock, log);
        return { files, records: await files.#sweepAndRead(directory) };
      } catch (error) {
        await lock[Symbol.asyncDispose]();
        throw error;
      }
    });
  }

  /** The files of a directory that another process has locked: for reading modules only. */
  static ofAnother(dataDirectory: string, log: Log): Pick<PluginFiles, 'readModule'> {
    return new PluginFiles(join(dataDirectory, 'plugins'), undefined, log);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock?.[Symbol.asyncDispose]();
  }

  /** Writes a module, over one of the same digest if there is one: so publishing again mends a corrupt file. */
  async writeModule(digest: Digest, bytes: Uint8Array): Promise<void> {
    const path = this.#modulePath(digest);
    await this.#storing(`write ${path}`, () => writeDurably(path, bytes));
  }

  /** The module, its digest verified; throws PLUGIN_CORRUPT if it is not what was published. */
  async readModule(digest: Digest, sizeBytes: number): Promise<Uint8Array> {
    const path = this.#modulePath(digest);
    const read = await this.#storing(`read ${path}`, () => readHashed(path, sizeBytes));
    if (read?.digest === digest) return read.bytes;
    this.#log.error({ path, digest }, 'A stored module is corrupt');
    const what = read === undefined ? 'is missing or has another size' : `has the digest "${read.digest}"`;
    throw new ExecError(
      'PLUGIN_CORRUPT',
      `The stored module "${digest}" ${what}: delete its versions and publish them again`,
    );
  }

  async deleteModule(digest: Digest): Promise<void> {
    const path = this.#modulePath(digest);
    await this.#storing(`delete ${path}`, () => deleteDurably(path));
  }

  async writeRecord(name: string, version: string, stored: StoredVersion): Promise<void> {
    const path = this.#recordPath(name, version);
    await this.#storing(`write ${path}`, async () => {
      const made = await mkdir(dirname(path), { recursive: true, mode: directoryMode });
      if (made !== undefined) await syncDirectory(this.#versions);
      await writeDurably(path, encodeRecord(stored));
    });
  }

  async deleteRecord(name: string, version: string): Promise<void> {
    const path = this.#recordPath(name, version);
    await this.#storing(`delete ${path}`, async () => {
      await deleteDurably(path);
      // Fails if other versions are there, which is as good.
      await rmdir(dirname(path)).catch(() => {});
    });
  }

  #modulePath(digest: Digest): string {
    return join(this.#modules, `${digest.slice('sha256:'.length)}.wasm`);
  }

  #recordPath(name: string, version: string): string {
    return join(this.#versions, name, `${version}${recordSuffix}`);
  }

  async #storing<Result>(doing: string, work: () => Promise<Result>): Promise<Result> {
    return await storing(
      { log: this.#log, doing, message: 'The server cannot use its data directory: see its log' },
      work,
    );
  }

  async #sweepAndRead(directory: string): Promise<readonly FoundRecord[]> {
    await this.#sweepTemporary(directory);
    await this.#sweepTemporary(this.#modules);
    const records: FoundRecord[] = [];
    const digests = new Set<string>();
    for (const entry of await readdir(this.#versions, { withFileTypes: true })) {
      if (entry.isDirectory() && nameRefusal(entry.name) === undefined)
        await this.#readName(entry.name, { records, digests });
      else
        this.#log.warn({ path: join(this.#versions, entry.name) }, 'Left alone what is not the directory of a plugin');
    }
    for (const { stored } of records) digests.add(stored.digest);
    await this.#sweepOrphans(digests);
    return records;
  }

  async #sweepTemporary(directory: string): Promise<void> {
    for (const name of await readdir(directory)) {
      if (!tempForm.test(name)) continue;
      await rm(join(directory, name), { force: true });
      this.#log.info({ path: join(directory, name) }, 'Removed the file of an interrupted write');
    }
  }

  async #readName(
    name: string,
    found: { readonly records: FoundRecord[]; readonly digests: Set<string> },
  ): Promise<void> {
    const directory = join(this.#versions, name);
    await this.#sweepTemporary(directory);
    for (const file of await readdir(directory)) {
      const path = join(directory, file);
      if (file.endsWith(damagedSuffix)) await keepDigests(path, found.digests);
      else if (file.endsWith(recordSuffix)) {
        const record = await this.#readRecord(path, { name, version: file.slice(0, -recordSuffix.length) });
        if (record) found.records.push(record);
        else await keepDigests(`${path}${damagedSuffix}`, found.digests);
      }
    }
  }

  /** Undefined if the record is damaged; it is set aside then. */
  async #readRecord(
    path: string,
    named: { readonly name: string; readonly version: string },
  ): Promise<FoundRecord | undefined> {
    try {
      const refusal = versionRefusal(named.version);
      if (refusal !== undefined) throw new Error(`the version in its name ${refusal}`);
      return { ...named, stored: decodeRecord(await readFile(path, 'utf8')) };
    } catch (error) {
      if (isSystemError(error)) throw error;
      this.#log.error({ path, error }, 'Set a damaged record aside');
      await rename(path, `${path}${damagedSuffix}`);
      return undefined;
    }
  }

  async #sweepOrphans(digests: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#modules)) {
      if (!moduleForm.test(name) || digests.has(`sha256:${name.slice(0, 64)}`)) continue;
      await rm(join(this.#modules, name), { force: true });
      this.#log.info({ path: join(this.#modules, name) }, 'Removed a module without a version');
    }
  }
}

async function makeDirectories(dataDirectory: string, directory: string): Promise<void> {
  for (const child of ['modules', 'versions']) {
    await mkdir(join(directory, child), { recursive: true, mode: directoryMode });
  }
  for (const changed of [directory, dataDirectory]) await syncDirectory(changed);
}

/** Digests in a damaged record: their modules are kept, so that the record can be mended by hand. */
async function keepDigests(path: string, digests: Set<string>): Promise<void> {
  const text = await readFile(path, 'latin1');
  for (const [digest] of text.matchAll(/sha256:[0-9a-f]{64}/g)) digests.add(digest);
}

/** The file with its digest; undefined if it is not there or has another size. Hashes in pieces, so that the thread is not held up. */
async function readHashed(path: string, sizeBytes: number): Promise<{ bytes: Uint8Array; digest: string } | undefined> {
  try {
    await using file = await open(path, 'r');
    if ((await file.stat()).size !== sizeBytes) return undefined;
    const bytes = new Uint8Array(sizeBytes);
    const hash = createHash('sha256');
    for (let at = 0; at < sizeBytes; ) {
      const { bytesRead } = await file.read(bytes, at, Math.min(readBytes, sizeBytes - at), at);
      if (bytesRead === 0) return undefined;
      hash.update(bytes.subarray(at, at + bytesRead));
      at += bytesRead;
    }
    return { bytes, digest: `sha256:${hash.digest('hex')}` };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Writes a file so that, whatever happens, either the old one or the whole new one is there; on disk when it returns. */
async function writeDurably(path: string, data: Uint8Array | string): Promise<void> {
  const temporary = join(dirname(path), `.${randomBytes(8).toString('hex')}.tmp`);
  try {
    await writeSynced(temporary, data);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  await syncDirectory(dirname(path));
}

async function writeSynced(path: string, data: Uint8Array | string): Promise<void> {
  await using file = await open(path, 'wx', fileMode);
  await file.writeFile(data);
  await file.sync();
}

async function deleteDurably(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncDirectory(dirname(path)).catch((error: NodeJS.ErrnoException) => {
    // The directory is gone, and the file with it.
    if (error.code !== 'ENOENT') throw error;
  });
}

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}

interface Storing {
  readonly log: Log;
  /** What is being done, for the log. */
  readonly doing: string;
  /** What the caller is told. */
  readonly message: string;
}

/** Turns a system's refusal into STORAGE_FAILED with a line in the log. */
async function storing<Result>(context: Storing, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!isSystemError(error)) throw error;
    context.log.error({ error, code: error.code }, `Cannot ${context.doing}`);
    throw new ExecError('STORAGE_FAILED', `${context.message} (${error.code})`, { cause: error });
  }
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException & { readonly code: string } {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string';
}

/**
 * What analysis made of modules, kept in files so that it is made once:
 *   plugins/rewritten/<hex>   by module, limit of memory, and whatever else decides
 * A cache: what is damaged, cannot be read or cannot be written is made again by
 * whoever asks, and is never an error for the caller. The files used last are
 * kept. The data directory must be locked.
 */

import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import type { Digest } from '../base/digest.ts';
import type { Log } from '../model/log.ts';
import type { PluginBounds } from './bounds.ts';
import { Gate } from './gate.ts';
import {
  decodeRewritten,
  digestInHead,
  encodeRewritten,
  rewrittenChecksumBytes,
  rewrittenHeadBytes,
  type SoundAnalysis,
} from './rewritten-file.ts';

/** A module under a limit of memory. */
export interface RewrittenOf {
  readonly digest: Digest;
  readonly memoryBytes: number;
}

export interface RewrittenStoreOptions {
  readonly dataDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly bounds: Pick<PluginBounds, 'rewrittenFilesMax' | 'rewrittenBytesMax' | 'rewrittenWaitingMax'>;
  /** What decides, beside module and limit, what a module becomes; what another identity made is not found. */
  readonly identity: string;
  /** Whether there is a version with the module. Files of other modules go. */
  readonly isStored: (digest: Digest) => boolean;
}

interface KeptFile {
  readonly digest: Digest;
  readonly bytes: number;
}

interface FoundFile extends KeptFile {
  readonly name: string;
  readonly usedMs: number;
}

const fileForm = /^[0-9a-f]{64}$/;
const temporaryForm = /^\.[0-9a-f]{16}\.tmp$/;
const fileMode = 0o600;
const directoryMode = 0o700;
const pieceBytes = 1_048_576;

export class RewrittenStore implements AsyncDisposable {
  readonly #options: RewrittenStoreOptions;
  readonly #directory: string;
  /** By name, used longest ago first. */
  readonly #files = new Map<string, KeptFile>();
  /** Files come and go one after another. */
  readonly #changing: Gate;
  #bytes = 0;
  #isClosed = false;

  private constructor(options: RewrittenStoreOptions) {
    this.#options = options;
    this.#directory = rewrittenDirectory(options.dataDirectory);
    const waitersMax = options.bounds.rewrittenWaitingMax;
    this.#changing = new Gate({ holdersMax: 1, waitersMax, subject: 'the rewritten modules' });
  }

  /** Finds the files there are and removes those that nobody will ask for, interrupted ones included. */
  static async open(options: RewrittenStoreOptions): Promise<RewrittenStore> {
    const store = new RewrittenStore(options);
    await store.#attempt('open', async () => {
      await mkdir(store.#directory, { recursive: true, mode: directoryMode });
      await store.#findFiles();
      await store.#evict();
    });
    return store;
  }

  /** Waits for what is being written; writes nothing more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    await this.#attempt('close', () => this.#changing.run(never, async () => {}));
  }

  /** Files that are kept and their bytes. */
  get size(): { readonly files: number; readonly bytes: number } {
    return { files: this.#files.size, bytes: this.#bytes };
  }

  /** What was written for the module; undefined if nothing is there that can be used. */
  async read(of: RewrittenOf): Promise<SoundAnalysis | undefined> {
    const name = this.#nameOf(of);
    const kept = this.#files.get(name);
    if (kept === undefined) return undefined;
    return await this.#attempt('read', async () => {
      const analysis = await this.#readFile(of, name, kept);
      if (analysis === undefined) await this.#dropDamaged(name);
      else await this.#touch(name, kept);
      return analysis;
    });
  }

  /** Keeps an analysis, on disk when it resolves, unless it is too large or no version has the module any more. */
  async write(of: RewrittenOf, analysis: SoundAnalysis): Promise<void> {
    const name = this.#nameOf(of);
    await this.#attempt('write', async () => {
      const parts = encodeRewritten({ digest: of.digest, key: name }, analysis);
      const bytes = parts?.reduce((sum, part) => sum + part.length, rewrittenChecksumBytes) ?? 0;
      if (parts === undefined || bytes > this.#options.bounds.rewrittenBytesMax) {
        this.#options.log.info({ digest: of.digest, bytes }, 'A rewritten module is too large to be kept');
        return;
      }
      await this.#changing.run(never, async () => {
        if (this.#isClosed || !this.#options.isStored(of.digest)) return;
        await this.#writeFile(name, parts);
        this.#note(name, { digest: of.digest, bytes });
        await this.#evict();
      });
    });
  }

  /** Removes the files of a module. */
  async forget(digest: Digest): Promise<void> {
    await this.#attempt('remove', () =>
      this.#changing.run(never, async () => {
        for (const [name, file] of [...this.#files]) if (file.digest === digest) await this.#remove(name);
      }),
    );
  }

  #nameOf(of: RewrittenOf): string {
    return rewrittenName(of, this.#options.identity);
  }

  #pathOf(name: string): string {
    return join(this.#directory, name);
  }

  async #readFile({ digest }: RewrittenOf, name: string, { bytes }: KeptFile): Promise<SoundAnalysis | undefined> {
    const content = await readChecked(this.#pathOf(name), bytes);
    return content && decodeRewritten({ digest, key: name }, content);
  }

  async #findFiles(): Promise<void> {
    const found: FoundFile[] = [];
    for (const entry of await readdir(this.#directory, { withFileTypes: true })) {
      if (!entry.isFile() || !(fileForm.test(entry.name) || temporaryForm.test(entry.name))) continue;
      const file = await this.#attempt('look at', () => this.#findFile(entry.name));
      if (file) found.push(file);
    }
    for (const file of found.sort((a, b) => a.usedMs - b.usedMs)) this.#note(file.name, file);
  }

  /** Undefined if nobody will ask for it; it is removed then. */
  async #findFile(name: string): Promise<FoundFile | undefined> {
    const path = this.#pathOf(name);
    const digest = temporaryForm.test(name) ? undefined : await digestOfFile(path);
    if (digest === undefined || !this.#options.isStored(digest)) {
      await rm(path, { force: true });
      this.#options.log.info(
        { path },
        'Removed a rewritten module that was not whole, of another release, or of no version',
      );
      return undefined;
    }
    const { size, mtimeMs } = await stat(path);
    return { name, usedMs: mtimeMs, digest, bytes: size };
  }

  #note(name: string, file: KeptFile): void {
    this.#unnote(name);
    this.#files.set(name, file);
    this.#bytes += file.bytes;
  }

  #unnote(name: string): void {
    this.#bytes -= this.#files.get(name)?.bytes ?? 0;
    this.#files.delete(name);
  }

  /** Makes it the file used last, for the time after a restart as well. */
  async #touch(name: string, file: KeptFile): Promise<void> {
    if (!this.#files.has(name)) return;
    this.#note(name, file);
    const seconds = this.#options.clock.now() / 1_000;
    await utimes(this.#pathOf(name), seconds, seconds);
  }

  async #evict(): Promise<void> {
    const { rewrittenFilesMax, rewrittenBytesMax } = this.#options.bounds;
    for (const name of [...this.#files.keys()]) {
      if (this.#files.size <= rewrittenFilesMax && this.#bytes <= rewrittenBytesMax) return;
      await this.#remove(name);
    }
  }

  async #remove(name: string): Promise<void> {
    this.#unnote(name);
    await rm(this.#pathOf(name), { force: true });
  }

  async #dropDamaged(name: string): Promise<void> {
    this.#options.log.warn({ path: this.#pathOf(name) }, 'A rewritten module is missing or damaged and is made again');
    await this.#remove(name);
  }

  /** Under another name until it is whole and on disk. */
  async #writeFile(name: string, parts: readonly Uint8Array[]): Promise<void> {
    const temporary = this.#pathOf(`.${randomBytes(8).toString('hex')}.tmp`);
    try {
      await writeChecked(temporary, parts);
      await rename(temporary, this.#pathOf(name));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw error;
    }
    await using directory = await open(this.#directory, 'r');
    await directory.sync();
  }

  /** What `work` resolves with; undefined, with a line in the log, if it fails. */
  async #attempt<Result>(doing: string, work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#options.log.warn({ error, directory: this.#directory }, `Cannot ${doing} rewritten modules`);
      return undefined;
    }
  }
}

/** Where the files stand. */
export function rewrittenDirectory(dataDirectory: string): string {
  return join(dataDirectory, 'plugins', 'rewritten');
}

/** The name of a file, which is also its key. */
export function rewrittenName({ digest, memoryBytes }: RewrittenOf, identity: string): string {
  return createHash('sha256')
    .update(JSON.stringify([digest, memoryBytes, identity]))
    .digest('hex');
}

/** For work that is not given up once it has begun. */
const never = new AbortController().signal;

async function digestOfFile(path: string): Promise<Digest | undefined> {
  await using file = await open(path, 'r');
  const head = new Uint8Array(rewrittenHeadBytes);
  const { bytesRead } = await file.read(head, 0, head.length, 0);
  return digestInHead(head.subarray(0, bytesRead));
}

/** Writes the parts and their checksum, in pieces, so that the thread is not held up; on disk when it resolves. */
async function writeChecked(path: string, parts: readonly Uint8Array[]): Promise<void> {
  await using file = await open(path, 'wx', fileMode);
  const hash = createHash('sha256');
  for (const part of parts) {
    for (let at = 0; at < part.length; at += pieceBytes) {
      const piece = part.subarray(at, at + pieceBytes);
      hash.update(piece);
      await file.writeFile(piece);
    }
  }
  await file.writeFile(hash.digest());
  await file.sync();
}

/** The content before the checksum; undefined if the checksum does not fit, the size is not the expected one, or there is no file. */
export async function readChecked(path: string, sizeBytesExpected?: number): Promise<Uint8Array | undefined> {
  await using file = await openIfThere(path);
  if (file === undefined) return undefined;
  const sizeBytes = (await file.stat()).size;
  if (sizeBytes !== (sizeBytesExpected ?? sizeBytes) || sizeBytes < rewrittenChecksumBytes) return undefined;
  const content = new Uint8Array(sizeBytes);
  const hash = createHash('sha256');
  const end = sizeBytes - rewrittenChecksumBytes;
  for (let at = 0; at < end; at += pieceBytes) {
    const piece = content.subarray(at, Math.min(at + pieceBytes, end));
    if (!(await fill(file, piece, at))) return undefined;
    hash.update(piece);
  }
  const checksum = content.subarray(end);
  if (!(await fill(file, checksum, end)) || !hash.digest().equals(checksum)) return undefined;
  return content.subarray(0, end);
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Reads as many bytes as there is room for; false if the file ends before. */
async function fill(file: FileHandle, bytes: Uint8Array, position: number): Promise<boolean> {
  for (let filled = 0; filled < bytes.length; ) {
    const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, position + filled);
    if (bytesRead === 0) return false;
    filled += bytesRead;
  }
  return true;
}

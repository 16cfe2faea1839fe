/**
 * Folders of the operator, read on behalf of runs. A path is followed once, then
 * opened without following a last link, and where the opened file really is decides:
 * nothing outside of the folder is read, whatever links there are and however they
 * change meanwhile. What lies outside is not found, as if there were nothing.
 */

import { type BigIntStats, constants } from 'node:fs';
import { type FileHandle, lstat, open, opendir, readlink, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { HostAnswer, OperationName } from '../../model/operation.ts';
import {
  fileKinds,
  type MountEntry,
  mountCodes,
  mountOperations,
  type MountRequest,
  readMountRequest,
  writeMountEntries,
  writeMountStat,
} from '../wasi/outside.ts';
import { deniedAnswer, quoted, type RulesOf } from './denied.ts';
import type { AskingRun, HostService } from './service.ts';
import { untilStopped } from './until-stopped.ts';

/** Bytes that one request reads. */
export const mountReadBytesMax = 1_048_576;
/** Entries that a directory may have to be listed. */
export const mountEntriesMax = 10_000;

const pathBytesMax = 4_096;
/** Non-blocking, so that opening a pipe waits for nobody. */
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** What Node puts where a name is no UTF-8. Such a file cannot be asked for, so it is not shown. */
const unreadableMark = '\ufffd';

const nothing = new Uint8Array();

const linuxDescriptorsFolder = '/proc/self/fd';

type MountCode = keyof typeof mountCodes;

const codesOfErrors: Readonly<Record<string, MountCode>> = {
  ENOENT: 'notFound',
  ELOOP: 'notFound',
  ENAMETOOLONG: 'notFound',
  EINVAL: 'notFound',
  ENXIO: 'notFound',
  ENOTDIR: 'notFolder',
  EISDIR: 'isFolder',
  EACCES: 'accessDenied',
  EPERM: 'accessDenied',
};

/** Something opened inside a mount. */
interface Opened {
  readonly handle: FileHandle;
  readonly kind: number;
  readonly sizeBytes: number;
  readonly changedNs: bigint;
  /** A path to it that cannot be led elsewhere, where the system has one. */
  readonly path: string;
}

export interface MountServiceOptions {
  /** For the text of a denial; default none. */
  readonly rulesOf?: RulesOf;
  /** Entries that a directory may have to be listed; default mountEntriesMax. */
  readonly entriesMax?: number;
  /** Where the system tells what a descriptor stands for; what it does not tell is found out in another way. */
  readonly descriptorsFolder?: string;
}

export class MountService implements HostService {
  readonly #folders: ReadonlyMap<string, string>;
  readonly #options: Required<MountServiceOptions>;

  /** Host directories by the names that the policy knows them by. */
  constructor(folders: ReadonlyMap<string, string>, options: MountServiceOptions = {}) {
    this.#folders = folders;
    const defaults = { rulesOf: () => [], entriesMax: mountEntriesMax, descriptorsFolder: linuxDescriptorsFolder };
    this.#options = { ...defaults, ...options };
  }

  answer(operation: OperationName, request: Uint8Array, run: AskingRun): Promise<HostAnswer> {
    return untilStopped(run.signal, () => this.#answer(operation, request, run));
  }

  async #answer(operation: OperationName, bytes: Uint8Array, run: AskingRun): Promise<HostAnswer> {
    if (operation !== 'wasi.mount') throw new TypeError(`"${operation}" is no operation of mounts`);
    const request = readMountRequest(bytes);
    const { mount } = request;
    const isGranted = run.grant.wasi.mounts.some(({ name }) => name === mount);
    const folder = this.#folders.get(mount);
    if (!isGranted || folder === undefined) return this.#denied(mount, run);
    if (!isPlain(request.path)) return coded('notFound');
    try {
      return await this.#within(folder, request);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      return coded(codesOfErrors[error.code ?? ''] ?? 'failed');
    }
  }

  #denied(mount: string, { grant }: AskingRun): HostAnswer {
    const refused = {
      capability: 'wasi',
      wish: `read the folder ${quoted(mount)}`,
      manifestLine: `"/path/in/the/guest": ${quoted(mount)} in "mounts"`,
      policyLine: `${quoted(mount)}: "/folder/of/the/host" in "mounts"`,
    } as const;
    return deniedAnswer(grant, refused, this.#options.rulesOf(grant));
  }

  async #within(folder: string, request: MountRequest): Promise<HostAnswer> {
    const root = await realpath(folder);
    const path = await realpath(join(root, request.path));
    if (!isInside(root, path)) return coded('notFound');
    const handle = await open(path, openFlags);
    try {
      const opened = await this.#look(handle, root, path);
      return opened === undefined ? coded('notFound') : await this.#answerFrom(opened, request);
    } finally {
      await handle.close();
    }
  }

  /** What was opened; undefined if it is not inside, or neither a file nor a directory. */
  async #look(handle: FileHandle, root: string, path: string): Promise<Opened | undefined> {
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile() && !stats.isDirectory()) return undefined;
    const link = join(this.#options.descriptorsFolder, String(handle.fd));
    const told = await readlink(link).catch(() => undefined);
    const place = told ?? (await placeNow(path, stats));
    if (place === undefined || !isInside(root, place)) return undefined;
    return {
      handle,
      kind: stats.isDirectory() ? fileKinds.folder : fileKinds.file,
      sizeBytes: stats.isDirectory() ? 0 : Number(stats.size),
      changedNs: stats.mtimeNs > 0n ? stats.mtimeNs : 0n,
      path: told === undefined ? path : link,
    };
  }

  #answerFrom(opened: Opened, request: MountRequest): Promise<HostAnswer> {
    switch (request.operation) {
      case mountOperations.stat:
        return Promise.resolve({ code: mountCodes.ok, payload: writeMountStat(opened) });
      case mountOperations.list:
        if (opened.kind !== fileKinds.folder) return Promise.resolve(coded('notFolder'));
        return listed(opened, this.#options.entriesMax);
      case mountOperations.read:
        return opened.kind === fileKinds.file ? bytesRead(opened, request) : Promise.resolve(coded('isFolder'));
      default:
        throw new TypeError(`${request.operation} is no operation of a mount`);
    }
  }
}

/** Where a path leads now, if that is what was opened: for systems that do not tell where a descriptor leads. */
async function placeNow(path: string, opened: BigIntStats): Promise<string | undefined> {
  const place = await realpath(path);
  const { dev, ino } = await lstat(place, { bigint: true });
  return dev === opened.dev && ino === opened.ino ? place : undefined;
}

/** Entries by name. Links are of unknown kind until they are looked at; pipes, sockets and devices are left out. */
async function listed({ path }: Opened, entriesMax: number): Promise<HostAnswer> {
  const entries: MountEntry[] = [];
  for await (const entry of await opendir(path)) {
    if (entry.name.includes(unreadableMark)) continue;
    const kind = kindOf(entry);
    if (kind === undefined) continue;
    if (entries.length >= entriesMax) return coded('tooManyEntries');
    entries.push({ name: entry.name, kind });
  }
  entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  return { code: mountCodes.ok, payload: writeMountEntries(entries) };
}

interface Kinds {
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
}

function kindOf(entry: Kinds): number | undefined {
  if (entry.isFile()) return fileKinds.file;
  if (entry.isDirectory()) return fileKinds.folder;
  return entry.isSymbolicLink() ? fileKinds.unknown : undefined;
}

async function bytesRead({ handle, sizeBytes }: Opened, { offset, length }: MountRequest): Promise<HostAnswer> {
  const wanted = Math.max(0, Math.min(length, mountReadBytesMax, sizeBytes - offset));
  const bytes = new Uint8Array(wanted);
  let filled = 0;
  while (filled < wanted) {
    const { bytesRead: more } = await handle.read(bytes, filled, wanted - filled, offset + filled);
    if (more === 0) break;
    filled += more;
  }
  return { code: mountCodes.ok, payload: filled === wanted ? bytes : bytes.slice(0, filled) };
}

/** Whether a path is relative and has nothing in it but names. */
function isPlain(path: string): boolean {
  if (path === '') return true;
  if (Buffer.byteLength(path) > pathBytesMax || path.includes('\0')) return false;
  return path.split(/[/\\]/).every((name) => name !== '' && name !== '.' && name !== '..');
}

function isInside(root: string, path: string): boolean {
  return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
}

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'syscall' in error;
}

function coded(code: MountCode): HostAnswer {
  return { code: mountCodes[code], payload: nothing };
}

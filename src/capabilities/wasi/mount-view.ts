/**
 * A folder of the operator as one call sees it: asked for piece by piece, and kept,
 * so that nothing that was read once changes or is asked for again. What is kept is
 * bounded for all mounts of the call together.
 */

import { wasi } from '@bjorn3/browser_wasi_shim';
import type { CallContext } from '../call-context.ts';
import {
  askMount,
  fileKinds,
  mountCodes,
  mountOperations,
  type MountEntry,
  type MountStat,
  readMountEntries,
  readMountStat,
} from './outside.ts';
import { pathBytesMax } from './paths.ts';
import type { Quota } from './quota.ts';
import { refuse } from './refusal.ts';
import type { Volume } from './volume.ts';

/** Bytes of a file asked for at once. */
export const mountPieceBytes = 262_144;
/** Charged for each request: the main thread follows a path, opens and looks. */
const askedBytes = 262_144;
/** What keeping an entry or an answer takes beside its text. */
const keptOverheadBytes = 512;

/** What is known of a path: a file or directory, or that there is nothing. */
export interface Found {
  readonly inode: bigint;
  readonly stat: MountStat;
}

export interface MountViewOptions {
  readonly call: CallContext;
  readonly volume: Volume;
  /** The policy's name of the folder. */
  readonly name: string;
  /** Number of the device that the folder shows as. */
  readonly device: bigint;
  /** Bytes that the mounts of the call may keep. */
  readonly kept: Quota;
}

const errnos = new Map<number, number>([
  [mountCodes.notFound, wasi.ERRNO_NOENT],
  [mountCodes.notFolder, wasi.ERRNO_NOTDIR],
  [mountCodes.isFolder, wasi.ERRNO_ISDIR],
  [mountCodes.accessDenied, wasi.ERRNO_ACCES],
  [mountCodes.tooManyEntries, wasi.ERRNO_OVERFLOW],
]);

export class MountView {
  readonly device: bigint;
  readonly #options: MountViewOptions;
  readonly #found = new Map<string, Found | undefined>();
  readonly #inodes = new Map<string, bigint>();
  /** What directories have, or the errno on which they could not be listed. */
  readonly #listings = new Map<string, readonly MountEntry[] | number>();
  readonly #pieces = new Map<string, Map<number, Uint8Array>>();

  constructor(options: MountViewOptions) {
    this.device = options.device;
    this.#options = options;
  }

  /** Paths are plain and relative; empty for the folder itself. Undefined if there is nothing. */
  find(path: string): Found | undefined {
    if (this.#found.has(path)) return this.#found.get(path);
    if (Buffer.byteLength(path) > pathBytesMax) refuse(wasi.ERRNO_NAMETOOLONG);
    this.#keep(textBytes(path));
    const { code, payload } = this.#ask(mountOperations.stat, path);
    if (code !== mountCodes.ok && code !== mountCodes.notFound) this.#giveUp(textBytes(path), code);
    const found = code === mountCodes.ok ? { inode: this.inodeOf(path), stat: readMountStat(payload) } : undefined;
    this.#found.set(path, found);
    return found;
  }

  /** What the directory there has, without "." and "..". */
  list(path: string): readonly MountEntry[] {
    const listing = this.#listings.get(path) ?? this.#askListing(path);
    this.#listings.set(path, listing);
    if (typeof listing === 'number') refuse(listing);
    this.#options.volume.chargeListing(listing.length);
    return listing;
  }

  /** Bytes of the file there, as many as can be had at once, at most `size`; none at its end. */
  read(path: string, offset: bigint, size: number): Uint8Array {
    const sizeBytes = this.find(path)?.stat.sizeBytes ?? 0;
    if (offset >= sizeBytes) return new Uint8Array();
    const position = Number(offset);
    const index = Math.floor(position / mountPieceBytes);
    const begin = position - index * mountPieceBytes;
    return this.#piece(path, index, sizeBytes).subarray(begin, begin + size);
  }

  /** A number that stays the same for a path while the call lasts. */
  inodeOf(path: string): bigint {
    const known = this.#inodes.get(path);
    if (known !== undefined) return known;
    const inode = this.#options.volume.nextInode();
    this.#keep(textBytes(path));
    this.#inodes.set(path, inode);
    return inode;
  }

  #piece(path: string, index: number, sizeBytes: number): Uint8Array {
    const pieces = this.#pieces.get(path) ?? new Map<number, Uint8Array>();
    const known = pieces.get(index);
    if (known) return known;
    const offset = index * mountPieceBytes;
    const length = Math.min(mountPieceBytes, sizeBytes - offset);
    this.#keep(length + keptOverheadBytes);
    const { code, payload } = this.#ask(mountOperations.read, path, { offset, length });
    if (code !== mountCodes.ok) this.#giveUp(length + keptOverheadBytes, code);
    this.#pieces.set(path, pieces.set(index, payload));
    return payload;
  }

  #ask(operation: number, path: string, range = { offset: 0, length: 0 }): { code: number; payload: Uint8Array } {
    const { call, name } = this.#options;
    call.chargeBytes(askedBytes);
    return askMount(call, { operation, mount: name, path, ...range });
  }

  /** Also what cannot be listed is asked for only once, as the answer may have taken long to make. */
  #askListing(path: string): readonly MountEntry[] | number {
    const { code, payload } = this.#ask(mountOperations.list, path);
    if (code !== mountCodes.ok) return errnoOf(code);
    this.#options.call.chargeBytes(payload.length);
    const entries = readMountEntries(payload);
    const bytes = entries.reduce((sum, { name }) => sum + textBytes(name), textBytes(path));
    return this.#options.kept.take(bytes) ? entries : wasi.ERRNO_DQUOT;
  }

  #keep(bytes: number): void {
    if (!this.#options.kept.take(bytes)) refuse(wasi.ERRNO_DQUOT);
  }

  #giveUp(keptBytes: number, code: number): never {
    this.#options.kept.give(keptBytes);
    refuse(errnoOf(code));
  }
}

function errnoOf(code: number): number {
  return errnos.get(code) ?? wasi.ERRNO_IO;
}

function textBytes(text: string): number {
  return Buffer.byteLength(text) + keptOverheadBytes;
}

/** The WASI filetype of a kind. They have the same numbers; a kind that is not known here shows as unknown. */
export function filetypeOf(kind: number): number {
  if (kind === fileKinds.folder) return wasi.FILETYPE_DIRECTORY;
  return kind === fileKinds.file ? wasi.FILETYPE_REGULAR_FILE : wasi.FILETYPE_UNKNOWN;
}

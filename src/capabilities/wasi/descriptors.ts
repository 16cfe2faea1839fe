/** The descriptors of a call: numbers, what they stand for, and how many there may be. */

import { type Fd, wasi } from '@bjorn3/browser_wasi_shim';
import type { Listed } from './records.ts';
import { refuse } from './refusal.ts';

export interface Descriptor {
  readonly handle: Fd;
  readonly filetype: number;
  rights: bigint;
  inheriting: bigint;
  /** As fd_fdstat_set_flags sets them. */
  flags: number;
  /** Name of a preopened directory; undefined for everything else. */
  readonly preopened: Uint8Array | undefined;
  /** What a directory had when its listing began, so that cookies stay good while names come and go. */
  listing: readonly Listed[] | undefined;
}

export interface DescriptorRights {
  readonly rights: bigint;
  readonly inheriting: bigint;
}

/** Entries of listings that are kept at once; the oldest listings go first, and are made anew if they are read on. */
export const listedEntriesMax = 100_000;

const allRights = (1n << 29n) - 1n;
const fileRightBits = [
  wasi.RIGHTS_FD_DATASYNC,
  wasi.RIGHTS_FD_READ,
  wasi.RIGHTS_FD_SEEK,
  wasi.RIGHTS_FD_FDSTAT_SET_FLAGS,
  wasi.RIGHTS_FD_SYNC,
  wasi.RIGHTS_FD_TELL,
  wasi.RIGHTS_FD_WRITE,
  wasi.RIGHTS_FD_ADVISE,
  wasi.RIGHTS_FD_ALLOCATE,
  wasi.RIGHTS_FD_FILESTAT_GET,
  wasi.RIGHTS_FD_FILESTAT_SET_SIZE,
  wasi.RIGHTS_FD_FILESTAT_SET_TIMES,
  wasi.RIGHTS_POLL_FD_READWRITE,
];
const streamRights = BigInt(
  wasi.RIGHTS_FD_FDSTAT_SET_FLAGS | wasi.RIGHTS_FD_FILESTAT_GET | wasi.RIGHTS_POLL_FD_READWRITE,
);

export const readRight = BigInt(wasi.RIGHTS_FD_READ);
export const writeRight = BigInt(wasi.RIGHTS_FD_WRITE);

const fileRights = BigInt(fileRightBits.reduce((all, bit) => all | bit, 0));
const folderRights = allRights & ~(readRight | writeRight | BigInt(wasi.RIGHTS_FD_SEEK | wasi.RIGHTS_FD_TELL));

/** Rights of the standard streams, which neither seek nor tell. */
export const inputRights: DescriptorRights = { rights: streamRights | readRight, inheriting: 0n };
export const outputRights: DescriptorRights = { rights: streamRights | writeRight, inheriting: 0n };
export const preopenedRights: DescriptorRights = { rights: folderRights, inheriting: allRights };

/** Everything that can be done with a file or directory, but reading and writing only as asked. */
export function rightsAsked(filetype: number, asked: bigint): DescriptorRights {
  if (filetype === wasi.FILETYPE_DIRECTORY) return preopenedRights;
  return { rights: fileRights & (asked | ~(readRight | writeRight)), inheriting: 0n };
}

export class DescriptorTable {
  readonly #openMax: number;
  readonly #descriptors: (Descriptor | undefined)[] = [];
  /** Those that paths were opened as. */
  readonly #opened = new Set<Descriptor>();

  /** Those that have a listing, the oldest first. */
  readonly #listed = new Set<Descriptor>();

  constructor(openMax: number) {
    this.#openMax = openMax;
  }

  /** Adds a standard stream or a preopened directory, in the order of their numbers. */
  addFirst(handle: Fd, { rights, inheriting }: DescriptorRights, preopened?: Uint8Array): void {
    const filetype = filetypeOf(handle);
    this.#descriptors.push({ handle, filetype, rights, inheriting, flags: 0, preopened, listing: undefined });
  }

  get(fd: number): Descriptor {
    return this.#descriptors[fd] ?? refuse(wasi.ERRNO_BADF);
  }

  /** Undefined if there is none. */
  find(fd: number): Descriptor | undefined {
    return this.#descriptors[fd];
  }

  /** Refuses if no more may be opened. */
  expectRoom(): void {
    if (this.#opened.size >= this.#openMax) refuse(wasi.ERRNO_NFILE);
  }

  /** Takes the lowest number that is free. */
  open(handle: Fd, rightsAskedFor: bigint, flags: number): number {
    this.expectRoom();
    const filetype = filetypeOf(handle);
    const rights = rightsAsked(filetype, rightsAskedFor);
    const descriptor = { handle, filetype, ...rights, flags, preopened: undefined, listing: undefined };
    handle.fd_fdstat_set_flags(flags);
    this.#opened.add(descriptor);
    const free = this.#descriptors.indexOf(undefined);
    const fd = free < 0 ? this.#descriptors.length : free;
    this.#descriptors[fd] = descriptor;
    return fd;
  }

  close(fd: number): void {
    const descriptor = this.get(fd);
    this.#descriptors[fd] = undefined;
    this.#opened.delete(descriptor);
    this.#listed.delete(descriptor);
    descriptor.handle.fd_close();
  }

  /** Keeps what a directory has now for the cookies of its listing. */
  list(descriptor: Descriptor, listing: readonly Listed[]): void {
    descriptor.listing = listing;
    this.#listed.delete(descriptor);
    this.#listed.add(descriptor);
    let entries = [...this.#listed].reduce((sum, listed) => sum + (listed.listing?.length ?? 0), 0);
    for (const oldest of this.#listed) {
      if (entries <= listedEntriesMax || oldest === descriptor) break;
      entries -= oldest.listing?.length ?? 0;
      oldest.listing = undefined;
      this.#listed.delete(oldest);
    }
  }

  /** Closes `to` and gives its number to `from`. */
  renumber(from: number, to: number): void {
    const descriptor = this.get(from);
    this.get(to);
    if (from === to) return;
    this.close(to);
    this.#descriptors[to] = descriptor;
    this.#descriptors[from] = undefined;
  }
}

function filetypeOf(handle: Fd): number {
  return handle.fd_fdstat_get().fdstat?.fs_filetype ?? wasi.FILETYPE_UNKNOWN;
}

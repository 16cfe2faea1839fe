/** A guest made of nothing but memory: puts paths, buffers and pieces into it and calls the family's functions as a program does. */

import { wasi } from '@bjorn3/browser_wasi_shim';
import type { HostFamily } from '../../../../src/capabilities/call-context.ts';
import { wasiFamily } from '../../../../src/capabilities/wasi/family.ts';
import type { Mount } from '../../../../src/model/grant.ts';
import { callHost, type FakeCall, type FakeCallOptions, fakeCall } from '../fakes.ts';
import { localAnswers } from './running.ts';

/** Descriptor of the directory in memory. */
export const root = 3;

export const memoryBytes = 65_536;
/** Where results are told, where the pieces of a transfer are described, and from where on buffers may be. */
const resultAt = 1_024;
const vectorsAt = 2_048;
const buffersAt = 8_192;

const write = BigInt(wasi.RIGHTS_FD_WRITE);
const read = BigInt(wasi.RIGHTS_FD_READ);

export interface OpenOptions {
  readonly oflags?: number;
  readonly rights?: bigint;
  readonly flags?: number;
  readonly in?: number;
}

export interface Stat {
  readonly device: bigint;
  readonly inode: bigint;
  readonly filetype: number;
  readonly links: bigint;
  readonly size: bigint;
  readonly times: readonly bigint[];
}

export interface Entry {
  readonly next: bigint;
  readonly inode: bigint;
  readonly filetype: number;
  readonly name: string;
}

/** What a function answered other than 0. */
export class Errno extends Error {
  readonly errno: number;

  constructor(name: string, errno: number) {
    super(`${name} answered ${errno}`);
    this.errno = errno;
  }
}

export class MemoryGuest {
  readonly call: FakeCall;
  readonly family: HostFamily;
  readonly memory = new Uint8Array(memoryBytes);
  #next = buffersAt;

  constructor(options: FakeCallOptions = {}) {
    this.call = fakeCall({ answer: localAnswers(), ...wasiGrant({}), ...options });
    this.call.memory = this.memory;
    this.family = wasiFamily(this.call);
  }

  get data(): DataView {
    return new DataView(this.memory.buffer);
  }

  /** Calls a function as it is, and gives its errno. */
  errno(name: string, ...parameters: readonly (number | bigint)[]): number {
    return callHost(this.family.functions, name, ...parameters) as number;
  }

  /** Calls a function that must succeed. */
  do(name: string, ...parameters: readonly (number | bigint)[]): void {
    const errno = this.errno(name, ...parameters);
    if (errno !== 0) throw new Errno(name, errno);
  }

  /** The errno on which what is done fails; 0 if it does not. */
  failing(action: () => unknown): number {
    try {
      action();
      return 0;
    } catch (error) {
      if (error instanceof Errno) return error.errno;
      throw error;
    }
  }

  /** Calls a function whose last parameter says where to tell a number, and gives that. */
  u32(name: string, ...parameters: readonly (number | bigint)[]): number {
    this.do(name, ...parameters, resultAt);
    return this.data.getUint32(resultAt, true);
  }

  u64(name: string, ...parameters: readonly (number | bigint)[]): bigint {
    this.do(name, ...parameters, resultAt);
    return this.data.getBigUint64(resultAt, true);
  }

  /** Pointer and length of the text, put into memory. */
  text(text: string | Uint8Array): [pointer: number, length: number] {
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    const pointer = this.room(bytes.length);
    this.memory.set(bytes, pointer);
    return [pointer, bytes.length];
  }

  /** A place for so many bytes; earlier ones are used again. */
  room(bytes: number): number {
    if (this.#next + bytes > memoryBytes) this.#next = buffersAt;
    const pointer = this.#next;
    this.#next += bytes;
    return pointer;
  }

  bytes(pointer: number, length: number): Uint8Array {
    return this.memory.slice(pointer, pointer + length);
  }

  /** Describes one or more pieces: the first two parameters of a transfer. */
  vectors(...pieces: readonly (readonly [pointer: number, length: number])[]): [pointer: number, count: number] {
    for (const [index, [pointer, length]] of pieces.entries()) {
      this.data.setUint32(vectorsAt + index * 8, pointer, true);
      this.data.setUint32(vectorsAt + index * 8 + 4, length, true);
    }
    return [vectorsAt, pieces.length];
  }

  open(path: string, { oflags = 0, rights = read, flags = 0, in: folder = root }: OpenOptions = {}): number {
    return this.u32('path_open', folder, 0, ...this.text(path), oflags, rights, rights, flags);
  }

  /** Opens a new or emptied file for everything. */
  create(path: string, options: OpenOptions = {}): number {
    return this.open(path, { oflags: wasi.OFLAGS_CREAT | wasi.OFLAGS_TRUNC, rights: read | write, ...options });
  }

  close(fd: number): void {
    this.do('fd_close', fd);
  }

  /** Makes a file with this content. */
  file(path: string, content: string | Uint8Array = '', options: OpenOptions = {}): void {
    const fd = this.create(path, options);
    try {
      this.write(fd, content);
    } finally {
      this.close(fd);
    }
  }

  write(fd: number, content: string | Uint8Array): number {
    return this.u32('fd_write', fd, ...this.vectors(this.text(content)));
  }

  read(fd: number, size: number): string {
    const pointer = this.room(size);
    const length = this.u32('fd_read', fd, ...this.vectors([pointer, size]));
    return Buffer.from(this.bytes(pointer, length)).toString();
  }

  content(path: string, folder: number = root): string {
    const fd = this.open(path, { in: folder });
    const content = this.read(fd, 10_000);
    this.close(fd);
    return content;
  }

  seek(fd: number, offset: bigint, whence: number = wasi.WHENCE_SET): bigint {
    return this.u64('fd_seek', fd, offset, whence);
  }

  mkdir(path: string, folder: number = root): void {
    this.do('path_create_directory', folder, ...this.text(path));
  }

  unlink(path: string, folder: number = root): void {
    this.do('path_unlink_file', folder, ...this.text(path));
  }

  rmdir(path: string, folder: number = root): void {
    this.do('path_remove_directory', folder, ...this.text(path));
  }

  rename(path: string, newPath: string, folder: number = root, newFolder: number = root): void {
    this.do('path_rename', folder, ...this.text(path), newFolder, ...this.text(newPath));
  }

  link(path: string, newPath: string, folder: number = root, newFolder: number = root): void {
    this.do('path_link', folder, 0, ...this.text(path), newFolder, ...this.text(newPath));
  }

  stat(path: string, folder: number = root): Stat {
    const pointer = this.room(64);
    this.do('path_filestat_get', folder, 0, ...this.text(path), pointer);
    return this.#statAt(pointer);
  }

  statOf(fd: number): Stat {
    const pointer = this.room(64);
    this.do('fd_filestat_get', fd, pointer);
    return this.#statAt(pointer);
  }

  /** Entries from a cookie on, as many as fit wholly into so many bytes. */
  entries(fd: number, cookie = 0n, length = 4_096): readonly Entry[] {
    const pointer = this.room(length);
    const used = this.u32('fd_readdir', fd, pointer, length, cookie);
    const entries: Entry[] = [];
    for (let at = pointer; at + 24 <= pointer + used; ) {
      const nameBytes = this.data.getUint32(at + 16, true);
      if (at + 24 + nameBytes > pointer + used) break;
      entries.push({
        next: this.data.getBigUint64(at, true),
        inode: this.data.getBigUint64(at + 8, true),
        filetype: this.data.getUint8(at + 20),
        name: Buffer.from(this.bytes(at + 24, nameBytes)).toString(),
      });
      at += 24 + nameBytes;
    }
    return entries;
  }

  names(path = '.', folder: number = root): readonly string[] {
    const fd = this.open(path, { oflags: wasi.OFLAGS_DIRECTORY, in: folder });
    const names = this.entries(fd).map(({ name }) => name);
    this.close(fd);
    return names;
  }

  #statAt(pointer: number): Stat {
    const u64 = (at: number): bigint => this.data.getBigUint64(pointer + at, true);
    return {
      device: u64(0),
      inode: u64(8),
      filetype: this.data.getUint8(pointer + 16),
      links: u64(24),
      size: u64(32),
      times: [u64(40), u64(48), u64(56)],
    };
  }
}

/** A grant of so much; the rest is plenty. */
export function wasiGrant(bounds: {
  fileBytesMax?: number;
  descriptorsMax?: number;
  inodesMax?: number;
  mounts?: readonly Mount[];
}): FakeCallOptions {
  return { grant: { wasi: { fileBytesMax: 1_000_000, descriptorsMax: 100, inodesMax: 100, mounts: [], ...bounds } } };
}

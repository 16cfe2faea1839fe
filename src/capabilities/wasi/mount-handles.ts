/** Open files and directories of a mount: they can be read and looked at, and nothing else. */

import { Fd, wasi } from '@bjorn3/browser_wasi_shim';
import type { Folder } from './folder.ts';
import { filetypeOf, type Found, type MountView } from './mount-view.ts';
import { fileKinds } from './outside.ts';
import { meansFolder, withoutSlash } from './paths.ts';
import type { Listed } from './records.ts';
import { refuse } from './refusal.ts';

const done = wasi.ERRNO_SUCCESS;
const positionMax = 2n ** 63n - 1n;

abstract class MountHandle extends Fd {
  protected readonly view: MountView;
  /** Plain path below the mount; empty for the mount itself. */
  protected readonly path: string;
  readonly #filetype: number;

  constructor(view: MountView, path: string, filetype: number) {
    super();
    this.view = view;
    this.path = path;
    this.#filetype = filetype;
  }

  override fd_fdstat_get(): { ret: number; fdstat: wasi.Fdstat } {
    return { ret: done, fdstat: new wasi.Fdstat(this.#filetype, 0) };
  }

  override fd_fdstat_set_flags(): number {
    return done;
  }

  override fd_filestat_get(): { ret: number; filestat: wasi.Filestat } {
    const found = this.view.find(this.path) ?? refuse(wasi.ERRNO_NOENT);
    return { ret: done, filestat: filestatOf(found, this.view.device) };
  }

  override fd_filestat_set_times(): number {
    return wasi.ERRNO_ROFS;
  }

  override fd_filestat_set_size(): number {
    return wasi.ERRNO_ROFS;
  }

  override fd_allocate(): number {
    return wasi.ERRNO_ROFS;
  }
}

export class OpenMountFile extends MountHandle {
  #position = 0n;

  constructor(view: MountView, path: string) {
    super(view, path, wasi.FILETYPE_REGULAR_FILE);
  }

  override fd_read(size: number): { ret: number; data: Uint8Array } {
    const data = this.view.read(this.path, this.#position, size);
    this.#position += BigInt(data.length);
    return { ret: done, data };
  }

  override fd_pread(size: number, offset: bigint): { ret: number; data: Uint8Array } {
    return { ret: done, data: this.view.read(this.path, offset, size) };
  }

  override fd_seek(offset: bigint, whence: number): { ret: number; offset: bigint } {
    const base = this.#baseOf(whence);
    const position = base === undefined ? -1n : base + offset;
    if (position < 0n || position > positionMax) return { ret: wasi.ERRNO_INVAL, offset: 0n };
    this.#position = position;
    return { ret: done, offset: position };
  }

  override fd_tell(): { ret: number; offset: bigint } {
    return { ret: done, offset: this.#position };
  }

  #baseOf(whence: number): bigint | undefined {
    if (whence === wasi.WHENCE_SET) return 0n;
    if (whence === wasi.WHENCE_CUR) return this.#position;
    return whence === wasi.WHENCE_END ? this.fd_filestat_get().filestat.size : undefined;
  }
}

export class OpenMountFolder extends MountHandle implements Folder {
  /** The directory around it, for its listing; undefined for the mount itself. */
  readonly #above: string | undefined;

  constructor(view: MountView, path = '') {
    super(view, path, wasi.FILETYPE_DIRECTORY);
    this.#above = path === '' ? undefined : path.slice(0, Math.max(0, path.lastIndexOf('/')));
  }

  list(): readonly Listed[] {
    const own = this.view.list(this.path).map(({ name, kind }) => this.#listed(name, this.#below(name), kind));
    const above = this.#listed('..', this.#above ?? this.path, fileKinds.folder);
    return [this.#listed('.', this.path, fileKinds.folder), above, ...own];
  }

  override fd_seek(): { ret: number; offset: bigint } {
    return { ret: wasi.ERRNO_BADF, offset: 0n };
  }

  override fd_tell(): { ret: number; offset: bigint } {
    return { ret: wasi.ERRNO_BADF, offset: 0n };
  }

  override path_open(
    _lookup: number,
    path: string,
    oflags: number,
    rights: bigint,
  ): { ret: number; fd_obj: Fd | null } {
    const found = this.#find(path);
    if (found === undefined) refuse(oflags & wasi.OFLAGS_CREAT ? wasi.ERRNO_ROFS : wasi.ERRNO_NOENT);
    if (oflags & wasi.OFLAGS_CREAT && oflags & wasi.OFLAGS_EXCL) refuse(wasi.ERRNO_EXIST);
    const isFolder = found.stat.kind === fileKinds.folder;
    if (oflags & wasi.OFLAGS_DIRECTORY && !isFolder) refuse(wasi.ERRNO_NOTDIR);
    const isWriting = (rights & BigInt(wasi.RIGHTS_FD_WRITE)) !== 0n || (oflags & wasi.OFLAGS_TRUNC) !== 0;
    if (isWriting && (oflags & wasi.OFLAGS_DIRECTORY) === 0) refuse(isFolder ? wasi.ERRNO_ISDIR : wasi.ERRNO_ROFS);
    const below = this.#below(path);
    return {
      ret: done,
      fd_obj: isFolder ? new OpenMountFolder(this.view, below) : new OpenMountFile(this.view, below),
    };
  }

  override path_filestat_get(_lookup: number, path: string): { ret: number; filestat: wasi.Filestat } {
    const found = this.#find(path) ?? refuse(wasi.ERRNO_NOENT);
    return { ret: done, filestat: filestatOf(found, this.view.device) };
  }

  override path_readlink(path: string): { ret: number; data: string | null } {
    return { ret: this.#find(path) ? wasi.ERRNO_INVAL : wasi.ERRNO_NOENT, data: null };
  }

  override path_create_directory(path: string): number {
    return this.#find(path) ? wasi.ERRNO_EXIST : wasi.ERRNO_ROFS;
  }

  override path_filestat_set_times(): number {
    return wasi.ERRNO_ROFS;
  }

  override path_link(): number {
    return wasi.ERRNO_ROFS;
  }

  override path_unlink_file(): number {
    return wasi.ERRNO_ROFS;
  }

  override path_remove_directory(): number {
    return wasi.ERRNO_ROFS;
  }

  #find(path: string): Found | undefined {
    const found = this.view.find(this.#below(path));
    if (found && meansFolder(path) && found.stat.kind !== fileKinds.folder) refuse(wasi.ERRNO_NOTDIR);
    return found;
  }

  #below(path: string): string {
    const plain = withoutSlash(path);
    if (plain === '.') return this.path;
    return this.path === '' ? plain : `${this.path}/${plain}`;
  }

  #listed(name: string, path: string, kind: number): Listed {
    return { name, inode: this.view.inodeOf(path), filetype: filetypeOf(kind) };
  }
}

function filestatOf({ inode, stat }: Found, device: bigint): wasi.Filestat {
  const filestat = new wasi.Filestat(inode, filetypeOf(stat.kind), BigInt(stat.sizeBytes));
  filestat.dev = device;
  filestat.nlink = 1n;
  filestat.atim = filestat.mtim = filestat.ctim = stat.changedNs;
  return filestat;
}

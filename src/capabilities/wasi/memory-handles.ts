/**
 * Open files and directories in memory. Reading and seeking is the library's;
 * changing is done here, because the library knows no quotas, appends only to where
 * a file ended when it was opened, lets links and renames destroy what is there, and
 * can move a directory into itself.
 */

import { type Fd, type Inode, OpenDirectory, OpenFile, wasi } from '@bjorn3/browser_wasi_shim';
import type { Folder } from './folder.ts';
import { MemoryFile, MemoryFolder, type MemoryNode } from './memory-nodes.ts';
import { meansFolder, withoutSlash } from './paths.ts';
import type { Listed } from './records.ts';
import { accept, refuse } from './refusal.ts';
import { timesAsked } from './times.ts';

const positionMax = 2n ** 63n - 1n;
const done = wasi.ERRNO_SUCCESS;

export class OpenMemoryFile extends OpenFile {
  readonly #file: MemoryFile;
  readonly #now: () => bigint;
  #isAppending = false;

  constructor(file: MemoryFile, now: () => bigint) {
    super(file);
    this.#file = file;
    this.#now = now;
    file.opens++;
  }

  override fd_close(): number {
    this.#file.opens--;
    this.#file.letGo();
    return done;
  }

  override fd_fdstat_set_flags(flags: number): number {
    this.#isAppending = (flags & wasi.FDFLAGS_APPEND) !== 0;
    return done;
  }

  override fd_write(data: Uint8Array): { ret: number; nwritten: number } {
    const position = this.#isAppending ? this.#file.size : this.file_pos;
    this.#file.writeAt(data, position);
    this.file_pos = position + BigInt(data.length);
    return { ret: done, nwritten: data.length };
  }

  override fd_pwrite(data: Uint8Array, offset: bigint): { ret: number; nwritten: number } {
    this.#file.writeAt(data, offset);
    return { ret: done, nwritten: data.length };
  }

  override fd_seek(offset: bigint, whence: number): { ret: number; offset: bigint } {
    const before = this.file_pos;
    const sought = super.fd_seek(offset, whence);
    if (this.file_pos <= positionMax) return sought;
    this.file_pos = before;
    return { ret: wasi.ERRNO_INVAL, offset: 0n };
  }

  override fd_allocate(offset: bigint, length: bigint): number {
    const sizeBytes = this.#file.sizeWithin(offset + length);
    if (sizeBytes > this.#file.data.length) this.#file.resize(sizeBytes);
    return done;
  }

  override fd_filestat_set_size(sizeBytes: bigint): number {
    this.#file.resize(this.#file.sizeWithin(sizeBytes));
    return done;
  }

  override fd_filestat_set_times(readNs: bigint, changedNs: bigint, flags: number): number {
    this.#file.times = timesAsked(this.#file.times, { readNs, changedNs, flags }, this.#now);
    return done;
  }
}

/** Where a path leads: the directory, the name in it, and what is there. */
interface Place {
  readonly folder: MemoryFolder;
  readonly name: string;
  readonly node: MemoryNode | undefined;
}

export class OpenMemoryFolder extends OpenDirectory implements Folder {
  readonly #folder: MemoryFolder;

  constructor(folder: MemoryFolder) {
    super(folder);
    this.#folder = folder;
  }

  list(): readonly Listed[] {
    return this.#folder.list();
  }

  override fd_fdstat_set_flags(): number {
    return done;
  }

  override fd_filestat_set_times(readNs: bigint, changedNs: bigint, flags: number): number {
    return this.path_filestat_set_times(0, '.', readNs, changedNs, flags);
  }

  override path_open(
    _lookup: number,
    path: string,
    oflags: number,
    rights: bigint,
  ): { ret: number; fd_obj: Fd | null } {
    const { ret, inode_obj } = this.path_lookup(path, 0);
    if (inode_obj !== null) return { ret: done, fd_obj: this.#openThere(nodeOf(inode_obj), oflags, rights) };
    if (ret !== wasi.ERRNO_NOENT || (oflags & wasi.OFLAGS_CREAT) === 0) return { ret, fd_obj: null };
    return { ret: done, fd_obj: this.#openFile(this.#makeFile(path)) };
  }

  override path_create_directory(path: string): number {
    const { folder, name, node } = this.#place(path);
    if (node) return wasi.ERRNO_EXIST;
    folder.make(name, (volume, above) => new MemoryFolder(volume, above));
    return done;
  }

  override path_filestat_set_times(
    _lookup: number,
    path: string,
    readNs: bigint,
    changedNs: bigint,
    flags: number,
  ): number {
    const node = this.#find(path);
    node.times = timesAsked(node.times, { readNs, changedNs, flags }, this.#now);
    return done;
  }

  override path_readlink(path: string): { ret: number; data: string | null } {
    this.#find(path);
    return { ret: wasi.ERRNO_INVAL, data: null };
  }

  override path_link(path: string, inode: Inode): number {
    const { folder, name, node } = this.#place(path);
    if (node) return wasi.ERRNO_EXIST;
    if (!(inode instanceof MemoryFile)) return wasi.ERRNO_PERM;
    if (meansFolder(path)) return wasi.ERRNO_NOENT;
    folder.link(name, inode);
    return done;
  }

  override path_unlink_file(path: string): number {
    const { folder, name, node } = this.#place(path);
    if (node === undefined) return wasi.ERRNO_NOENT;
    if (node instanceof MemoryFolder) return wasi.ERRNO_ISDIR;
    if (meansFolder(path)) return wasi.ERRNO_NOTDIR;
    folder.remove(name);
    return done;
  }

  override path_remove_directory(path: string): number {
    const { folder, name, node } = this.#place(path);
    if (node === undefined) return wasi.ERRNO_NOENT;
    if (!(node instanceof MemoryFolder)) return wasi.ERRNO_NOTDIR;
    if (node.contents.size > 0) return wasi.ERRNO_NOTEMPTY;
    folder.remove(name);
    return done;
  }

  /** Gives what is at a path another one, over what may be replaced there. */
  rename(path: string, to: OpenMemoryFolder, newPath: string): void {
    const from = this.#place(path);
    const target = to.#place(newPath);
    const { node } = from;
    if (node === undefined) refuse(wasi.ERRNO_NOENT);
    if (node instanceof MemoryFile && (meansFolder(path) || meansFolder(newPath))) refuse(wasi.ERRNO_NOTDIR);
    if (target.node === node) return;
    if (node instanceof MemoryFolder && target.folder.isWithin(node)) refuse(wasi.ERRNO_INVAL);
    if (target.node) accept(replacing(node, target.node));
    from.folder.move(from.name, target.folder, target.name);
  }

  readonly #now = (): bigint => this.#folder.volume.nowNs;

  #find(path: string): MemoryNode {
    const { ret, inode_obj } = this.path_lookup(path, 0);
    accept(ret);
    return nodeOf(inode_obj);
  }

  #place(path: string): Place {
    const plain = withoutSlash(path);
    const cut = plain.lastIndexOf('/');
    const name = plain.slice(cut + 1);
    if (name === '.') refuse(wasi.ERRNO_INVAL);
    const folder = this.#find(cut < 0 ? '.' : plain.slice(0, cut));
    if (!(folder instanceof MemoryFolder)) refuse(wasi.ERRNO_NOTDIR);
    return { folder, name, node: folder.get(name) };
  }

  #makeFile(path: string): MemoryFile {
    const { folder, name } = this.#place(path);
    if (meansFolder(path)) refuse(wasi.ERRNO_ISDIR);
    return folder.make(name, (volume) => new MemoryFile(volume));
  }

  #openThere(node: MemoryNode, oflags: number, rights: bigint): Fd {
    if (oflags & wasi.OFLAGS_CREAT && oflags & wasi.OFLAGS_EXCL) refuse(wasi.ERRNO_EXIST);
    const isFolderAsked = (oflags & wasi.OFLAGS_DIRECTORY) !== 0;
    if (node instanceof MemoryFolder) {
      const isWriting = (rights & BigInt(wasi.RIGHTS_FD_WRITE)) !== 0n || (oflags & wasi.OFLAGS_TRUNC) !== 0;
      return isWriting && !isFolderAsked ? refuse(wasi.ERRNO_ISDIR) : new OpenMemoryFolder(node);
    }
    if (isFolderAsked) refuse(wasi.ERRNO_NOTDIR);
    if (oflags & wasi.OFLAGS_TRUNC) node.resize(0);
    return this.#openFile(node);
  }

  #openFile(file: MemoryFile): OpenMemoryFile {
    return new OpenMemoryFile(file, this.#now);
  }
}

/** Whether one node may take the place of another one, as an errno. */
function replacing(node: MemoryNode, there: MemoryNode): number {
  if (!(node instanceof MemoryFolder)) return there instanceof MemoryFolder ? wasi.ERRNO_ISDIR : done;
  if (!(there instanceof MemoryFolder)) return wasi.ERRNO_NOTDIR;
  return there.contents.size > 0 ? wasi.ERRNO_NOTEMPTY : done;
}

/** Directories in memory hold nothing but these two. */
function nodeOf(inode: Inode | null): MemoryNode {
  return inode instanceof MemoryFile || inode instanceof MemoryFolder ? inode : refuse(wasi.ERRNO_IO);
}

/** Functions of paths. */

import { wasi } from '@bjorn3/browser_wasi_shim';
import { expectTimeFlags, fdflagsMask } from './fd-functions.ts';
import { type Folder } from './folder.ts';
import { OpenMemoryFolder } from './memory-handles.ts';
import { filestatRecord, recordBytes } from './records.ts';
import { accept, refuse, type WasiFunctions } from './refusal.ts';
import { folderOf, pathAt, type WasiCall } from './wasi-call.ts';

const oflagsMask = 0b1111;
/** No file can be both made and a directory. */
const makeFolder = wasi.OFLAGS_CREAT | wasi.OFLAGS_DIRECTORY;

export function pathFunctions(context: WasiCall): WasiFunctions {
  const { memory, descriptors } = context;

  const folderAt = (fd: number): Folder => folderOf(descriptors.get(fd));
  const path = (pointer: number, length: number): string => pathAt(context, pointer, length);

  /** Where links and renames may take something from or put it to. */
  const changeableAt = (fd: number): OpenMemoryFolder => {
    const folder = folderAt(fd);
    return folder instanceof OpenMemoryFolder ? folder : refuse(wasi.ERRNO_ROFS);
  };

  return {
    path_create_directory(fd: number, pointer: number, length: number): void {
      accept(folderAt(fd).path_create_directory(path(pointer, length)));
    },

    path_filestat_get(fd: number, lookup: number, pointer: number, length: number, result: number): void {
      const folder = folderAt(fd);
      memory.expectRoom(result, recordBytes.filestat);
      const { ret, filestat } = folder.path_filestat_get(lookup, path(pointer, length));
      accept(ret);
      if (filestat) memory.write(result, filestatRecord(filestat));
    },

    path_filestat_set_times(
      fd: number,
      lookup: number,
      pointer: number,
      length: number,
      readNs: bigint,
      changedNs: bigint,
      flags: number,
    ): void {
      const folder = folderAt(fd);
      const file = path(pointer, length);
      accept(folder.path_filestat_set_times(lookup, file, readNs, changedNs, expectTimeFlags(flags)));
    },

    /** Hard links between files in memory; there are no others. */
    path_link(
      fd: number,
      lookup: number,
      pointer: number,
      length: number,
      newFd: number,
      newPointer: number,
      newLength: number,
    ): void {
      const [from, to] = [changeableAt(fd), changeableAt(newFd)];
      const { ret, inode_obj } = from.path_lookup(path(pointer, length), lookup);
      const newPath = path(newPointer, newLength);
      accept(ret);
      if (inode_obj) accept(to.path_link(newPath, inode_obj));
    },

    path_open(
      fd: number,
      lookup: number,
      pointer: number,
      length: number,
      oflags: number,
      rights: bigint,
      inheriting: bigint,
      flags: number,
      result: number,
    ): void {
      const folder = folderAt(fd);
      memory.expectRoom(result, 4);
      descriptors.expectRoom();
      const file = path(pointer, length);
      if (oflags & ~oflagsMask || flags & ~fdflagsMask) refuse(wasi.ERRNO_INVAL);
      if ((oflags & makeFolder) === makeFolder) refuse(wasi.ERRNO_INVAL);
      const { ret, fd_obj } = folder.path_open(lookup, file, oflags, rights, inheriting, flags);
      accept(ret);
      if (fd_obj) memory.setU32(result, descriptors.open(fd_obj, rights, flags));
    },

    /** There are no symbolic links to be read. */
    path_readlink(
      fd: number,
      pointer: number,
      length: number,
      buffer: number,
      bufferLength: number,
      result: number,
    ): void {
      const folder = folderAt(fd);
      memory.expectRoom(buffer, bufferLength);
      memory.expectRoom(result, 4);
      accept(folder.path_readlink(path(pointer, length)).ret);
    },

    path_remove_directory(fd: number, pointer: number, length: number): void {
      accept(folderAt(fd).path_remove_directory(path(pointer, length)));
    },

    path_rename(
      fd: number,
      pointer: number,
      length: number,
      newFd: number,
      newPointer: number,
      newLength: number,
    ): void {
      const [from, to] = [changeableAt(fd), changeableAt(newFd)];
      from.rename(path(pointer, length), to, path(newPointer, newLength));
    },

    /** A link could lead out of what the guest may see; nothing here follows any. */
    path_symlink(pointer: number, length: number, fd: number, newPointer: number, newLength: number): void {
      folderAt(fd);
      memory.expectRoom(pointer, length);
      memory.expectRoom(newPointer, newLength);
      refuse(wasi.ERRNO_NOTSUP);
    },

    path_unlink_file(fd: number, pointer: number, length: number): void {
      accept(folderAt(fd).path_unlink_file(path(pointer, length)));
    },
  };
}

/** Functions of descriptors. */

import { wasi } from '@bjorn3/browser_wasi_shim';
import { type Descriptor, readRight, writeRight } from './descriptors.ts';
import type { Folder } from './folder.ts';
import { direntRecord, fdstatRecord, filestatRecord, type Listed, prestatRecord, recordBytes } from './records.ts';
import { accept, refuse, type WasiFunctions } from './refusal.ts';
import { LogStream, logWriteBytesMax } from './streams.ts';
import { readPieces, writePieces } from './transfers.ts';
import { folderOf, type WasiCall } from './wasi-call.ts';

/** All bits that a descriptor's flags can have. */
export const fdflagsMask = 0b1_1111;
const fstflagsMask = 0b1111;

export function fdFunctions(context: WasiCall): WasiFunctions {
  const { call, memory, descriptors } = context;

  const withRight = (fd: number, right: bigint): Descriptor => {
    const descriptor = descriptors.get(fd);
    if (isFolderType(descriptor)) refuse(wasi.ERRNO_ISDIR);
    return (descriptor.rights & right) === 0n ? refuse(wasi.ERRNO_BADF) : descriptor;
  };

  const begun = (descriptor: Descriptor, folder: Folder): readonly Listed[] => {
    const listing = folder.list();
    descriptors.list(descriptor, listing);
    return listing;
  };

  const preopened = (fd: number): Uint8Array => descriptors.get(fd).preopened ?? refuse(wasi.ERRNO_BADF);

  return {
    /** Takes note of nothing: all files are in memory. */
    fd_advise(fd: number, _offset: bigint, _length: bigint, advice: number): void {
      const { filetype } = descriptors.get(fd);
      if (filetype !== wasi.FILETYPE_REGULAR_FILE) refuse(wasi.ERRNO_BADF);
      if (advice > wasi.ADVICE_NOREUSE) refuse(wasi.ERRNO_INVAL);
    },

    fd_allocate(fd: number, offset: bigint, length: bigint): void {
      const { handle } = withRight(fd, writeRight);
      if (length === 0n) refuse(wasi.ERRNO_INVAL);
      accept(handle.fd_allocate(BigInt.asUintN(64, offset), BigInt.asUintN(64, length)));
    },

    fd_close(fd: number): void {
      descriptors.close(fd);
    },

    fd_datasync(fd: number): void {
      descriptors.get(fd);
    },

    fd_sync(fd: number): void {
      descriptors.get(fd);
    },

    fd_fdstat_get(fd: number, result: number): void {
      memory.write(result, fdstatRecord(descriptors.get(fd)));
    },

    fd_fdstat_set_flags(fd: number, flags: number): void {
      const descriptor = descriptors.get(fd);
      if (flags & ~fdflagsMask) refuse(wasi.ERRNO_INVAL);
      accept(descriptor.handle.fd_fdstat_set_flags(flags));
      descriptor.flags = flags;
    },

    /** Rights can be given up, and not taken. */
    fd_fdstat_set_rights(fd: number, rights: bigint, inheriting: bigint): void {
      const descriptor = descriptors.get(fd);
      const [own, inherited] = [BigInt.asUintN(64, rights), BigInt.asUintN(64, inheriting)];
      if (own & ~descriptor.rights || inherited & ~descriptor.inheriting) refuse(wasi.ERRNO_NOTCAPABLE);
      descriptor.rights = own;
      descriptor.inheriting = inherited;
    },

    fd_filestat_get(fd: number, result: number): void {
      const { handle } = descriptors.get(fd);
      memory.expectRoom(result, recordBytes.filestat);
      const { ret, filestat } = handle.fd_filestat_get();
      accept(ret);
      if (filestat) memory.write(result, filestatRecord(filestat));
    },

    fd_filestat_set_size(fd: number, sizeBytes: bigint): void {
      accept(withRight(fd, writeRight).handle.fd_filestat_set_size(BigInt.asUintN(64, sizeBytes)));
    },

    fd_filestat_set_times(fd: number, readNs: bigint, changedNs: bigint, flags: number): void {
      accept(descriptors.get(fd).handle.fd_filestat_set_times(readNs, changedNs, expectTimeFlags(flags)));
    },

    fd_pread(fd: number, vectors: number, count: number, offset: bigint, result: number): void {
      const { handle } = withRight(fd, readRight);
      const start = BigInt.asUintN(64, offset);
      const read = (size: number, moved: number) => handle.fd_pread(size, start + BigInt(moved));
      readPieces(context, { vectors, count, result }, read);
    },

    fd_prestat_get(fd: number, result: number): void {
      memory.write(result, prestatRecord(preopened(fd).length));
    },

    fd_prestat_dir_name(fd: number, pointer: number, length: number): void {
      const name = preopened(fd);
      if (length < name.length) refuse(wasi.ERRNO_NAMETOOLONG);
      memory.write(pointer, name);
    },

    fd_pwrite(fd: number, vectors: number, count: number, offset: bigint, result: number): void {
      const { handle } = withRight(fd, writeRight);
      const start = BigInt.asUintN(64, offset);
      const write = (data: Uint8Array, moved: number) => handle.fd_pwrite(data, start + BigInt(moved));
      writePieces(context, { vectors, count, result }, write);
    },

    fd_read(fd: number, vectors: number, count: number, result: number): void {
      const { handle } = withRight(fd, readRight);
      readPieces(context, { vectors, count, result }, (size) => handle.fd_read(size));
    },

    /** Entries from a cookie on, the last one cut where the buffer ends. Cookie 0 begins anew. */
    fd_readdir(fd: number, pointer: number, length: number, cookie: bigint, result: number): void {
      const descriptor = descriptors.get(fd);
      const folder = folderOf(descriptor);
      memory.expectRoom(result, 4);
      memory.expectRoom(pointer, length);
      const listing = cookie === 0n ? begun(descriptor, folder) : (descriptor.listing ?? begun(descriptor, folder));
      const start = Number(BigInt.asUintN(64, cookie));
      let used = 0;
      for (let at = start; at < listing.length && used < length; at++) {
        const entry = listing[at];
        if (entry === undefined) break;
        const bytes = direntRecord(entry, BigInt(at + 1)).subarray(0, length - used);
        memory.write(pointer + used, bytes);
        used += bytes.length;
      }
      call.chargeBytes(used);
      memory.setU32(result, used);
    },

    fd_renumber(from: number, to: number): void {
      descriptors.renumber(from, to);
    },

    fd_seek(fd: number, offset: bigint, whence: number, result: number): void {
      const { handle } = descriptors.get(fd);
      memory.expectRoom(result, 8);
      const { ret, offset: position } = handle.fd_seek(offset, whence);
      accept(ret);
      memory.setU64(result, position);
    },

    fd_tell(fd: number, result: number): void {
      const { handle } = descriptors.get(fd);
      memory.expectRoom(result, 8);
      const { ret, offset } = handle.fd_tell();
      accept(ret);
      memory.setU64(result, offset);
    },

    fd_write(fd: number, vectors: number, count: number, result: number): void {
      const { handle } = withRight(fd, writeRight);
      const bytesMax = handle instanceof LogStream ? logWriteBytesMax : Number.POSITIVE_INFINITY;
      writePieces(context, { vectors, count, result, bytesMax }, (data) => handle.fd_write(data));
    },
  };
}

/** The flags, unless there are some that nobody knows. */
export function expectTimeFlags(flags: number): number {
  return flags & ~fstflagsMask ? refuse(wasi.ERRNO_INVAL) : flags;
}

function isFolderType({ filetype }: Descriptor): boolean {
  return filetype === wasi.FILETYPE_DIRECTORY;
}

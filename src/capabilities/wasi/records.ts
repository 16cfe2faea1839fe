/**
 * The records of WASI preview 1 as they lie in memory. The library has classes of
 * the same names, but writes the times of a filestat and reads the flags of a
 * subscription at wrong places, and leaves padding as it was.
 */

import type { wasi } from '@bjorn3/browser_wasi_shim';

/** Bytes of each record. */
export const recordBytes = { filestat: 64, fdstat: 24, prestat: 8, dirent: 24, subscription: 48, event: 32 } as const;

/** What a directory has. */
export interface Listed {
  readonly name: string;
  readonly inode: bigint;
  readonly filetype: number;
}

export interface Fdstat {
  readonly filetype: number;
  readonly flags: number;
  readonly rights: bigint;
  readonly inheriting: bigint;
}

export interface Subscription {
  readonly userdata: bigint;
  readonly eventtype: number;
  /** Of a clock, its id; otherwise a descriptor. */
  readonly source: number;
  readonly timeoutNs: bigint;
  readonly flags: number;
}

export interface PollEvent {
  readonly userdata: bigint;
  readonly errno: number;
  readonly eventtype: number;
  /** Bytes that can be read or written. */
  readonly bytes: bigint;
}

const encoder = new TextEncoder();

export function filestatRecord(stat: wasi.Filestat): Uint8Array {
  return record(recordBytes.filestat, (data) => {
    data.setBigUint64(0, stat.dev, true);
    data.setBigUint64(8, stat.ino, true);
    data.setUint8(16, stat.filetype);
    data.setBigUint64(24, stat.nlink, true);
    data.setBigUint64(32, stat.size, true);
    data.setBigUint64(40, stat.atim, true);
    data.setBigUint64(48, stat.mtim, true);
    data.setBigUint64(56, stat.ctim, true);
  });
}

export function fdstatRecord({ filetype, flags, rights, inheriting }: Fdstat): Uint8Array {
  return record(recordBytes.fdstat, (data) => {
    data.setUint8(0, filetype);
    data.setUint16(2, flags, true);
    data.setBigUint64(8, rights, true);
    data.setBigUint64(16, inheriting, true);
  });
}

/** Of a preopened directory, the only kind there is. */
export function prestatRecord(nameBytes: number): Uint8Array {
  return record(recordBytes.prestat, (data) => data.setUint32(4, nameBytes, true));
}

/** A directory entry with its name. `next` is the cookie of the entry after it. */
export function direntRecord({ name, inode, filetype }: Listed, next: bigint): Uint8Array {
  const nameBytes = encoder.encode(name);
  const bytes = record(recordBytes.dirent + nameBytes.length, (data) => {
    data.setBigUint64(0, next, true);
    data.setBigUint64(8, inode, true);
    data.setUint32(16, nameBytes.length, true);
    data.setUint8(20, filetype);
  });
  bytes.set(nameBytes, recordBytes.dirent);
  return bytes;
}

export function eventRecord({ userdata, errno, eventtype, bytes }: PollEvent): Uint8Array {
  return record(recordBytes.event, (data) => {
    data.setBigUint64(0, userdata, true);
    data.setUint16(8, errno, true);
    data.setUint8(10, eventtype);
    data.setBigUint64(16, bytes, true);
  });
}

export function readSubscription(data: DataView): Subscription {
  return {
    userdata: data.getBigUint64(0, true),
    eventtype: data.getUint8(8),
    source: data.getUint32(16, true),
    timeoutNs: data.getBigUint64(24, true),
    flags: data.getUint16(40, true),
  };
}

function record(length: number, fill: (data: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(length);
  fill(new DataView(bytes.buffer));
  return bytes;
}

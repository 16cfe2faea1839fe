/** What the family asks from outside the call, and how requests and answers are written; local/wasi.ts and services/mounts.ts read them. */

import type { HostAnswer } from '../../model/operation.ts';
import type { CallContext } from '../call-context.ts';
import { joinParts, splitParts } from '../parts.ts';

/** Kinds of files, numbered as WASI numbers them; "unknown" is one that has to be looked at, such as a link. */
export const fileKinds = { unknown: 0, folder: 3, file: 4 } as const;

/** What can be asked of a mount. */
export const mountOperations = { stat: 1, list: 2, read: 3 } as const;

/** Codes of answers of 'wasi.mount'. What lies outside of a mount is not found. */
export const mountCodes = {
  ok: 0,
  notFound: 1,
  notFolder: 2,
  isFolder: 3,
  accessDenied: 4,
  tooManyEntries: 5,
  failed: 6,
} as const;

export interface MountRequest {
  readonly operation: number;
  /** The policy's name of the folder. */
  readonly mount: string;
  /** Plain path relative to it; empty for the folder itself. */
  readonly path: string;
  /** Of what is to be read. */
  readonly offset: number;
  readonly length: number;
}

export interface MountStat {
  readonly kind: number;
  readonly sizeBytes: number;
  /** When it was changed, in nanoseconds since 1970. */
  readonly changedNs: bigint;
}

export interface MountEntry {
  readonly name: string;
  readonly kind: number;
}

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Nanoseconds that one of WASI's clocks shows. */
export function askTime(call: CallContext, clockId: number): bigint {
  const { payload } = call.ask('wasi.clock', Uint8Array.of(clockId));
  return dataOf(payload).getBigUint64(0, true);
}

/** At most fixedLimits.randomBytes random bytes. */
export function askRandom(call: CallContext, length: number): Uint8Array {
  const request = new Uint8Array(4);
  dataOf(request).setUint32(0, length, true);
  return call.ask('wasi.random', request).payload;
}

export function askMount(call: CallContext, request: MountRequest): HostAnswer {
  return call.ask('wasi.mount', writeMountRequest(request));
}

export function writeMountRequest({ operation, mount, path, offset, length }: MountRequest): Uint8Array<ArrayBuffer> {
  const range = new Uint8Array(12);
  dataOf(range).setBigUint64(0, BigInt(offset), true);
  dataOf(range).setUint32(8, length, true);
  return joinParts(Uint8Array.of(operation), mount, path, range);
}

/** Throws a RangeError if it is none: both sides are the host's. */
export function readMountRequest(request: Uint8Array): MountRequest {
  const [operation, mount, path, range] = splitParts(request);
  if (operation === undefined || mount === undefined || path === undefined || range === undefined) {
    throw new RangeError('A request to a mount lacks parts');
  }
  return {
    operation: dataOf(operation).getUint8(0),
    mount: decoder.decode(mount),
    path: decoder.decode(path),
    offset: Number(dataOf(range).getBigUint64(0, true)),
    length: dataOf(range).getUint32(8, true),
  };
}

export function writeMountStat({ kind, sizeBytes, changedNs }: MountStat): Uint8Array<ArrayBuffer> {
  const payload = new Uint8Array(17);
  const data = dataOf(payload);
  data.setUint8(0, kind);
  data.setBigUint64(1, BigInt(sizeBytes), true);
  data.setBigUint64(9, changedNs, true);
  return payload;
}

export function readMountStat(payload: Uint8Array): MountStat {
  const data = dataOf(payload);
  return {
    kind: data.getUint8(0),
    sizeBytes: Number(data.getBigUint64(1, true)),
    changedNs: data.getBigUint64(9, true),
  };
}

export function writeMountEntries(entries: readonly MountEntry[]): Uint8Array<ArrayBuffer> {
  return joinParts(...entries.flatMap(({ name, kind }) => [Uint8Array.of(kind), name]));
}

export function readMountEntries(payload: Uint8Array): readonly MountEntry[] {
  const parts = splitParts(payload);
  const entries: MountEntry[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [kind, name] = parts.slice(at, at + 2);
    if (kind && name) entries.push({ kind: dataOf(kind).getUint8(0), name: decoder.decode(name) });
  }
  return entries;
}

function dataOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

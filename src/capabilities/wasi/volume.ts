/**
 * What the files of one call share: quotas, inode numbers and the time. All are of
 * the call alone, so that nothing tells one call of another.
 */

import { wasi } from '@bjorn3/browser_wasi_shim';
import type { CallContext } from '../call-context.ts';
import { askTime } from './outside.ts';
import { Quota } from './quota.ts';
import { refuse } from './refusal.ts';

/** Charged for an entry of a listing. */
const listedEntryBytes = 256;

export class Volume {
  readonly #call: CallContext;
  readonly #bytes: Quota;
  readonly #inodes: Quota;
  #lastInode = 0n;
  #timeNs: bigint | undefined;

  constructor(call: CallContext) {
    this.#call = call;
    this.#bytes = new Quota(call.grant.wasi.fileBytesMax);
    this.#inodes = new Quota(call.grant.wasi.inodesMax);
  }

  get bytesMax(): number {
    return this.#bytes.max;
  }

  get bytesUsed(): number {
    return this.#bytes.used;
  }

  get inodesUsed(): number {
    return this.#inodes.used;
  }

  /** The same for every file, so that a run does not read the clock at each change: when the first file was looked at. */
  get timeNs(): bigint {
    return (this.#timeNs ??= this.nowNs);
  }

  get nowNs(): bigint {
    return askTime(this.#call, wasi.CLOCKID_REALTIME);
  }

  nextInode(): bigint {
    return ++this.#lastInode;
  }

  takeBytes(bytes: number): void {
    if (!this.#bytes.take(bytes)) refuse(wasi.ERRNO_NOSPC);
  }

  giveBytes(bytes: number): void {
    this.#bytes.give(bytes);
  }

  takeInode(): void {
    if (!this.#inodes.take(1)) refuse(wasi.ERRNO_DQUOT);
  }

  giveInode(): void {
    this.#inodes.give(1);
  }

  /** For the entries of a directory, each time that a listing of it begins. */
  chargeListing(entries: number): void {
    this.#call.chargeBytes(entries * listedEntryBytes);
  }

  /** For bytes moved or cleared in the host's memory. */
  charge(bytes: number): void {
    this.#call.chargeBytes(bytes);
  }
}

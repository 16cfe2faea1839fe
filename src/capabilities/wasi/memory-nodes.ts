/**
 * Files and directories of a call, in memory: the library's inodes, held to the
 * call's quotas, with numbers, times and link counts of their own. A file counts
 * until neither a name nor a descriptor holds it.
 */

import { Directory, File, wasi } from '@bjorn3/browser_wasi_shim';
import type { Listed } from './records.ts';
import { refuse } from './refusal.ts';
import { noTimes } from './times.ts';
import type { Volume } from './volume.ts';

export type MemoryNode = MemoryFile | MemoryFolder;

/** Of the device that has all that is in memory. */
const memoryDevice = 1n;
/** Charged for a step from a directory to the one around it. */
const stepBytes = 8;

export class MemoryFile extends File {
  /** Names of the file. */
  links = 0;
  /** Descriptors of the file. */
  opens = 0;
  times = noTimes;
  readonly #volume: Volume;

  constructor(volume: Volume) {
    super(new Uint8Array());
    this.ino = volume.nextInode();
    this.#volume = volume;
  }

  override stat(): wasi.Filestat {
    return withTimes(super.stat(), this, this.#volume, BigInt(this.links));
  }

  /** Refuses with NOSPC what the quota does not cover. New bytes are 0. */
  resize(sizeBytes: number): void {
    const grownBytes = sizeBytes - this.data.length;
    if (grownBytes > 0) this.#volume.takeBytes(grownBytes);
    else this.#volume.giveBytes(-grownBytes);
    this.#setLength(sizeBytes);
  }

  /** Writes all of the bytes or refuses. */
  writeAt(bytes: Uint8Array, position: bigint): void {
    if (bytes.length === 0) return;
    const end = position + BigInt(bytes.length);
    if (end > this.data.length) this.resize(this.sizeWithin(end));
    this.data.set(bytes, Number(position));
  }

  /** The size as a number, refused if no quota could cover it. */
  sizeWithin(sizeBytes: bigint): number {
    return sizeBytes > this.#volume.bytesMax ? refuse(wasi.ERRNO_NOSPC) : Number(sizeBytes);
  }

  /** To be called when a name or a descriptor let go of the file. */
  letGo(): void {
    if (this.links > 0 || this.opens > 0) return;
    this.resize(0);
    this.#volume.giveInode();
  }

  /** The data is the first part of its buffer; the rest is 0 and lets it grow without a copy each time. */
  #setLength(length: number): void {
    const { buffer, length: before } = this.data;
    if (length > buffer.byteLength || length < buffer.byteLength / 2) return this.#move(length);
    this.data.fill(0, length);
    this.#volume.charge(Math.max(0, before - length));
    this.data = new Uint8Array(buffer, 0, length);
  }

  #move(length: number): void {
    const roomBytes = Math.max(length, Math.min(2 * this.data.length, this.#volume.bytesMax));
    const room = new Uint8Array(length > this.data.length ? roomBytes : length);
    this.#volume.charge(room.length);
    room.set(this.data.subarray(0, length));
    this.data = room.subarray(0, length);
  }
}

export class MemoryFolder extends Directory {
  /** The folder around it; undefined for the root. */
  above: MemoryFolder | undefined;
  /** Whether it has no name any more. Nothing can be made in it then. */
  isRemoved = false;
  times = noTimes;
  readonly volume: Volume;

  constructor(volume: Volume, above: MemoryFolder | undefined) {
    super(new Map());
    this.ino = volume.nextInode();
    this.volume = volume;
    this.above = above;
  }

  override stat(): wasi.Filestat {
    return withTimes(super.stat(), this, this.volume, 1n);
  }

  get(name: string): MemoryNode | undefined {
    // Everything in here has come in through make, link and move.
    return this.contents.get(name) as MemoryNode | undefined;
  }

  /** Makes a file or a folder under a name that is free. */
  make<Node extends MemoryNode>(name: string, maker: (volume: Volume, above: MemoryFolder) => Node): Node {
    this.#takeName(name);
    const node = maker(this.volume, this);
    this.#put(name, node);
    return node;
  }

  /** Gives a further name to a file. */
  link(name: string, file: MemoryFile): void {
    this.#takeName(name);
    this.#put(name, file);
  }

  /** Takes away a name, and what has none any more. */
  remove(name: string): void {
    const node = this.get(name);
    if (node === undefined) return;
    this.volume.giveBytes(Buffer.byteLength(name));
    this.contents.delete(name);
    dropName(node, this.volume);
  }

  /** Moves a node from one name to another one, over what is there. The caller has seen to it that it may. */
  move(name: string, to: MemoryFolder, newName: string): void {
    const node = this.get(name) ?? refuse(wasi.ERRNO_NOENT);
    if (to.isRemoved) refuse(wasi.ERRNO_NOENT);
    const before = to.get(newName);
    const moreBytes = (before ? 0 : Buffer.byteLength(newName)) - Buffer.byteLength(name);
    if (moreBytes > 0) this.volume.takeBytes(moreBytes);
    else this.volume.giveBytes(-moreBytes);
    this.contents.delete(name);
    to.contents.set(newName, node);
    if (node instanceof MemoryFolder) node.above = to;
    if (before) dropName(before, this.volume);
  }

  /** Whether it is the other one, or somewhere in it. */
  isWithin(other: MemoryFolder): boolean {
    let within = this.above;
    for (; within !== undefined && within !== other; within = within.above) this.volume.charge(stepBytes);
    return this === other || within === other;
  }

  list(): readonly Listed[] {
    this.volume.chargeListing(this.contents.size);
    const listed = (name: string, node: MemoryNode): Listed => ({
      name,
      inode: node.ino,
      filetype: node instanceof MemoryFolder ? wasi.FILETYPE_DIRECTORY : wasi.FILETYPE_REGULAR_FILE,
    });
    const own = [...this.contents.entries()].map(([name, node]) => listed(name, node as MemoryNode));
    return [listed('.', this), listed('..', this.above ?? this), ...own];
  }

  /** Each name counts, so that there are no more of them than files and directories may be. */
  #takeName(name: string): void {
    if (this.isRemoved) refuse(wasi.ERRNO_NOENT);
    this.volume.takeInode();
    try {
      this.volume.takeBytes(Buffer.byteLength(name));
    } catch (error) {
      this.volume.giveInode();
      throw error;
    }
  }

  #put(name: string, node: MemoryNode): void {
    this.contents.set(name, node);
    if (node instanceof MemoryFile) node.links++;
  }
}

function dropName(node: MemoryNode, volume: Volume): void {
  if (node instanceof MemoryFile) {
    node.links--;
    if (node.links > 0) volume.giveInode();
    else node.letGo();
  } else {
    node.isRemoved = true;
    volume.giveInode();
  }
}

function withTimes(stat: wasi.Filestat, node: MemoryNode, volume: Volume, links: bigint): wasi.Filestat {
  const { readNs, changedNs } = node.times;
  stat.dev = memoryDevice;
  stat.nlink = links;
  stat.atim = readNs ?? volume.timeNs;
  stat.mtim = changedNs ?? volume.timeNs;
  stat.ctim = volume.timeNs;
  return stat;
}

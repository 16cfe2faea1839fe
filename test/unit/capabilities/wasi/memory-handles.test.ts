import { type Fd, wasi } from '@bjorn3/browser_wasi_shim';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OpenMemoryFile, OpenMemoryFolder } from '../../../../src/capabilities/wasi/memory-handles.ts';
import { MemoryFile, MemoryFolder } from '../../../../src/capabilities/wasi/memory-nodes.ts';
import { Volume } from '../../../../src/capabilities/wasi/volume.ts';
import { fakeCall } from '../fakes.ts';
import { wasiGrant } from './guest.ts';

const bytesMax = 60;
const namesMax = 9;

type Step = readonly [what: number, path: string, other: string, amount: number];

const path = fc.constantFrom('a', 'b', 'long-name', 'a/a', 'a/b', 'b/a', 'a/a/a', 'a/b/long-name');
const step: fc.Arbitrary<Step> = fc.tuple(fc.nat({ max: 9 }), path, path, fc.nat({ max: 40 }));

/** Files in memory with what a program has open of them. */
class Files {
  readonly volume = new Volume(fakeCall(wasiGrant({ fileBytesMax: bytesMax, inodesMax: namesMax })));
  readonly folder = new MemoryFolder(this.volume, undefined);
  readonly root = new OpenMemoryFolder(this.folder);
  readonly open: OpenMemoryFile[] = [];

  do([what, path, other, amount]: Step): void {
    const file = this.open[amount % Math.max(1, this.open.length)];
    const actions = [
      () => this.#keep(this.root.path_open(0, path, wasi.OFLAGS_CREAT, 0n).fd_obj),
      () => this.#keep(this.root.path_open(0, path, wasi.OFLAGS_TRUNC, 0n).fd_obj),
      () => file?.fd_write(new Uint8Array(amount)),
      () => file?.fd_filestat_set_size(BigInt(amount)),
      () => this.root.path_unlink_file(path),
      () => this.root.path_create_directory(path),
      () => this.root.path_remove_directory(path),
      () => this.root.rename(path, this.root, other),
      () => this.root.path_link(other, this.root.path_lookup(path, 0).inode_obj ?? this.folder),
      () => this.open.splice(amount % Math.max(1, this.open.length), 1).map((one) => one.fd_close()),
    ];
    try {
      actions[what]?.();
    } catch (error) {
      expect(error).toHaveProperty('errno');
    }
  }

  /** Bytes and names that there really are, open files without a name counted as one name of no bytes. */
  count(): { bytes: number; names: number } {
    const names: string[] = [];
    const files = new Map<MemoryFile, number>(this.#opened());
    const look = (folder: MemoryFolder): void => {
      for (const [name, node] of folder.contents) {
        names.push(name);
        if (node instanceof MemoryFile) files.set(node, (files.get(node) ?? 0) + 1);
        if (node instanceof MemoryFolder) {
          expect(node.above).toBe(folder);
          look(node);
        }
      }
    };
    look(this.folder);
    for (const [file, links] of files) expect(file.links).toBe(links);
    const bytes = [...names.map((name) => name.length), ...[...files.keys()].map(({ data }) => data.length)];
    const nameless = [...files.values()].filter((links) => links === 0).length;
    return { bytes: bytes.reduce((sum, one) => sum + one, 0), names: names.length + nameless };
  }

  #keep(handle: Fd | null): void {
    if (handle instanceof OpenMemoryFile) this.open.push(handle);
  }

  #opened(): readonly [MemoryFile, number][] {
    return this.open.map((one): [MemoryFile, number] => [one.file as MemoryFile, 0]);
  }
}

test('Whatever is done to files, the quotas count what there really is', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 30, maxLength: 60, size: 'max' }), (steps) => {
      const files = new Files();
      for (const one of steps) {
        files.do(one);
        const { bytes, names } = files.count();
        expect([files.volume.bytesUsed, files.volume.inodesUsed], JSON.stringify(one)).toEqual([bytes, names]);
        expect(bytes <= bytesMax && names <= namesMax).toBe(true);
      }
    }),
    { numRuns: 200 },
  );
});

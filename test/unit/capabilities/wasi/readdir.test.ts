import { wasi } from '@bjorn3/browser_wasi_shim';
import { describe, expect, test } from 'vitest';
import { MemoryGuest, memoryBytes, root } from './guest.ts';

const u64Max = 2n ** 64n - 1n;

describe('fd_readdir', () => {
  test('gives entries with their kinds and numbers, "." and ".." first', () => {
    const guest = new MemoryGuest();
    guest.file('file');
    guest.mkdir('dir');
    guest.file('dir/inner');
    const entries = guest.entries(root);
    expect(entries.map(({ name, filetype, next }) => [name, filetype, next])).toEqual([
      ['.', 3, 1n],
      ['..', 3, 2n],
      ['file', 4, 3n],
      ['dir', 3, 4n],
    ]);
    expect(entries.map(({ inode }) => inode)).toEqual(['.', '.', 'file', 'dir'].map((path) => guest.stat(path).inode));
    const inside = guest.entries(guest.open('dir', { oflags: wasi.OFLAGS_DIRECTORY }));
    expect(inside.slice(0, 2).map(({ inode }) => inode)).toEqual([guest.stat('dir').inode, guest.stat('.').inode]);
  });

  test('goes on from a cookie, however small the buffer', () => {
    const guest = new MemoryGuest();
    for (let i = 0; i < 20; i++) guest.file(`file-${i}`);
    const names: string[] = [];
    for (let cookie = 0n; ; ) {
      const entries = guest.entries(root, cookie, 70);
      if (entries.length === 0) break;
      names.push(...entries.map(({ name }) => name));
      cookie = entries.at(-1)?.next ?? 0n;
    }
    expect(names).toEqual(['.', '..', ...Array.from({ length: 20 }, (_, i) => `file-${i}`)]);
  });

  test('cuts the last entry where the buffer ends, and fills it to the end', () => {
    const guest = new MemoryGuest();
    guest.file('name');
    for (const length of [0, 1, 24, 25, 26, 49, 50, 51, 52, 80]) {
      const pointer = guest.room(100);
      guest.memory.fill(0xaa, pointer, pointer + 100);
      const whole = 25 + 26 + 28;
      expect(guest.u32('fd_readdir', root, pointer, length, 0n)).toBe(Math.min(length, whole));
      const rest = guest.bytes(pointer + Math.min(length, whole), 10);
      expect(rest.every((byte) => byte === 0xaa)).toBe(true);
    }
  });

  test('shows each name once though names are taken away and added meanwhile', () => {
    const guest = new MemoryGuest();
    for (let i = 0; i < 6; i++) guest.file(`${i}`);
    const first = guest.entries(root, 0n, 25 + 26 + 3 * 25);
    expect(first.map(({ name }) => name)).toEqual(['.', '..', '0', '1', '2']);
    for (const name of ['0', '1', '2']) guest.unlink(name);
    guest.file('new');
    const rest = guest.entries(root, first.at(-1)?.next);
    expect(rest.map(({ name }) => name)).toEqual(['3', '4', '5']);
    expect(guest.entries(root).map(({ name }) => name)).toEqual(['.', '..', '3', '4', '5', 'new']);
  });

  test('gives nothing for cookies beyond the end, also at first', () => {
    const guest = new MemoryGuest();
    expect(guest.entries(root, 2n)).toEqual([]);
    expect(guest.entries(root, u64Max)).toEqual([]);
    expect(guest.entries(root, -1n)).toEqual([]);
    expect(guest.entries(root, 1n).map(({ name }) => name)).toEqual(['..']);
  });

  test('is for directories, and for buffers that are inside', () => {
    const guest = new MemoryGuest();
    expect(guest.errno('fd_readdir', guest.create('f'), 0, 100, 0n, 200)).toBe(54);
    expect(guest.errno('fd_readdir', 0, 0, 100, 0n, 200)).toBe(54);
    expect(guest.errno('fd_readdir', root, memoryBytes - 99, 100, 0n, 200)).toBe(21);
    expect(guest.errno('fd_readdir', root, 0, 100, 0n, memoryBytes - 3)).toBe(21);
  });

  test('charges for each entry of a listing', () => {
    const guest = new MemoryGuest();
    for (let i = 0; i < 50; i++) guest.file(`${i}`);
    const before = guest.call.chargedBytes;
    guest.errno('fd_readdir', root, 0, 1, 0n, 200);
    expect(guest.call.chargedBytes - before).toBeGreaterThanOrEqual(50 * 256);
  });
});

import { wasi } from '@bjorn3/browser_wasi_shim';
import { describe, expect, test } from 'vitest';
import { vectorsMax } from '../../../../src/capabilities/wasi/guest-memory.ts';
import { MemoryGuest, memoryBytes, root, wasiGrant } from './guest.ts';

const { WHENCE_CUR, WHENCE_END, WHENCE_SET } = wasi;
const u64Max = 2n ** 64n - 1n;

describe('Reading and writing', () => {
  test('move bytes at the position and tell how many', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    expect(guest.write(fd, 'hello world')).toBe(11);
    expect(guest.read(fd, 10)).toBe('');
    guest.seek(fd, 6n);
    expect(guest.read(fd, 3)).toBe('wor');
    expect(guest.read(fd, 100)).toBe('ld');
    expect(guest.statOf(fd).size).toBe(11n);
  });

  test('go through pieces in order, also when these overlap', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    const [at] = guest.text('abcdef');
    const pieces = [
      [at, 3],
      [at + 2, 0],
      [at + 1, 5],
      [at, 1],
    ] as const;
    expect(guest.u32('fd_write', fd, ...guest.vectors(...pieces))).toBe(9);
    expect(guest.content('f')).toBe('abcbcdefa');
    const into = guest.room(8);
    guest.seek(fd, 0n);
    expect(guest.u32('fd_read', fd, ...guest.vectors([into, 4], [into + 2, 4]))).toBe(8);
    expect(Buffer.from(guest.bytes(into, 6)).toString()).toBe('abcdef');
  });

  test('at an offset leave the position alone', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    guest.write(fd, 'abcdef');
    guest.seek(fd, 1n);
    expect(guest.u32('fd_pwrite', fd, ...guest.vectors(guest.text('XY'), guest.text('Z')), 3n)).toBe(3);
    const into = guest.room(4);
    expect(guest.u32('fd_pread', fd, ...guest.vectors([into, 2], [into + 2, 2]), 2n)).toBe(4);
    expect(Buffer.from(guest.bytes(into, 4)).toString()).toBe('cXYZ');
    expect(guest.u64('fd_tell', fd)).toBe(1n);
    expect(guest.u32('fd_pread', fd, ...guest.vectors([into, 2]), -1n)).toBe(0);
  });

  test('beyond the end leave zeros between', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    guest.write(fd, 'ab');
    guest.seek(fd, 4n);
    guest.write(fd, 'c');
    expect(guest.content('f')).toBe('ab\0\0c');
    guest.do('fd_filestat_set_size', fd, 1n);
    guest.do('fd_filestat_set_size', fd, 3n);
    expect(guest.content('f')).toBe('a\0\0');
  });

  test('append wherever the file ends by then', () => {
    const guest = new MemoryGuest();
    const one = guest.create('f', { flags: wasi.FDFLAGS_APPEND });
    const other = guest.create('f');
    guest.write(one, 'a');
    guest.write(other, 'bb');
    guest.write(one, 'c');
    expect(guest.content('f')).toBe('bbc');
    guest.do('fd_fdstat_set_flags', one, 0);
    guest.seek(one, 0n);
    guest.write(one, 'x');
    expect(guest.content('f')).toBe('xbc');
  });

  test('need the right that the file was opened with', () => {
    const guest = new MemoryGuest();
    guest.file('f', 'x');
    const reading = guest.open('f', { rights: BigInt(wasi.RIGHTS_FD_READ) });
    const writing = guest.open('f', { rights: BigInt(wasi.RIGHTS_FD_WRITE) });
    expect(guest.failing(() => guest.write(reading, 'y'))).toBe(8);
    expect(guest.failing(() => guest.read(writing, 1))).toBe(8);
    expect(guest.errno('fd_filestat_set_size', reading, 0n)).toBe(8);
    expect(guest.errno('fd_allocate', reading, 0n, 1n)).toBe(8);
    expect(guest.errno('fd_pread', writing, ...guest.vectors([0, 1]), 0n, 0)).toBe(8);
    expect(guest.errno('fd_pwrite', reading, ...guest.vectors([0, 1]), 0n, 0)).toBe(8);
    expect(guest.failing(() => guest.read(root, 1))).toBe(31);
  });

  test('charge for the bytes that they move', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    const before = guest.call.chargedBytes;
    guest.write(fd, 'x'.repeat(1_000));
    const written = guest.call.chargedBytes - before;
    expect(written).toBeGreaterThanOrEqual(1_000);
    guest.seek(fd, 0n);
    guest.read(fd, 2_000);
    expect(guest.call.chargedBytes - before - written).toBeGreaterThanOrEqual(1_000);
  });

  test('take as many pieces as the bound, and not one more', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    guest.memory.fill(0);
    expect(guest.errno('fd_write', fd, 0, vectorsMax, memoryBytes - 4)).toBe(0);
    expect(guest.errno('fd_write', fd, 0, vectorsMax + 1, memoryBytes - 4)).toBe(28);
    expect(guest.errno('fd_read', fd, 0, vectorsMax + 1, memoryBytes - 4)).toBe(28);
    expect(guest.errno('fd_read', fd, 0, -1, memoryBytes - 4)).toBe(28);
  });

  test.each(['fd_read', 'fd_write'])('%s refuses pieces and results that are not inside, and moves nothing', (name) => {
    const guest = new MemoryGuest({ input: Buffer.from('input') });
    const fd = name === 'fd_read' ? 0 : guest.create('f');
    const good = guest.text('good');
    expect(guest.errno(name, fd, ...guest.vectors(good, [memoryBytes - 3, 4]), 0)).toBe(21);
    expect(guest.errno(name, fd, ...guest.vectors(good, [0xffff_ffff, 0xffff_ffff]), 0)).toBe(21);
    expect(guest.errno(name, fd, ...guest.vectors(good), memoryBytes - 3)).toBe(21);
    expect(guest.errno(name, fd, memoryBytes - 7, 1, 0)).toBe(21);
    if (name === 'fd_read') expect(guest.read(0, 10)).toBe('input');
    else expect(guest.content('f')).toBe('');
    expect(guest.errno(name, fd, ...guest.vectors([memoryBytes, 0]), memoryBytes - 4)).toBe(0);
  });
});

describe('Seeking', () => {
  test('counts from the beginning, the position and the end', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    guest.write(fd, '0123456789');
    expect(guest.seek(fd, 4n, WHENCE_SET)).toBe(4n);
    expect(guest.seek(fd, -2n, WHENCE_CUR)).toBe(2n);
    expect(guest.seek(fd, -1n, WHENCE_END)).toBe(9n);
    expect(guest.seek(fd, 5n, WHENCE_END)).toBe(15n);
    expect(guest.u64('fd_tell', fd)).toBe(15n);
  });

  test('refuses to go before the beginning or beyond what a position can be, and stays', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    guest.seek(fd, 3n);
    expect(guest.failing(() => guest.seek(fd, -4n, WHENCE_CUR))).toBe(28);
    expect(guest.failing(() => guest.seek(fd, 0n, 3))).toBe(28);
    expect(guest.seek(fd, 2n ** 63n - 1n)).toBe(2n ** 63n - 1n);
    expect(guest.failing(() => guest.seek(fd, 1n, WHENCE_CUR))).toBe(28);
    expect(guest.u64('fd_tell', fd)).toBe(2n ** 63n - 1n);
    expect(guest.read(fd, 10)).toBe('');
    expect(guest.failing(() => guest.write(fd, 'x'))).toBe(51);
  });

  test('is for files alone', () => {
    const guest = new MemoryGuest();
    expect([0, 1, 2].map((fd) => guest.failing(() => guest.seek(fd, 0n)))).toEqual([70, 70, 70]);
    expect(guest.errno('fd_tell', 0, 0)).toBe(70);
    expect(guest.errno('fd_pread', 0, ...guest.vectors([0, 1]), 0n, 0)).toBe(70);
    expect(guest.errno('fd_pwrite', 1, ...guest.vectors([0, 1]), 0n, 0)).toBe(70);
    expect(guest.failing(() => guest.seek(root, 0n))).toBe(8);
    expect(guest.errno('fd_seek', guest.create('f'), 0n, 0, memoryBytes - 7)).toBe(21);
  });
});

describe('Sizes', () => {
  test('are set and allocated within the quota', () => {
    const guest = new MemoryGuest(wasiGrant({ fileBytesMax: 101 }));
    const fd = guest.create('f');
    guest.do('fd_allocate', fd, 0n, 50n);
    expect(guest.statOf(fd).size).toBe(50n);
    guest.do('fd_allocate', fd, 10n, 10n);
    expect(guest.statOf(fd).size).toBe(50n);
    guest.do('fd_filestat_set_size', fd, 100n);
    expect(guest.errno('fd_filestat_set_size', fd, 101n)).toBe(51);
    expect(guest.errno('fd_filestat_set_size', fd, -1n)).toBe(51);
    expect(guest.errno('fd_allocate', fd, 50n, 51n)).toBe(51);
    expect(guest.errno('fd_allocate', fd, u64Max, u64Max)).toBe(51);
    expect(guest.errno('fd_allocate', fd, 0n, 0n)).toBe(28);
    expect(guest.statOf(fd).size).toBe(100n);
    guest.do('fd_filestat_set_size', fd, 0n);
    expect(guest.statOf(fd).size).toBe(0n);
  });
});

describe('Times', () => {
  const nowNs = 1_750_000_000_000_000_000n;

  test('are the same for every file of a call, and asked for once', () => {
    const guest = new MemoryGuest();
    guest.file('f');
    guest.mkdir('d');
    expect(guest.call.asked).toEqual([]);
    expect(guest.stat('f').times).toEqual([nowNs, nowNs, nowNs]);
    expect(guest.stat('d').times).toEqual([nowNs, nowNs, nowNs]);
    expect(guest.call.asked).toHaveLength(1);
  });

  test('are set one by one, to a time or to now', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    guest.do('fd_filestat_set_times', fd, 5n, 7n, wasi.FSTFLAGS_ATIM);
    expect(guest.statOf(fd).times).toEqual([5n, nowNs, nowNs]);
    guest.do('fd_filestat_set_times', fd, 5n, 7n, wasi.FSTFLAGS_MTIM | wasi.FSTFLAGS_ATIM_NOW);
    expect(guest.statOf(fd).times).toEqual([nowNs, 7n, nowNs]);
    guest.do('fd_filestat_set_times', fd, 0n, -1n, wasi.FSTFLAGS_MTIM);
    expect(guest.statOf(fd).times[1]).toBe(u64Max);
    guest.do('fd_filestat_set_times', root, 1n, 2n, wasi.FSTFLAGS_MTIM);
    expect(guest.stat('.').times).toEqual([nowNs, 2n, nowNs]);
  });

  test('are not set by flags that contradict each other or that nobody knows', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    expect([3, 12, 16].map((flags) => guest.errno('fd_filestat_set_times', fd, 1n, 1n, flags))).toEqual([28, 28, 28]);
    expect(guest.errno('fd_filestat_set_times', 0, 1n, 1n, 1)).toBe(58);
  });
});

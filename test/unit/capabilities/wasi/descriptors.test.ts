import { wasi } from '@bjorn3/browser_wasi_shim';
import { describe, expect, test } from 'vitest';
import {
  type Descriptor,
  DescriptorTable,
  listedEntriesMax,
  preopenedRights,
} from '../../../../src/capabilities/wasi/descriptors.ts';
import { InputStream } from '../../../../src/capabilities/wasi/streams.ts';
import { MemoryGuest, memoryBytes, root, wasiGrant } from './guest.ts';

/** Descriptors that could have listings. */
function descriptorsOf(table: DescriptorTable, count: number): readonly Descriptor[] {
  return Array.from({ length: count }, (_, fd) => {
    table.addFirst(new InputStream(new Uint8Array()), preopenedRights);
    return table.get(fd);
  });
}

const entries = (length: number) => Array.from({ length }, () => ({ name: 'n', inode: 1n, filetype: 4 }));

describe('Listings', () => {
  test('are kept as long as they have no more entries together than the bound', () => {
    const table = new DescriptorTable(0);
    const [one, two, three] = descriptorsOf(table, 3) as [Descriptor, Descriptor, Descriptor];
    table.list(one, entries(1));
    table.list(two, entries(listedEntriesMax - 2));
    table.list(three, entries(1));
    expect([one, two, three].map(({ listing }) => listing?.length)).toEqual([1, listedEntriesMax - 2, 1]);
    table.list(three, entries(2));
    expect([one, two, three].map(({ listing }) => listing?.length)).toEqual([undefined, listedEntriesMax - 2, 2]);
  });

  test('that were begun anew are the youngest, and the last one always stays', () => {
    const table = new DescriptorTable(0);
    const [one, two] = descriptorsOf(table, 2) as [Descriptor, Descriptor];
    table.list(one, entries(1));
    table.list(two, entries(1));
    table.list(one, entries(listedEntriesMax + 1));
    expect([one, two].map(({ listing }) => listing?.length)).toEqual([listedEntriesMax + 1, undefined]);
  });

  test('of closed descriptors count no more', () => {
    const table = new DescriptorTable(0);
    const [one, two, three] = descriptorsOf(table, 3) as [Descriptor, Descriptor, Descriptor];
    table.list(one, entries(1));
    table.list(two, entries(listedEntriesMax - 1));
    table.close(1);
    table.list(three, entries(listedEntriesMax - 1));
    expect(one.listing).toHaveLength(1);
  });
});

describe('Descriptors', () => {
  test('of standard streams and preopened directories come first, then the lowest free number', () => {
    const guest = new MemoryGuest();
    const [one, two, three] = [guest.create('1'), guest.create('2'), guest.create('3')];
    expect([one, two, three]).toEqual([4, 5, 6]);
    guest.close(5);
    guest.close(4);
    expect([guest.create('4'), guest.create('5'), guest.create('6')]).toEqual([4, 5, 7]);
  });

  test('may be as many as granted, and not one more', () => {
    const guest = new MemoryGuest(wasiGrant({ descriptorsMax: 2 }));
    guest.file('f');
    const first = guest.open('f');
    guest.open('f');
    expect(guest.failing(() => guest.open('f'))).toBe(41);
    expect(guest.failing(() => guest.create('new'))).toBe(41);
    expect(guest.entries(root).map(({ name }) => name)).toEqual(['.', '..', 'f']);
    guest.close(first);
    expect(guest.open('f')).toBe(first);
  });

  test('that are closed, or never were, are bad', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    guest.close(fd);
    for (const bad of [fd, 99, -1]) {
      expect(guest.errno('fd_close', bad)).toBe(8);
      expect(guest.errno('fd_sync', bad)).toBe(8);
      expect(guest.errno('fd_datasync', bad)).toBe(8);
      expect(guest.errno('fd_fdstat_get', bad, 0)).toBe(8);
      expect(guest.errno('fd_advise', bad, 0n, 0n, 0)).toBe(8);
      expect(guest.failing(() => guest.read(bad, 1))).toBe(8);
      expect(guest.failing(() => guest.mkdir('d', bad))).toBe(8);
      expect(guest.errno('fd_renumber', bad, 1)).toBe(8);
      expect(guest.errno('fd_renumber', 1, bad)).toBe(8);
    }
  });

  test('are renumbered onto another one, which is closed', () => {
    const guest = new MemoryGuest(wasiGrant({ descriptorsMax: 2 }));
    const one = guest.create('1');
    const two = guest.create('2');
    guest.do('fd_renumber', one, one);
    guest.do('fd_renumber', one, two);
    guest.write(two, 'x');
    expect(guest.failing(() => guest.write(one, 'x'))).toBe(8);
    expect(guest.content('1')).toBe('x');
    expect(guest.create('3')).toBe(one);
  });

  test('replace a standard stream', () => {
    const guest = new MemoryGuest({ functionName: '_start' });
    const fd = guest.create('f');
    guest.do('fd_renumber', fd, 1);
    guest.write(1, 'to the file');
    expect(guest.content('f')).toBe('to the file');
    expect(guest.family.output?.()).toBeUndefined();
  });

  test('sync, advise and tell nothing new', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    expect([guest.errno('fd_sync', fd), guest.errno('fd_datasync', fd), guest.errno('fd_sync', 1)]).toEqual([0, 0, 0]);
    expect(guest.errno('fd_advise', fd, 0n, 0n, 5)).toBe(0);
    expect(guest.errno('fd_advise', fd, 0n, 0n, 6)).toBe(28);
    expect(guest.errno('fd_advise', root, 0n, 0n, 0)).toBe(8);
  });

  test('of preopened directories have their names', () => {
    const guest = new MemoryGuest();
    guest.do('fd_prestat_get', root, 0);
    expect([...guest.bytes(0, 8)]).toEqual([0, 0, 0, 0, 1, 0, 0, 0]);
    guest.do('fd_prestat_dir_name', root, 16, 1);
    expect(Buffer.from(guest.bytes(16, 2)).toString()).toBe('/\0');
    expect(guest.errno('fd_prestat_dir_name', root, 16, 0)).toBe(37);
    expect(guest.errno('fd_prestat_dir_name', root, memoryBytes, 1)).toBe(21);
    expect(guest.errno('fd_prestat_get', root, memoryBytes - 7)).toBe(21);
    guest.mkdir('d');
    expect([0, 4, guest.open('d')].map((fd) => guest.errno('fd_prestat_get', fd, 0))).toEqual([8, 8, 8]);
  });
});

describe('Flags and rights of a descriptor', () => {
  const stat = (guest: MemoryGuest, fd: number) => {
    guest.do('fd_fdstat_get', fd, 0);
    return {
      filetype: guest.data.getUint8(0),
      flags: guest.data.getUint16(2, true),
      rights: guest.data.getBigUint64(8, true),
      inheriting: guest.data.getBigUint64(16, true),
    };
  };
  const [read, write, seek] = [BigInt(wasi.RIGHTS_FD_READ), BigInt(wasi.RIGHTS_FD_WRITE), BigInt(wasi.RIGHTS_FD_SEEK)];

  test('tell what it is', () => {
    const guest = new MemoryGuest();
    guest.file('f');
    const file = stat(guest, guest.open('f', { rights: read | (2n ** 60n) }));
    expect(file).toMatchObject({ filetype: 4, flags: 0, inheriting: 0n });
    expect(file.rights & (read | write | seek)).toBe(read | seek);
    expect(stat(guest, root)).toMatchObject({ filetype: 3 });
    expect(stat(guest, root).inheriting & (read | write)).toBe(read | write);
    expect(guest.errno('fd_fdstat_get', root, memoryBytes - 23)).toBe(21);
  });

  test('of the streams make the output of a plugin a terminal, and that of a command none', () => {
    const types = (functionName: string) => {
      const guest = new MemoryGuest({ functionName });
      return [0, 1, 2].map((fd) => stat(guest, fd).filetype);
    };
    expect(types('run')).toEqual([0, 2, 0]);
    expect(types('_start')).toEqual([0, 0, 0]);
    const guest = new MemoryGuest();
    expect([0, 1, 2].map((fd) => stat(guest, fd).rights & (read | write | seek))).toEqual([read, write, write]);
    expect([0, 1].map((fd) => guest.statOf(fd))).toMatchObject([
      { filetype: 0, size: 0n },
      { filetype: 2, size: 0n },
    ]);
  });

  test('are kept as they are set', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f', { flags: wasi.FDFLAGS_APPEND });
    expect(stat(guest, fd).flags).toBe(1);
    guest.do('fd_fdstat_set_flags', fd, wasi.FDFLAGS_NONBLOCK);
    expect(stat(guest, fd).flags).toBe(4);
    guest.do('fd_fdstat_set_flags', 0, wasi.FDFLAGS_NONBLOCK);
    guest.do('fd_fdstat_set_flags', root, 0);
    expect(guest.errno('fd_fdstat_set_flags', fd, 32)).toBe(28);
  });

  test('can be given up and not taken', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    guest.do('fd_fdstat_set_rights', fd, read, 0n);
    expect(guest.failing(() => guest.write(fd, 'x'))).toBe(8);
    expect(guest.errno('fd_fdstat_set_rights', fd, read | write, 0n)).toBe(76);
    expect(guest.errno('fd_fdstat_set_rights', fd, read, 1n)).toBe(76);
    expect(guest.errno('fd_fdstat_set_rights', fd, -1n, 0n)).toBe(76);
    expect(stat(guest, fd).rights).toBe(read);
  });
});

import { wasi } from '@bjorn3/browser_wasi_shim';
import { describe, expect, test } from 'vitest';
import { mountPieceBytes } from '../../../../src/capabilities/wasi/mount-view.ts';
import { mountCodes, mountOperations, readMountRequest } from '../../../../src/capabilities/wasi/outside.ts';
import { MemoryGuest, memoryBytes, root, wasiGrant } from './guest.ts';
import { changedNs, mountedAnswer, type Tree } from './mounted.ts';

const { OFLAGS_CREAT, OFLAGS_DIRECTORY, OFLAGS_EXCL, OFLAGS_TRUNC } = wasi;
const writing = BigInt(wasi.RIGHTS_FD_WRITE);

/** Descriptors of the mounts. */
const [data, more] = [4, 5];

const mounts: Tree = {
  data: { 'a.txt': 'hello world', sub: { 'b.txt': 'inner', deep: { c: '' } }, empty: {} },
  'more-name': { only: 'x' },
};

function guestWith(tree: Tree = mounts, bounds: Parameters<typeof wasiGrant>[0] = {}): MemoryGuest {
  const granted = [
    { guestPath: '/data', name: 'data' },
    { guestPath: '/mnt/more', name: 'more-name' },
  ];
  return new MemoryGuest({ ...wasiGrant({ mounts: granted, ...bounds }), answer: mountedAnswer(tree) });
}

/** What was asked of mounts, as "operation mount/path". */
function asked(guest: MemoryGuest): readonly string[] {
  const names = Object.fromEntries(Object.entries(mountOperations).map(([name, code]) => [code, name]));
  return guest.call.asked
    .filter(({ operation }) => operation === 'wasi.mount')
    .map(({ request }) => readMountRequest(request))
    .map(({ operation, mount, path }) => `${names[operation]} ${mount}/${path}`);
}

describe('Mounts', () => {
  test('are preopened under the paths that the grant gives them, and nothing is asked before they are used', () => {
    const guest = guestWith();
    const names = [root, data, more].map((fd) => {
      guest.do('fd_prestat_get', fd, 0);
      const length = guest.data.getUint32(4, true);
      guest.do('fd_prestat_dir_name', fd, 16, length);
      return Buffer.from(guest.bytes(16, length)).toString();
    });
    expect(names).toEqual(['/', '/data', '/mnt/more']);
    expect(guest.errno('fd_prestat_get', 6, 0)).toBe(8);
    expect(asked(guest)).toEqual([]);
  });

  test('are no part of the directory in memory', () => {
    const guest = guestWith();
    expect(guest.names()).toEqual(['.', '..']);
    guest.file('data', 'own');
    expect(guest.content('a.txt', data)).toBe('hello world');
  });

  test('are read, sought and looked at', () => {
    const guest = guestWith();
    const fd = guest.open('a.txt', { in: data });
    expect(guest.read(fd, 5)).toBe('hello');
    expect(guest.u64('fd_tell', fd)).toBe(5n);
    expect(guest.seek(fd, -5n, wasi.WHENCE_END)).toBe(6n);
    expect(guest.seek(fd, 1n, wasi.WHENCE_CUR)).toBe(7n);
    expect(guest.read(fd, 100)).toBe('orld');
    expect(guest.read(fd, 100)).toBe('');
    expect(guest.failing(() => guest.seek(fd, -1n))).toBe(28);
    expect(guest.failing(() => guest.seek(fd, 0n, 7))).toBe(28);
    expect(guest.failing(() => guest.seek(fd, 2n ** 63n - 1n, wasi.WHENCE_END))).toBe(28);
    expect(guest.u64('fd_tell', fd)).toBe(11n);
    const into = guest.room(3);
    expect(guest.u32('fd_pread', fd, ...guest.vectors([into, 3]), 4n)).toBe(3);
    expect(Buffer.from(guest.bytes(into, 3)).toString()).toBe('o w');
    expect(guest.u32('fd_pread', fd, ...guest.vectors([into, 3]), -1n)).toBe(0);
    expect(guest.statOf(fd)).toEqual(guest.stat('a.txt', data));
    expect(guest.stat('a.txt', data)).toMatchObject({
      device: 2n,
      filetype: 4,
      size: 11n,
      links: 1n,
      times: [changedNs, changedNs, changedNs],
    });
    expect(guest.stat('only', more)).toMatchObject({ device: 3n });
  });

  test('are walked below their directories, and never out of them', () => {
    const guest = guestWith();
    const sub = guest.open('sub', { in: data, oflags: OFLAGS_DIRECTORY });
    expect(guest.content('b.txt', sub)).toBe('inner');
    expect(guest.content('deep/../b.txt', sub)).toBe('inner');
    expect(guest.stat('.', sub)).toEqual(guest.stat('sub', data));
    expect(guest.failing(() => guest.open('../a.txt', { in: sub }))).toBe(76);
    expect(guest.failing(() => guest.open('a.txt/', { in: data }))).toBe(54);
    expect(guest.failing(() => guest.open('x', { in: data }))).toBe(44);
    expect(guest.failing(() => guest.open('a.txt', { in: data, oflags: OFLAGS_DIRECTORY }))).toBe(54);
    const entries = guest.entries(sub);
    expect(entries.map(({ name, filetype }) => [name, filetype])).toEqual([
      ['.', 3],
      ['..', 3],
      ['b.txt', 4],
      ['deep', 3],
    ]);
    expect(entries.map(({ inode }) => inode)).toEqual(
      ['sub', '.', 'sub/b.txt', 'sub/deep'].map((path) => guest.stat(path, data).inode),
    );
    const top = guest.entries(data);
    expect(top.map(({ name }) => name)).toEqual(['.', '..', 'a.txt', 'sub', 'empty']);
    expect(top[0]?.inode).toBe(top[1]?.inode);
  });

  test('cannot be changed in any way', () => {
    const guest = guestWith();
    guest.file('own', 'x');
    const readOnly = 69;
    const open = (path: string, oflags: number, rights = 0n) =>
      guest.failing(() => guest.open(path, { in: data, oflags, rights }));
    expect(open('a.txt', 0, writing)).toBe(readOnly);
    expect(open('a.txt', OFLAGS_TRUNC)).toBe(readOnly);
    expect(open('new', OFLAGS_CREAT)).toBe(readOnly);
    expect(open('a.txt', OFLAGS_CREAT | OFLAGS_EXCL)).toBe(20);
    expect(open('a.txt', OFLAGS_CREAT)).toBe(0);
    expect(open('sub', 0, writing)).toBe(31);
    expect(open('sub', OFLAGS_DIRECTORY, writing)).toBe(0);
    expect(guest.failing(() => guest.mkdir('new', data))).toBe(readOnly);
    expect(guest.failing(() => guest.mkdir('sub', data))).toBe(20);
    expect(guest.failing(() => guest.unlink('a.txt', data))).toBe(readOnly);
    expect(guest.failing(() => guest.rmdir('empty', data))).toBe(readOnly);
    expect(guest.failing(() => guest.rename('a.txt', 'b', data, data))).toBe(readOnly);
    expect(guest.failing(() => guest.rename('own', 'b', root, data))).toBe(readOnly);
    expect(guest.failing(() => guest.rename('a.txt', 'b', data, root))).toBe(readOnly);
    expect(guest.failing(() => guest.link('a.txt', 'b', data, root))).toBe(readOnly);
    expect(guest.failing(() => guest.link('own', 'b', root, data))).toBe(readOnly);
    expect(guest.errno('path_filestat_set_times', data, 0, ...guest.text('a.txt'), 1n, 1n, 1)).toBe(readOnly);
    expect(guest.errno('path_symlink', ...guest.text('x'), data, ...guest.text('y'))).toBe(58);
    expect(guest.errno('path_readlink', data, ...guest.text('a.txt'), 0, 10, 20)).toBe(28);
    expect(guest.errno('path_readlink', data, ...guest.text('x'), 0, 10, 20)).toBe(44);
    const fd = guest.open('a.txt', { in: data });
    expect(guest.failing(() => guest.write(fd, 'x'))).toBe(8);
    expect(guest.errno('fd_filestat_set_size', fd, 0n)).toBe(8);
    expect(guest.errno('fd_allocate', fd, 0n, 100n)).toBe(8);
    expect(guest.errno('fd_filestat_set_times', fd, 1n, 1n, 1)).toBe(readOnly);
    expect(guest.errno('fd_fdstat_set_flags', fd, wasi.FDFLAGS_APPEND)).toBe(0);
    expect(guest.failing(() => guest.seek(data, 0n))).toBe(8);
    expect(guest.errno('fd_tell', data, 0)).toBe(8);
  });
});

describe('What is asked of a mount', () => {
  test('is asked once, also when there is nothing', () => {
    const guest = guestWith();
    for (let i = 0; i < 3; i++) {
      expect(guest.content('sub/b.txt', data)).toBe('inner');
      expect(guest.failing(() => guest.stat('none', data))).toBe(44);
      guest.entries(data);
    }
    expect(asked(guest)).toEqual(['stat data/sub/b.txt', 'read data/sub/b.txt', 'stat data/none', 'list data/']);
  });

  test('is read in pieces, only those that are needed', () => {
    const content = 'x'.repeat(mountPieceBytes) + 'y'.repeat(mountPieceBytes) + 'z';
    const guest = guestWith({ data: { big: content } });
    const fd = guest.open('big', { in: data });
    guest.seek(fd, BigInt(mountPieceBytes - 2));
    expect(guest.read(fd, 4)).toBe('xxyy');
    guest.seek(fd, BigInt(2 * mountPieceBytes));
    expect(guest.read(fd, 4)).toBe('z');
    const ranges = guest.call.asked.map(({ request }) => readMountRequest(request)).slice(1);
    expect(ranges.map(({ offset, length }) => [offset, length])).toEqual([
      [0, mountPieceBytes],
      [mountPieceBytes, mountPieceBytes],
      [2 * mountPieceBytes, 1],
    ]);
  });

  test('is kept up to the quota, and refused beyond', () => {
    const content = 'x'.repeat(3_000);
    const size = { one: 3_000 + 512, path: 2 * (1 + 512) };
    const tree = { data: { a: content, b: content } };
    const enough = guestWith(tree, { fileBytesMax: 2 * (size.one + size.path) });
    expect(enough.content('a', data) + enough.content('b', data)).toHaveLength(6_000);
    const short = guestWith(tree, { fileBytesMax: 2 * (size.one + size.path) - 1 });
    expect(short.content('a', data)).toHaveLength(3_000);
    expect(short.failing(() => short.content('b', data))).toBe(19);
    expect(short.content('a', data)).toHaveLength(3_000);
    short.file('own', 'x'.repeat(3_000));
  });

  test('is asked once also if it cannot be listed, or if there is no room to keep it', () => {
    const entries = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${i}`, '']));
    const guest = guestWith({ data: { full: entries } }, { fileBytesMax: 5_000 });
    const full = guest.open('full', { in: data });
    const list = (fd: number) => guest.errno('fd_readdir', fd, 0, 100, 0n, 200);
    expect([list(full), list(full)]).toEqual([19, 19]);
    expect(asked(guest)).toEqual(['stat data/full', 'list data/full']);
  });

  test('that cannot be had is told as what it is', () => {
    const codes = Object.entries(mountCodes).filter(([name]) => name !== 'ok');
    const tree = { data: Object.fromEntries([...codes, ['unheard', 77]]) };
    const guest = guestWith(tree);
    const errnos = [...codes.map(([name]) => name), 'unheard'].map((name) => [
      name,
      guest.failing(() => guest.stat(name, data)),
    ]);
    expect(Object.fromEntries(errnos)).toEqual({
      notFound: 44,
      notFolder: 54,
      isFolder: 31,
      accessDenied: 2,
      tooManyEntries: 61,
      failed: 29,
      unheard: 29,
    });
  });

  test('that fails while a file is read ends the read with what was read before', () => {
    let isBroken = false;
    const content = 'x'.repeat(2 * mountPieceBytes);
    const answer = mountedAnswer({ data: { f: content } });
    const guest = new MemoryGuest({
      ...wasiGrant({ mounts: [{ guestPath: '/data', name: 'data' }] }),
      answer: (operation, request) => (isBroken ? { code: 6, payload: new Uint8Array() } : answer(operation, request)),
    });
    const fd = guest.open('f', { in: data });
    guest.seek(fd, BigInt(mountPieceBytes - 3));
    guest.read(fd, 1);
    isBroken = true;
    expect(guest.read(fd, 100)).toBe('xx');
    expect(guest.failing(() => guest.read(fd, 100))).toBe(29);
    isBroken = false;
    expect(guest.read(fd, 2)).toBe('xx');
  });

  test('refuses paths that get too long below each other', () => {
    const guest = guestWith();
    const name = 'n'.repeat(250);
    const tree = Array.from({ length: 20 }, () => name).reduce<Tree>((inner, name) => ({ [name]: inner }), {});
    const deep = guestWith({ data: tree });
    let fd: number = data;
    for (let depth = 0; depth < 16; depth++) fd = deep.open(name, { in: fd });
    expect(deep.failing(() => deep.open(name, { in: fd }))).toBe(37);
    expect(guest.failing(() => guest.open(name, { in: data }))).toBe(44);
  });
});

test('Reading into nowhere is refused before anything is asked', () => {
  const guest = guestWith();
  const fd = guest.open('a.txt', { in: data });
  const before = guest.call.asked.length;
  expect(guest.errno('fd_read', fd, ...guest.vectors([memoryBytes - 1, 2]), 0)).toBe(21);
  expect(guest.call.asked).toHaveLength(before);
});

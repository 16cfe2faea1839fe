import { wasi } from '@bjorn3/browser_wasi_shim';
import { describe, expect, test } from 'vitest';
import { MemoryGuest, memoryBytes, root } from './guest.ts';

const { OFLAGS_CREAT, OFLAGS_DIRECTORY, OFLAGS_EXCL, OFLAGS_TRUNC } = wasi;
const writing = BigInt(wasi.RIGHTS_FD_WRITE);

/** A directory "d" with a file "f" and a directory "e" in it, and a file "g" beside it. */
function tree(): MemoryGuest {
  const guest = new MemoryGuest();
  guest.mkdir('d');
  guest.mkdir('d/e');
  guest.file('d/f', 'in d');
  guest.file('g', 'beside');
  return guest;
}

describe('path_open', () => {
  test('opens what is there, relative to any directory', () => {
    const guest = tree();
    const folder = guest.open('d/');
    expect(guest.content('f', folder)).toBe('in d');
    expect(guest.content('./e/../f', folder)).toBe('in d');
    expect(guest.failing(() => guest.open('../g', { in: folder }))).toBe(76);
    expect(guest.failing(() => guest.open('/g', { in: folder }))).toBe(76);
  });

  test('makes files only when asked, and only where there is a directory', () => {
    const guest = tree();
    expect(guest.failing(() => guest.open('new'))).toBe(44);
    guest.close(guest.open('new', { oflags: OFLAGS_CREAT }));
    expect(guest.content('new')).toBe('');
    expect(guest.failing(() => guest.create('nowhere/new'))).toBe(44);
    expect(guest.failing(() => guest.create('g/new'))).toBe(54);
    expect(guest.failing(() => guest.create('newer/'))).toBe(31);
  });

  test('keeps to what its flags ask', () => {
    const guest = tree();
    const open = (path: string, oflags: number, rights = 0n) =>
      guest.failing(() => guest.open(path, { oflags, rights }));
    expect(open('g', OFLAGS_CREAT | OFLAGS_EXCL)).toBe(20);
    expect(open('d', OFLAGS_CREAT | OFLAGS_EXCL)).toBe(20);
    expect(open('g', OFLAGS_EXCL)).toBe(0);
    expect(open('g', OFLAGS_DIRECTORY)).toBe(54);
    expect(open('g/', 0)).toBe(54);
    expect(open('d', OFLAGS_DIRECTORY, writing)).toBe(0);
    expect(open('d', 0, writing)).toBe(31);
    expect(open('d', OFLAGS_TRUNC)).toBe(31);
    expect(open('x', OFLAGS_CREAT | OFLAGS_DIRECTORY)).toBe(28);
    expect(open('g', 16)).toBe(28);
    expect(guest.failing(() => guest.open('g', { flags: 32 }))).toBe(28);
    expect(guest.content('g')).toBe('beside');
    expect(open('g', OFLAGS_TRUNC, writing)).toBe(0);
    expect(guest.content('g')).toBe('');
  });

  test('makes nothing that it cannot tell of', () => {
    const guest = new MemoryGuest();
    const rest = [OFLAGS_CREAT, 0n, 0n, 0] as const;
    expect(guest.errno('path_open', root, 0, ...guest.text('f'), ...rest, memoryBytes - 3)).toBe(21);
    expect(guest.errno('path_open', root, 0, memoryBytes - 1, 2, ...rest, 0)).toBe(21);
    expect(guest.errno('path_open', root, 0, ...guest.text(Uint8Array.of(0xff)), ...rest, 0)).toBe(25);
    expect(guest.errno('path_open', 0, 0, ...guest.text('f'), ...rest, 0)).toBe(54);
    expect(guest.names()).toEqual(['.', '..']);
  });
});

describe('path_filestat_get', () => {
  test('tells kind, size, number and links', () => {
    const guest = tree();
    expect(guest.stat('d/f')).toMatchObject({ device: 1n, filetype: 4, size: 4n, links: 1n });
    expect(guest.stat('d')).toMatchObject({ device: 1n, filetype: 3, size: 0n, links: 1n });
    expect(guest.stat('./d/e/..')).toEqual(guest.stat('d'));
    const inodes = ['.', 'd', 'd/e', 'd/f', 'g'].map((path) => guest.stat(path).inode);
    expect(new Set(inodes).size).toBe(5);
    expect(guest.failing(() => guest.stat('x'))).toBe(44);
    expect(guest.failing(() => guest.stat('g/'))).toBe(54);
    expect(guest.errno('path_filestat_get', root, 0, ...guest.text('g'), memoryBytes - 63)).toBe(21);
  });

  test('gives the same numbers in every call', () => {
    expect(tree().stat('d/f')).toEqual(tree().stat('d/f'));
  });
});

describe('Directories', () => {
  test('are made where there is nothing, and removed when they are empty', () => {
    const guest = tree();
    expect(guest.failing(() => guest.mkdir('d'))).toBe(20);
    expect(guest.failing(() => guest.mkdir('g'))).toBe(20);
    expect(guest.failing(() => guest.mkdir('.'))).toBe(28);
    expect(guest.failing(() => guest.mkdir('x/y'))).toBe(44);
    expect(guest.failing(() => guest.rmdir('d'))).toBe(55);
    expect(guest.failing(() => guest.rmdir('g'))).toBe(54);
    expect(guest.failing(() => guest.rmdir('x'))).toBe(44);
    expect(guest.failing(() => guest.rmdir('.'))).toBe(28);
    guest.mkdir('new/');
    guest.rmdir('new/');
    guest.rmdir('d/e');
    guest.unlink('d/f');
    guest.rmdir('d');
    expect(guest.names()).toEqual(['.', '..', 'g']);
  });

  test('that were removed take nothing new', () => {
    const guest = new MemoryGuest();
    guest.mkdir('d');
    guest.file('f');
    const fd = guest.open('d');
    guest.rmdir('d');
    expect(guest.failing(() => guest.create('x', { in: fd }))).toBe(44);
    expect(guest.failing(() => guest.mkdir('x', fd))).toBe(44);
    expect(guest.failing(() => guest.link('f', 'x', root, fd))).toBe(44);
    expect(guest.failing(() => guest.rename('f', 'x', root, fd))).toBe(44);
    expect(guest.entries(fd).map(({ name }) => name)).toEqual(['.', '..']);
    expect(guest.names()).toEqual(['.', '..', 'f']);
  });
});

describe('Unlinking', () => {
  test('takes away files, and no directories', () => {
    const guest = tree();
    guest.unlink('g');
    expect(guest.failing(() => guest.unlink('g'))).toBe(44);
    expect(guest.failing(() => guest.unlink('d'))).toBe(31);
    expect(guest.failing(() => guest.unlink('d/f/'))).toBe(54);
    expect(guest.names()).toEqual(['.', '..', 'd']);
  });

  test('leaves a file to whoever has it open', () => {
    const guest = new MemoryGuest();
    const fd = guest.create('f');
    guest.write(fd, 'kept');
    guest.unlink('f');
    guest.seek(fd, 0n);
    expect(guest.read(fd, 10)).toBe('kept');
    expect(guest.statOf(fd).links).toBe(0n);
  });
});

describe('Links', () => {
  test('are further names of the same file', () => {
    const guest = tree();
    guest.link('g', 'd/h');
    expect(guest.stat('d/h')).toEqual(guest.stat('g'));
    expect(guest.stat('g').links).toBe(2n);
    guest.file('g', 'changed');
    guest.unlink('g');
    expect(guest.content('d/h')).toBe('changed');
  });

  test('never take the place of anything, and are for files alone', () => {
    const guest = tree();
    expect(guest.failing(() => guest.link('g', 'd/f'))).toBe(20);
    expect(guest.failing(() => guest.link('d', 'x'))).toBe(63);
    expect(guest.failing(() => guest.link('x', 'y'))).toBe(44);
    expect(guest.failing(() => guest.link('g', 'x/y'))).toBe(44);
    expect(guest.failing(() => guest.link('g', 'y/'))).toBe(44);
    expect(guest.content('d/f')).toBe('in d');
  });

  test('that are symbolic are neither made nor read', () => {
    const guest = tree();
    expect(guest.errno('path_symlink', ...guest.text('g'), root, ...guest.text('s'))).toBe(58);
    expect(guest.errno('path_symlink', memoryBytes, 1, root, ...guest.text('s'))).toBe(21);
    expect(guest.errno('path_readlink', root, ...guest.text('g'), 0, 100, 200)).toBe(28);
    expect(guest.errno('path_readlink', root, ...guest.text('x'), 0, 100, 200)).toBe(44);
    expect(guest.errno('path_readlink', root, ...guest.text('g'), memoryBytes - 99, 100, 200)).toBe(21);
    expect(guest.names()).toEqual(['.', '..', 'd', 'g']);
  });
});

describe('Renaming', () => {
  test('moves files and directories, between directories too', () => {
    const guest = tree();
    guest.rename('g', 'h');
    guest.rename('d/e', 'e');
    guest.rename('d', 'e/d/');
    const fd = guest.open('e');
    guest.rename('d/f', 'f', fd, root);
    expect(guest.names()).toEqual(['.', '..', 'h', 'e', 'f']);
    expect(guest.names('e')).toEqual(['.', '..', 'd']);
    expect(guest.content('f')).toBe('in d');
    expect(guest.entries(guest.open('e/d'))[1]?.inode).toBe(guest.stat('e').inode);
  });

  test('replaces files by files, and empty directories by directories', () => {
    const guest = tree();
    guest.rename('g', 'd/f');
    expect(guest.content('d/f')).toBe('beside');
    guest.mkdir('x');
    guest.file('x/y');
    guest.rename('x', 'd/e');
    expect(guest.names('d/e')).toEqual(['.', '..', 'y']);
    expect(guest.names()).toEqual(['.', '..', 'd']);
  });

  test('refuses all other replacements and changes nothing', () => {
    const guest = tree();
    expect(guest.failing(() => guest.rename('g', 'd'))).toBe(31);
    expect(guest.failing(() => guest.rename('d/e', 'g'))).toBe(54);
    guest.mkdir('x');
    expect(guest.failing(() => guest.rename('x', 'd'))).toBe(55);
    expect(guest.failing(() => guest.rename('none', 'y'))).toBe(44);
    expect(guest.failing(() => guest.rename('g', 'none/y'))).toBe(44);
    expect(guest.failing(() => guest.rename('g/', 'y'))).toBe(54);
    expect(guest.failing(() => guest.rename('g', 'y/'))).toBe(54);
    expect(guest.failing(() => guest.rename('.', 'y'))).toBe(28);
    expect(guest.failing(() => guest.rename('g', '..'))).toBe(76);
    expect(guest.names()).toEqual(['.', '..', 'd', 'g', 'x']);
    expect(guest.names('d')).toEqual(['.', '..', 'e', 'f']);
  });

  test('never moves a directory into itself', () => {
    const guest = tree();
    expect(guest.failing(() => guest.rename('d', 'd/e/d'))).toBe(28);
    expect(guest.failing(() => guest.rename('d', 'd/d'))).toBe(28);
    guest.rename('d', 'd');
    expect(guest.names('d')).toEqual(['.', '..', 'e', 'f']);
  });

  test('to another name of the same file does nothing', () => {
    const guest = tree();
    guest.link('g', 'h');
    guest.rename('g', 'h');
    expect(guest.names()).toEqual(['.', '..', 'd', 'g', 'h']);
  });
});

test('path_filestat_set_times sets times of files and directories', () => {
  const guest = tree();
  const set = (path: string, flags: number) =>
    guest.errno('path_filestat_set_times', root, 0, ...guest.text(path), 5n, 7n, flags);
  expect(set('g', wasi.FSTFLAGS_ATIM | wasi.FSTFLAGS_MTIM)).toBe(0);
  expect(guest.stat('g').times.slice(0, 2)).toEqual([5n, 7n]);
  expect(set('d', wasi.FSTFLAGS_MTIM)).toBe(0);
  expect(guest.stat('d').times[1]).toBe(7n);
  expect([set('x', 1), set('g', 16), set('g', 3)]).toEqual([44, 28, 28]);
});

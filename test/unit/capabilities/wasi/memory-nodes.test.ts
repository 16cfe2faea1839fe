import { describe, expect, test } from 'vitest';
import { MemoryFile, MemoryFolder } from '../../../../src/capabilities/wasi/memory-nodes.ts';
import { Volume } from '../../../../src/capabilities/wasi/volume.ts';
import { fakeCall } from '../fakes.ts';
import { MemoryGuest, root, wasiGrant } from './guest.ts';

describe('The quota of bytes', () => {
  test('holds contents and names to the byte', () => {
    const guest = new MemoryGuest(wasiGrant({ fileBytesMax: 10 }));
    const fd = guest.create('name');
    expect(guest.write(fd, '123456')).toBe(6);
    expect(guest.failing(() => guest.write(fd, '7'))).toBe(51);
    expect(guest.failing(() => guest.create('n'))).toBe(51);
    expect(guest.failing(() => guest.mkdir('n'))).toBe(51);
    expect(guest.failing(() => guest.link('name', 'n'))).toBe(51);
    expect(guest.content('name')).toBe('123456');
    expect(guest.names()).toEqual(['.', '..', 'name']);
  });

  test('counts a name’s bytes, not its characters', () => {
    const guest = new MemoryGuest(wasiGrant({ fileBytesMax: 3 }));
    expect(guest.failing(() => guest.file('ää'))).toBe(51);
    guest.file('äx');
  });

  test('is taken by renaming only as far as the new name is longer', () => {
    const guest = new MemoryGuest(wasiGrant({ fileBytesMax: 6 }));
    guest.file('abc');
    expect(guest.failing(() => guest.rename('abc', '1234567'))).toBe(51);
    guest.rename('abc', '123456');
    guest.rename('123456', 'a');
    guest.file('b', '123');
    guest.rename('a', 'b');
    guest.file('c', '1234');
    expect(guest.failing(() => guest.file('d'))).toBe(51);
  });

  test('is given back by truncating, unlinking and removing', () => {
    const guest = new MemoryGuest(wasiGrant({ fileBytesMax: 10 }));
    guest.file('f', '123456789');
    guest.file('f', '1');
    guest.mkdir('12345678');
    guest.rmdir('12345678');
    guest.unlink('f');
    guest.file('f', '123456789');
  });

  test('is not given back while a descriptor or a name is left', () => {
    const guest = new MemoryGuest(wasiGrant({ fileBytesMax: 10 }));
    guest.file('f', '12345678');
    guest.link('f', 'g');
    guest.unlink('f');
    expect(guest.failing(() => guest.file('h', '1'))).toBe(51);
    const fd = guest.open('g');
    guest.unlink('g');
    guest.unlink('h');
    expect(guest.failing(() => guest.file('h', '123'))).toBe(51);
    guest.close(fd);
    guest.file('h', '123456789');
  });

  test('is given back by a file that is replaced', () => {
    const guest = new MemoryGuest(wasiGrant({ fileBytesMax: 10 }));
    guest.file('f', '1234567');
    guest.file('g', '1');
    guest.rename('g', 'f');
    guest.file('h', '1234567');
    expect(guest.failing(() => guest.file('h', '12345678'))).toBe(51);
  });

  test('lets a write in pieces succeed as far as it goes', () => {
    const guest = new MemoryGuest(wasiGrant({ fileBytesMax: 10 }));
    const fd = guest.create('f');
    expect(guest.u32('fd_write', fd, ...guest.vectors(guest.text('123'), guest.text('456'), guest.text('7890')))).toBe(
      6,
    );
    expect(guest.content('f')).toBe('123456');
  });

  test('is not passed by writes at far positions', () => {
    const guest = new MemoryGuest(wasiGrant({ fileBytesMax: 100 }));
    const fd = guest.create('f');
    for (const at of [100n, 2n ** 31n, 2n ** 53n, 2n ** 62n, -1n, -(2n ** 63n)]) {
      expect(guest.errno('fd_pwrite', fd, ...guest.vectors(guest.text('x')), at, 0)).toBe(51);
    }
    expect(guest.errno('fd_pwrite', fd, ...guest.vectors(guest.text('x')), 98n, 0)).toBe(0);
    expect(guest.errno('fd_pwrite', fd, ...guest.vectors(guest.text('x')), 99n, 0)).toBe(51);
  });
});

describe('The quota of files and directories', () => {
  test('counts both, and not the root', () => {
    const guest = new MemoryGuest(wasiGrant({ inodesMax: 2 }));
    guest.file('f');
    guest.mkdir('d');
    expect(guest.failing(() => guest.file('g'))).toBe(19);
    expect(guest.failing(() => guest.mkdir('e'))).toBe(19);
    guest.unlink('f');
    guest.file('g');
    guest.rmdir('d');
    guest.mkdir('e');
    expect(guest.failing(() => guest.file('h'))).toBe(19);
  });

  test('counts each further name of a file', () => {
    const guest = new MemoryGuest(wasiGrant({ inodesMax: 3 }));
    guest.file('f');
    guest.link('f', 'g');
    guest.link('f', 'h');
    expect(guest.failing(() => guest.link('f', 'i'))).toBe(19);
    guest.rename('g', 'i');
    guest.unlink('f');
    guest.file('f');
    guest.rename('f', 'h');
    guest.file('f');
    expect(guest.failing(() => guest.file('g'))).toBe(19);
    expect([guest.stat('i').links, guest.stat('h').links]).toEqual([1n, 1n]);
  });

  test('counts a file without a name as long as it is open', () => {
    const guest = new MemoryGuest(wasiGrant({ inodesMax: 1 }));
    const fd = guest.create('f');
    guest.unlink('f');
    expect(guest.failing(() => guest.file('g'))).toBe(19);
    guest.do('fd_renumber', root, fd);
    expect(guest.failing(() => guest.file('g', '', { in: fd }))).toBe(0);
  });

  test('is not taken by what there is no room for', () => {
    const guest = new MemoryGuest(wasiGrant({ inodesMax: 1, fileBytesMax: 3 }));
    expect(guest.failing(() => guest.file('long'))).toBe(51);
    guest.file('f');
  });
});

describe('A file in memory', () => {
  test('grows by small writes without moving each time, and is charged in proportion', () => {
    const call = fakeCall(wasiGrant({ fileBytesMax: 1_000_000 }));
    const file = new MemoryFile(new Volume(call));
    for (let at = 0; at < 100_000; at++) file.writeAt(Uint8Array.of(at), BigInt(at));
    expect(file.data.length).toBe(100_000);
    expect(file.data[99_999]).toBe(99_999 % 256);
    expect(call.chargedBytes).toBeLessThan(4 * 100_000);
  });

  test('takes no more memory than twice its size, nor than the quota', () => {
    const call = fakeCall(wasiGrant({ fileBytesMax: 1_000 }));
    const volume = new Volume(call);
    const file = new MemoryFile(volume);
    file.resize(400);
    file.resize(401);
    expect(file.data.buffer.byteLength).toBe(800);
    file.resize(700);
    file.resize(801);
    expect(file.data.buffer.byteLength).toBe(1_000);
    file.resize(500);
    expect(file.data.buffer.byteLength).toBe(1_000);
    file.resize(499);
    expect(file.data.buffer.byteLength).toBe(499);
    expect(volume.bytesUsed).toBe(499);
  });

  test('shows zeros where it was cut and grew again', () => {
    const file = new MemoryFile(new Volume(fakeCall(wasiGrant({}))));
    file.writeAt(Buffer.from('x'.repeat(100)), 0n);
    file.resize(150);
    file.resize(60);
    file.resize(150);
    expect(Buffer.from(file.data).toString()).toBe('x'.repeat(60) + '\0'.repeat(90));
  });
});

test('Nothing of the quotas is left over when all is gone', () => {
  const volume = new Volume(fakeCall(wasiGrant({})));
  const folder = new MemoryFolder(volume, undefined);
  const file = folder.make('file', (given) => new MemoryFile(given));
  const inner = folder.make('inner', (given, above) => new MemoryFolder(given, above));
  file.writeAt(Buffer.from('content'), 3n);
  inner.link('again', file);
  expect([volume.bytesUsed, volume.inodesUsed]).toEqual([4 + 5 + 5 + 10, 3]);
  folder.remove('file');
  folder.remove('none');
  inner.remove('again');
  folder.remove('inner');
  expect([volume.bytesUsed, volume.inodesUsed]).toEqual([0, 0]);
  expect(inner.isRemoved).toBe(true);
});

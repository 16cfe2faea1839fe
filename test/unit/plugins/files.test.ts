import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/base/digest.ts';
import { PluginFiles } from '../../../src/plugins/files.ts';
import type { StoredVersion } from '../../../src/plugins/record.ts';
import { execErrorOf, MemoryLog, reasonOf } from './fakes.ts';
import { dataDirectory } from './fixtures.ts';

const bytes = Uint8Array.from({ length: 3_000_000 }, (_, index) => index);
const digest = digestOf(bytes);
const stored: StoredVersion = {
  manifestText: '{}',
  digest,
  sizeBytes: bytes.length,
  functions: ['run'],
  otherFunctions: [],
  state: 'running',
  failure: '',
  createdMs: 1,
  updatedMs: 2,
};

async function openFiles(path: string, log = new MemoryLog()): Promise<PluginFiles> {
  return (await PluginFiles.open(path, log)).files;
}

async function treeBelow(path: string): Promise<readonly string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .sort();
}

const moduleFile = `plugins/modules/${digest.slice(7)}.wasm`;
const recordFile = 'plugins/versions/echo/1.0.0.json';

describe('PluginFiles', () => {
  test('keep modules and records in their places, readable by nobody else', async () => {
    await using data = await dataDirectory();
    await using files = await openFiles(data.path);
    await files.writeModule(digest, bytes);
    await files.writeRecord('echo', '1.0.0', stored);
    expect(await treeBelow(data.path)).toEqual(['plugins/lock', moduleFile, recordFile]);
    expect(await files.readModule(digest, bytes.length)).toEqual(bytes);
    expect((await stat(join(data.path, moduleFile))).mode & 0o077).toBe(0);
    expect((await stat(join(data.path, 'plugins/versions/echo'))).mode & 0o077).toBe(0);
  });

  test('give every record when they are opened again', async () => {
    await using data = await dataDirectory();
    {
      await using files = await openFiles(data.path);
      await files.writeModule(digest, bytes);
      await files.writeRecord('echo', '1.0.0', stored);
      await files.writeRecord('echo', '1.0.0+build-x.1', { ...stored, state: 'stopped' });
    }
    const { files, records } = await PluginFiles.open(data.path, new MemoryLog());
    await files[Symbol.asyncDispose]();
    expect(records.toSorted((a, b) => a.version.length - b.version.length)).toEqual([
      { name: 'echo', version: '1.0.0', stored },
      { name: 'echo', version: '1.0.0+build-x.1', stored: { ...stored, state: 'stopped' } },
    ]);
  });

  test('delete a version’s record and its directory with the last one', async () => {
    await using data = await dataDirectory();
    await using files = await openFiles(data.path);
    await files.writeRecord('echo', '1.0.0', stored);
    await files.writeRecord('echo', '2.0.0', stored);
    await files.deleteRecord('echo', '1.0.0');
    expect(await readdir(join(data.path, 'plugins/versions'))).toEqual(['echo']);
    await files.deleteRecord('echo', '2.0.0');
    await files.deleteModule(digest);
    await files.deleteModule(digest);
    expect(await readdir(join(data.path, 'plugins/versions'))).toEqual([]);
  });

  test('sweep temporary files and modules without a record, and leave alone what is not theirs', async () => {
    await using data = await dataDirectory();
    await (await openFiles(data.path))[Symbol.asyncDispose]();
    const write = (name: string): Promise<void> => writeFile(join(data.path, 'plugins', name), 'x');
    await mkdir(join(data.path, 'plugins/versions/echo'));
    await write('modules/.0123456789abcdef.tmp');
    await write('versions/echo/.0123456789abcdef.tmp');
    await write('.01234567-89ab-cdef-0123-456789abcdef.tmp');
    await write(`modules/${'0'.repeat(64)}.wasm`);
    await write('modules/README');
    await mkdir(join(data.path, 'plugins/versions/Not a name'));
    await write('versions/Not a name/1.0.0.json');
    await write('versions/notes');
    const log = new MemoryLog();
    await (await openFiles(data.path, log))[Symbol.asyncDispose]();
    expect(await treeBelow(data.path)).toEqual([
      'plugins/modules/README',
      'plugins/versions/Not a name/1.0.0.json',
      'plugins/versions/notes',
    ]);
    expect(log.texts('info')).toHaveLength(4);
    expect(log.texts('warn')).toEqual(Array(2).fill('Left alone what is not the directory of a plugin'));
  });

  test('set a damaged record aside and keep its module', async () => {
    await using data = await dataDirectory();
    {
      await using files = await openFiles(data.path);
      await files.writeModule(digest, bytes);
      await files.writeRecord('echo', '1.0.0', stored);
      await files.writeRecord('echo', '2.0.0', stored);
    }
    const path = join(data.path, recordFile);
    await writeFile(path, (await readFile(path, 'utf8')).slice(0, -20));
    await writeFile(join(data.path, 'plugins/versions/echo/2.0.0.json'), '');
    await writeFile(join(data.path, 'plugins/versions/echo/latest.json'), '{}');
    for (let round = 0; round < 2; round++) {
      const log = new MemoryLog();
      const { files, records } = await PluginFiles.open(data.path, log);
      await files[Symbol.asyncDispose]();
      expect(records).toEqual([]);
      expect(log.texts('error')).toHaveLength(round === 0 ? 3 : 0);
      expect(await treeBelow(data.path)).toEqual([
        moduleFile,
        `${recordFile}.damaged`,
        'plugins/versions/echo/2.0.0.json.damaged',
        'plugins/versions/echo/latest.json.damaged',
      ]);
    }
  });

  test.each([
    [
      'one byte is changed',
      async (path: string) => writeFile(path, (await readFile(path)).fill(7, 2_000_000, 2_000_001)),
    ],
    ['a byte is missing', async (path: string) => writeFile(path, (await readFile(path)).subarray(1))],
    [
      'bytes are added',
      async (path: string) => writeFile(path, Buffer.concat([await readFile(path), Buffer.from('x')])),
    ],
    ['it is empty', (path: string) => writeFile(path, '')],
    ['it is gone', (path: string) => rm(path)],
  ])('find a module corrupt when %s', async (_, damage) => {
    await using data = await dataDirectory();
    const log = new MemoryLog();
    await using files = await openFiles(data.path, log);
    await files.writeModule(digest, bytes);
    await damage(join(data.path, moduleFile));
    const error = await execErrorOf(() => files.readModule(digest, bytes.length));
    expect(error.reason).toBe('PLUGIN_CORRUPT');
    expect(error.message).not.toContain(data.path);
    expect(log.texts('error')).toEqual(['A stored module is corrupt']);
    await files.writeModule(digest, bytes);
    expect(await files.readModule(digest, bytes.length)).toEqual(bytes);
  });

  test('say STORAGE_FAILED and log the path when the system refuses', async () => {
    await using data = await dataDirectory();
    const log = new MemoryLog();
    await using files = await openFiles(data.path, log);
    await writeFile(join(data.path, 'plugins/versions/echo'), 'in the way');
    const error = await execErrorOf(() => files.writeRecord('echo', '1.0.0', stored));
    expect(error.reason).toBe('STORAGE_FAILED');
    expect(error.message).toMatch(/^The server cannot use its data directory: see its log \(E\w+\)$/);
    await rm(join(data.path, 'plugins/modules'), { recursive: true });
    expect(await reasonOf(() => files.writeModule(digest, bytes))).toBe('STORAGE_FAILED');
    expect(log.texts('error')).toEqual([
      `Cannot write ${join(data.path, recordFile)}`,
      `Cannot write ${join(data.path, moduleFile)}`,
    ]);
  });

  test.runIf(process.getuid?.() !== 0)('say STORAGE_FAILED when the directory is not writable', async () => {
    await using data = await dataDirectory();
    await chmod(data.path, 0o500);
    expect(await reasonOf(() => openFiles(data.path))).toBe('STORAGE_FAILED');
    await chmod(data.path, 0o700);
  });

  test('cannot be opened where a file is in the way, and say which directory it is', async () => {
    await using data = await dataDirectory();
    await writeFile(join(data.path, 'plugins'), '');
    const error = await execErrorOf(() => openFiles(data.path));
    expect(error.reason).toBe('STORAGE_FAILED');
    expect(error.message).toContain(`The data directory "${data.path}" cannot be used`);
  });
});

import type * as FileSystem from 'node:fs/promises';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { execErrorOf, MemoryLog, reasonOf } from './fakes.ts';
import { dataDirectory, moduleOf, openRegistry, publish } from './fixtures.ts';

/** Which writes the disk refuses for want of space: those to temporary files in a directory whose path ends so. */
let fullDirectory: string | undefined;

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof FileSystem>();
  return {
    ...real,
    open: async (path: string, ...rest: [string, number]) => {
      const isFull = fullDirectory !== undefined && path.endsWith('.tmp') && join(path, '..').endsWith(fullDirectory);
      const file = await real.open(path, ...rest);
      if (isFull) {
        file.writeFile = () =>
          Promise.reject(Object.assign(new Error('no space left on device'), { code: 'ENOSPC', syscall: 'write' }));
      }
      return file;
    },
  };
});

beforeEach(() => {
  fullDirectory = undefined;
});

describe('A full disk', () => {
  test.each(['modules', 'versions/echo'])('refuses a publish at %s and leaves nothing behind', async (directory) => {
    await using data = await dataDirectory();
    const log = new MemoryLog();
    await using registry = await openRegistry(data.path, { log });
    fullDirectory = directory;
    const error = await execErrorOf(() => publish(registry));
    expect(error.reason).toBe('STORAGE_FAILED');
    expect(error.message).toBe('The server cannot use its data directory: see its log (ENOSPC)');
    expect(log.lines.some(({ level, fields }) => level === 'error' && fields['code'] === 'ENOSPC')).toBe(true);
    expect(await readdir(join(data.path, 'plugins/modules'))).toEqual([]);
    expect(registry.list({ limit: 1 }).versions).toEqual([]);
    fullDirectory = undefined;
    expect((await publish(registry)).created).toBe(true);
  });

  test('keeps the module of a version that shares it', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    await publish(registry);
    fullDirectory = 'versions/echo';
    expect(await reasonOf(() => publish(registry, { version: '2.0.0' }))).toBe('STORAGE_FAILED');
    expect(await readdir(join(data.path, 'plugins/modules'))).toHaveLength(1);
    expect(registry.resolve('echo').manifest.version).toBe('1.0.0');
  });

  test('makes a stop that cannot be kept fail, and the version refuse executions', async () => {
    await using data = await dataDirectory();
    {
      await using registry = await openRegistry(data.path);
      await publish(registry, {}, moduleOf(3));
      fullDirectory = 'versions/echo';
      expect(await reasonOf(() => registry.stop('echo@1.0.0'))).toBe('STORAGE_FAILED');
      expect(registry.get('echo').state).toBe('failed');
      expect(await reasonOf(() => registry.resolve('echo'))).toBe('PLUGIN_FAILED');
      expect(await reasonOf(() => registry.retire('echo@1.0.0'))).toBe('STORAGE_FAILED');
      expect(registry.get('echo').state).toBe('failed');
    }
    fullDirectory = undefined;
    await using registry = await openRegistry(data.path);
    expect(registry.get('echo').state).toBe('unloaded');
  });
});

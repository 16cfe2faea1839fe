import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DirectoryLock } from '../../../src/plugins/directory-lock.ts';
import { execErrorOf, reasonOf } from './fakes.ts';
import { dataDirectory } from './fixtures.ts';

const token = (digit: number): string => `00000000-0000-0000-0000-00000000000${digit}`;

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(child, 'exit');
  return child.pid ?? 0;
}

async function writeHolder(directory: string, name: string, holder: object): Promise<void> {
  await writeFile(join(directory, name), JSON.stringify(holder));
}

describe('DirectoryLock', () => {
  test('is held by one and can be taken again when it is let go of', async () => {
    await using data = await dataDirectory();
    {
      await using _lock = await DirectoryLock.take(data.path);
      const error = await execErrorOf(() => DirectoryLock.take(data.path));
      expect(error.reason).toBe('STORAGE_FAILED');
      expect(error.message).toBe(
        `The data directory "${data.path}" is in use by process ${process.pid}: stop that server or choose another directory`,
      );
    }
    expect(await readdir(data.path)).toEqual([]);
    await using _again = await DirectoryLock.take(data.path);
  });

  test('is not taken from a living process', async () => {
    await using data = await dataDirectory();
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
    try {
      await writeHolder(data.path, 'lock', { pid: child.pid, token: token(1) });
      expect((await execErrorOf(() => DirectoryLock.take(data.path))).message).toContain(
        `in use by process ${child.pid}`,
      );
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await using _lock = await DirectoryLock.take(data.path);
    expect(await readdir(data.path)).toEqual(['lock']);
  });

  test('is taken over from a dead process', async () => {
    await using data = await dataDirectory();
    await writeHolder(data.path, 'lock', { pid: await deadPid(), token: token(1) });
    await using _lock = await DirectoryLock.take(data.path);
    expect(JSON.parse(await readFile(join(data.path, 'lock'), 'utf8'))).toMatchObject({ pid: process.pid });
    expect(await readdir(data.path)).toEqual(['lock']);
  });

  test.runIf(process.platform === 'linux')('is taken over when the id belongs to a later process', async () => {
    await using data = await dataDirectory();
    await writeHolder(data.path, 'lock', { pid: process.pid, startToken: 'another-boot:1', token: token(1) });
    await using _lock = await DirectoryLock.take(data.path);
    expect(await reasonOf(() => DirectoryLock.take(data.path))).toBe('STORAGE_FAILED');
  });

  test.each(['', '{', 'null', '{"pid": "x"}', '{"pid": 1, "token": "../../x"}'])(
    'is taken over when it holds %j',
    async (text) => {
      await using data = await dataDirectory();
      await writeFile(join(data.path, 'lock'), text);
      await using _lock = await DirectoryLock.take(data.path);
      expect(await readdir(data.path)).toEqual(['lock']);
    },
  );

  test('is taken over when the one who took it over died on the way', async () => {
    await using data = await dataDirectory();
    const pid = await deadPid();
    await writeHolder(data.path, 'lock', { pid, token: token(1) });
    await writeHolder(data.path, `lock.${token(1)}`, { pid, token: token(2) });
    await writeHolder(data.path, `lock.${token(2)}`, { pid, token: token(3) });
    await using _lock = await DirectoryLock.take(data.path);
    expect(await readdir(data.path)).toEqual(['lock']);
  });

  test('goes to exactly one of many who take over at once', async () => {
    await using data = await dataDirectory();
    const pid = await deadPid();
    for (let round = 0; round < 20; round++) {
      await writeHolder(data.path, 'lock', { pid, token: token(1) });
      const takers = await Promise.allSettled(Array.from({ length: 8 }, () => DirectoryLock.take(data.path)));
      const won = takers.filter((taker) => taker.status === 'fulfilled');
      expect(won).toHaveLength(1);
      await won[0]?.value[Symbol.asyncDispose]();
      expect(await readdir(data.path)).toEqual([]);
    }
  });
});

import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { ExecError } from '../../../src/model/exec-error.ts';
import { decodeRecord, encodeRecord } from '../../../src/plugins/record.ts';
import type { PluginRegistryOptions } from '../../../src/plugins/registry.ts';
import { FakeCompiler, ManualClock, MemoryLog, reasonOf } from './fakes.ts';
import { dataDirectory, moduleOf, openRegistry, publish } from './fixtures.ts';

async function modulePath(data: string): Promise<string> {
  const [name] = await readdir(join(data, 'plugins', 'modules'));
  return join(data, 'plugins', 'modules', name ?? '');
}

async function withRegistry(
  path: string,
  work: (registry: Awaited<ReturnType<typeof openRegistry>>) => Promise<void>,
  options: Partial<PluginRegistryOptions> = {},
): Promise<void> {
  await using registry = await openRegistry(path, options);
  await work(registry);
}

describe('A registry that is opened again', () => {
  test('has every version, running ones unloaded and the others as they were', async () => {
    await using data = await dataDirectory();
    const clock = new ManualClock();
    await withRegistry(
      data.path,
      async (registry) => {
        for (const patch of [0, 1, 2])
          await publish(registry, { version: `1.0.${patch}`, description: 'ü' }, moduleOf(patch));
        clock.advance(1_000);
        await registry.stop('echo@1.0.1');
        await registry.retire('echo@1.0.2');
      },
      { clock },
    );
    await withRegistry(data.path, async (registry) => {
      const versions = registry.list({ limit: 10 }).versions;
      expect(versions.map(({ manifest, state }) => [manifest.version, state])).toEqual([
        ['1.0.2', 'retired'],
        ['1.0.1', 'stopped'],
        ['1.0.0', 'unloaded'],
      ]);
      expect(versions[2]).toMatchObject({
        functions: ['run'],
        sizeBytes: moduleOf().length,
        createdMs: 1_700_000_000_000,
      });
      expect(versions[2]?.manifest.description).toBe('ü');
      expect(versions[1]?.updatedMs).toBe(1_700_000_001_000);
    });
  });

  test('loads a version on its first use, once for all who wait, and checks it again', async () => {
    await using data = await dataDirectory();
    await withRegistry(data.path, async (registry) => void (await publish(registry)));
    const compiler = new FakeCompiler();
    compiler.identity = 'another release';
    await withRegistry(
      data.path,
      async (registry) => {
        const version = registry.resolve('echo');
        expect(version.state).toBe('unloaded');
        const all = await Promise.all([1, 2, 3].map(() => registry.compiled(version, 67_108_864)));
        expect(new Set(all).size).toBe(1);
        expect(compiler.compiled).toEqual([`${version.digest}/67108864`]);
        expect(compiler.analysed).toBe(1);
        expect(registry.get('echo').state).toBe('running');
        await registry.stop('echo@1.0.0');
        await registry.start('echo@1.0.0');
        expect(compiler.analysed).toBe(1);
      },
      { compiler },
    );
  });

  test('warms up the version that each name means, as far as the bound goes', async () => {
    await using data = await dataDirectory();
    await withRegistry(data.path, async (registry) => {
      for (const name of ['a', 'b', 'c']) await publish(registry, { name }, moduleOf(1));
      await publish(registry, { name: 'a', version: '2.0.0' }, moduleOf(2));
    });
    await withRegistry(
      data.path,
      async (registry) => {
        const states = (): readonly string[] => registry.list({ limit: 10 }).versions.map(({ state }) => state);
        await vi.waitFor(() => expect(states()).toEqual(['running', 'unloaded', 'running', 'unloaded']));
      },
      { bounds: { warmUpMax: 2 } },
    );
  });

  test('refuses a version that the server’s policy does not allow any more', async () => {
    await using data = await dataDirectory();
    await withRegistry(data.path, async (registry) => void (await publish(registry)));
    const compiler = new FakeCompiler();
    compiler.identity = 'with another policy';
    compiler.extraProblems = [{ reason: 'WASM_FEATURE_NOT_ALLOWED', location: 'module', message: 'No simd here' }];
    await withRegistry(
      data.path,
      async (registry) => {
        expect(await reasonOf(() => registry.compiled(registry.resolve('echo'), 65_536))).toBe(
          'WASM_FEATURE_NOT_ALLOWED',
        );
        expect(registry.get('echo')).toMatchObject({ state: 'failed', failure: 'module: No simd here' });
        expect(await reasonOf(() => registry.resolve('echo'))).toBe('PLUGIN_FAILED');
      },
      { compiler },
    );
    await withRegistry(data.path, async (registry) => expect(registry.get('echo').state).toBe('failed'));
  });

  test('tries again after a failure that passes, and does not keep it', async () => {
    await using data = await dataDirectory();
    await withRegistry(data.path, async (registry) => void (await publish(registry)));
    const compiler = new FakeCompiler();
    compiler.compileFailures.push(new ExecError('QUEUE_FULL', 'Busy'));
    await withRegistry(
      data.path,
      async (registry) => {
        expect(await reasonOf(() => registry.compiled(registry.resolve('echo'), 65_536))).toBe('QUEUE_FULL');
        expect(registry.get('echo').state).toBe('failed');
        expect((await registry.compiled(registry.resolve('echo'), 65_536)).key).toContain('/65536');
        expect(registry.get('echo').state).toBe('running');
      },
      { compiler },
    );
  });

  test.each([
    ['changed', async (path: string) => writeFile(path, (await readFile(path)).fill(1, 8))],
    ['cut', async (path: string) => writeFile(path, (await readFile(path)).subarray(1))],
    ['gone', (path: string) => rm(path)],
  ])('finds that a module is %s before it is compiled, and is mended by publishing again', async (_, damage) => {
    await using data = await dataDirectory();
    await withRegistry(data.path, async (registry) => void (await publish(registry)));
    await damage(await modulePath(data.path));
    const compiler = new FakeCompiler();
    await withRegistry(
      data.path,
      async (registry) => {
        expect(await reasonOf(() => registry.compiled(registry.resolve('echo'), 65_536))).toBe('PLUGIN_CORRUPT');
        expect(compiler.compiled).toEqual([]);
        expect(registry.get('echo').state).toBe('failed');
        await registry.delete('echo@1.0.0');
        expect((await publish(registry)).version.state).toBe('running');
      },
      { compiler },
    );
  });

  test('treats an unloaded version as running: it is stopped before it is deleted', async () => {
    await using data = await dataDirectory();
    await withRegistry(data.path, async (registry) => {
      await publish(registry);
      await publish(registry, { version: '2.0.0' });
    });
    await withRegistry(data.path, async (registry) => {
      expect(await reasonOf(() => registry.delete('echo@1.0.0'))).toBe('PLUGIN_STATE');
      expect((await registry.stop('echo@1.0.0')).state).toBe('stopped');
      await registry.delete('echo@1.0.0');
      expect((await registry.retire('echo@2.0.0')).state).toBe('retired');
    });
    await withRegistry(data.path, async (registry) => {
      expect(registry.list({ limit: 10 }).versions.map(({ state }) => state)).toEqual(['retired']);
    });
  });

  test('can stop a version that cannot be loaded', async () => {
    await using data = await dataDirectory();
    await withRegistry(data.path, async (registry) => void (await publish(registry)));
    await rm(await modulePath(data.path));
    await withRegistry(data.path, async (registry) => {
      expect((await registry.stop('echo@1.0.0')).state).toBe('stopped');
      await registry.delete('echo@1.0.0');
    });
  });

  test('keeps going when a record is damaged, and sets it aside', async () => {
    await using data = await dataDirectory();
    await withRegistry(data.path, async (registry) => {
      await publish(registry);
      await publish(registry, { version: '2.0.0' }, moduleOf(1));
    });
    const record = join(data.path, 'plugins', 'versions', 'echo', '2.0.0.json');
    await writeFile(record, (await readFile(record, 'utf8')).replace('"running"', '"stopped"'));
    const log = new MemoryLog();
    await withRegistry(
      data.path,
      async (registry) => {
        expect(registry.list({ limit: 10 }).versions.map(({ manifest }) => manifest.version)).toEqual(['1.0.0']);
        expect(log.texts('error')).toEqual(['Set a damaged record aside']);
        expect((await publish(registry, { version: '2.0.0' }, moduleOf(2))).created).toBe(true);
      },
      { log },
    );
    expect((await readdir(join(record, '..'))).sort()).toEqual(['1.0.0.json', '2.0.0.json', '2.0.0.json.damaged']);
  });

  test('finds a running version’s module corrupt when it compiles it for another limit', async () => {
    await using data = await dataDirectory();
    await withRegistry(data.path, async (registry) => {
      const { version } = await publish(registry);
      await rm(await modulePath(data.path));
      expect((await registry.compiled(version, 67_108_864)).key).toContain('/67108864');
      expect(await reasonOf(() => registry.compiled(version, 65_536))).toBe('PLUGIN_CORRUPT');
      await vi.waitFor(() => expect(registry.get('echo').state).toBe('failed'));
    });
  });
});

describe('Two registries', () => {
  test('do not share a data directory', async () => {
    await using data = await dataDirectory();
    await withRegistry(data.path, async () => {
      expect(await reasonOf(() => openRegistry(data.path))).toBe('STORAGE_FAILED');
    });
    await withRegistry(data.path, async (registry) => void (await publish(registry)));
  });
});

describe('A version whose stored manifest is not acceptable any more', () => {
  test.each([
    ['running', 'failed'],
    ['retired', 'retired'],
  ] as const)(
    'comes back from %s as %s, can be deleted, and the others come back as they were',
    async (state, expected) => {
      await using data = await dataDirectory();
      await withRegistry(data.path, async (registry) => {
        await publish(registry);
        await publish(registry, { version: '2.0.0' });
      });
      const record = join(data.path, 'plugins', 'versions', 'echo', '2.0.0.json');
      const { manifestText: _, ...stored } = decodeRecord(await readFile(record, 'utf8'));
      await writeFile(
        record,
        encodeRecord({ ...stored, state, manifestText: '{"name": "echo", "version": "2.0.0", "old": 1}' }),
      );
      await withRegistry(data.path, async (registry) => {
        expect(registry.resolve('echo').manifest.version).toBe('1.0.0');
        const version = registry.get('echo@2.0.0');
        expect(version.state).toBe(expected);
        expect(version.failure).toBe(
          expected === 'failed'
            ? 'The stored manifest is not accepted any more: old: is not a field of the manifest'
            : '',
        );
        await registry.delete('echo@2.0.0');
      });
    },
  );

  test('is not taken for another version when its record was copied', async () => {
    await using data = await dataDirectory();
    await withRegistry(data.path, async (registry) => void (await publish(registry)));
    const versions = join(data.path, 'plugins', 'versions', 'echo');
    await writeFile(join(versions, '3.0.0.json'), await readFile(join(versions, '1.0.0.json')));
    await withRegistry(data.path, async (registry) => {
      expect(registry.get('echo@3.0.0')).toMatchObject({
        state: 'failed',
        failure: 'The stored manifest is that of "echo@1.0.0"',
      });
      expect(registry.resolve('echo').manifest.version).toBe('1.0.0');
      expect(await reasonOf(() => registry.start('echo@3.0.0'))).toBe('PLUGIN_CORRUPT');
    });
  });
});

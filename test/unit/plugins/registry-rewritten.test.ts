/** That the registry has a module decoded and rewritten once, and has what came of it read from disk afterwards. */

import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PluginRegistry } from '../../../src/plugins/registry.ts';
import { FakeCompiler, MemoryLog, reasonOf } from './fakes.ts';
import { chunksOf, dataDirectory, headerOf, manifestOf, moduleOf, openRegistry, publish } from './fixtures.ts';

const memoryBytes = 67_108_864;

async function rewrittenFiles(path: string): Promise<readonly string[]> {
  const directory = join(path, 'plugins', 'rewritten');
  return (await readdir(directory)).map((name) => join(directory, name));
}

/** Loads the version and has it compiled for a limit of memory. */
async function compiled(registry: PluginRegistry, memory = memoryBytes): Promise<string> {
  return (await registry.compiled(registry.resolve('echo'), memory)).key;
}

describe('A registry', () => {
  test('has a published module decoded and rewritten once', async () => {
    await using data = await dataDirectory();
    const compiler = new FakeCompiler();
    await using registry = await openRegistry(data.path, { compiler });
    await publish(registry);
    await compiled(registry);
    expect(compiler.analysed).toBe(1);
    expect(compiler.compiled).toHaveLength(1);
  });

  test('compiles after a restart without decoding, and says so', async () => {
    await using data = await dataDirectory();
    {
      await using registry = await openRegistry(data.path);
      await publish(registry);
    }
    const compiler = new FakeCompiler();
    const log = new MemoryLog();
    await using registry = await openRegistry(data.path, { compiler, log });
    const key = await compiled(registry);
    expect(compiler.analysed).toBe(0);
    expect(compiler.compiled).toEqual([key]);
    const lines = log.lines.filter(({ text }) => text === 'Looked for what a module was rewritten to');
    expect(lines.map(({ fields }) => fields['kept'])).toEqual([true, true]);
  });

  test('compiles a variant that it had let go of without decoding', async () => {
    await using data = await dataDirectory();
    const compiler = new FakeCompiler();
    await using registry = await openRegistry(data.path, { compiler, bounds: { variantsMax: 1 } });
    await publish(registry);
    for (const memory of [memoryBytes, 65_536, memoryBytes, 65_536]) await compiled(registry, memory);
    expect(compiler.compiled).toHaveLength(4);
    expect(compiler.analysed).toBe(2);
    expect(await rewrittenFiles(data.path)).toHaveLength(2);
  });

  test('has a module decoded anew when the compiler would make something else of it', async () => {
    await using data = await dataDirectory();
    {
      await using registry = await openRegistry(data.path);
      await publish(registry);
    }
    const compiler = new FakeCompiler();
    compiler.identity = 'another release';
    await using registry = await openRegistry(data.path, { compiler });
    await compiled(registry);
    expect(compiler.analysed).toBe(1);
  });

  test('makes a damaged file again, and nobody notices but the log', async () => {
    await using data = await dataDirectory();
    {
      await using registry = await openRegistry(data.path);
      await publish(registry);
    }
    const [file = ''] = await rewrittenFiles(data.path);
    const content = await readFile(file);
    content[content.length >> 1] = (content[content.length >> 1] ?? 0) ^ 1;
    await writeFile(file, content);
    const compiler = new FakeCompiler();
    const log = new MemoryLog();
    {
      await using registry = await openRegistry(data.path, { compiler, log });
      expect(await compiled(registry)).toContain(`/${memoryBytes}`);
      expect(registry.get('echo').state).toBe('running');
    }
    expect(compiler.analysed).toBe(1);
    expect(log.texts('warn')).toEqual(['A rewritten module is missing or damaged and is made again']);
    expect(await rewrittenFiles(data.path)).toEqual([file]);
  });

  test('shares the file between versions with one module, and removes it with the last of them', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    for (const version of ['1.0.0', '2.0.0']) await publish(registry, { version });
    await publish(registry, { name: 'other' }, moduleOf(9));
    await registry.compiled(registry.resolve('echo'), 65_536);
    expect(await rewrittenFiles(data.path)).toHaveLength(3);
    for (const [version, left] of [
      ['1.0.0', 3],
      ['2.0.0', 1],
    ] as const) {
      await registry.stop(`echo@${version}`);
      await registry.delete(`echo@${version}`);
      expect(await rewrittenFiles(data.path)).toHaveLength(left);
    }
  });

  test('leaves nothing behind of an upload that it refuses or only checks', async () => {
    await using data = await dataDirectory();
    const compiler = new FakeCompiler();
    await using registry = await openRegistry(data.path, { compiler });
    compiler.extraProblems = [{ reason: 'WASM_FEATURE_NOT_ALLOWED', location: 'module', message: 'Not here' }];
    expect(await reasonOf(() => publish(registry))).toBe('WASM_FEATURE_NOT_ALLOWED');
    compiler.extraProblems = [];
    const { signal } = new AbortController();
    const report = await registry.validate(headerOf(manifestOf(), moduleOf()), chunksOf(moduleOf()), signal);
    expect(report.valid).toBe(true);
    expect(await rewrittenFiles(data.path)).toEqual([]);
  });

  test('refuses a variant whose memory does not suffice, and keeps no file of it', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const { version } = await publish(registry);
    expect(await reasonOf(() => registry.compiled(version, 1))).toBe('MEMORY_OVER_LIMIT');
    expect(await rewrittenFiles(data.path)).toHaveLength(1);
  });
});

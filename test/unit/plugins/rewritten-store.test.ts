import { mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { memoryModule } from '../../../src/sandbox/kernel/kernel.ts';
import { createMemory } from '../../../src/sandbox/thread/memories.ts';
import { type Digest, digestOf } from '../../../src/base/digest.ts';
import type { PluginBounds } from '../../../src/plugins/bounds.ts';
import {
  encodeRewritten,
  rewrittenChecksumBytes,
  rewrittenFactsBytesMax,
  type SoundAnalysis,
} from '../../../src/plugins/rewritten-file.ts';
import { type RewrittenOf, RewrittenStore } from '../../../src/plugins/rewritten-store.ts';
import { analyseModule } from '../../../src/sandbox/thread/compile.ts';
import { noFunctionNames } from '../../../src/wasm/names.ts';
import { modulePolicyDefault } from '../../../src/wasm/policy.ts';
import { FuelHost } from '../../helpers/fuel-host.ts';
import { guest } from '../../helpers/sandbox.ts';
import { watWithNames } from '../../helpers/wat.ts';
import { ManualClock, MemoryLog } from './fakes.ts';
import { dataDirectory } from './fixtures.ts';

const memoryBytes = 1 << 20;
const module = watWithNames(
  guest(`(func $sum (export "run") (result i32) (local i32)
    (loop (call $log_info (i64.const 0)) (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 9))))
    (local.get 0))`),
);
const of: RewrittenOf = { digest: digestOf(module), memoryBytes };

const analysis = analyseModule({ bytes: module, memoryBytes, policy: modulePolicyDefault }) as SoundAnalysis;
const fileBytes =
  (encodeRewritten({ digest: of.digest, key: '0'.repeat(64) }, analysis) ?? []).reduce(
    (sum, part) => sum + part.length,
    0,
  ) + rewrittenChecksumBytes;

interface Opened {
  readonly identity?: string;
  readonly isStored?: (digest: Digest) => boolean;
  readonly bounds?: Partial<PluginBounds>;
  readonly log?: MemoryLog;
  readonly clock?: ManualClock;
}

function openStore(dataDirectory: string, opened: Opened = {}): Promise<RewrittenStore> {
  const {
    identity = 'this release',
    isStored = () => true,
    bounds,
    log = new MemoryLog(),
    clock = new ManualClock(),
  } = opened;
  const all = { rewrittenFilesMax: 10, rewrittenBytesMax: 1 << 24, rewrittenWaitingMax: 10, ...bounds };
  return RewrittenStore.open({ dataDirectory, identity, isStored, bounds: all, log, clock });
}

const directoryOf = (data: { readonly path: string }): string => join(data.path, 'plugins/rewritten');

async function onlyFile(data: { readonly path: string }): Promise<string> {
  const [name = '', ...others] = await readdir(directoryOf(data));
  expect(others).toEqual([]);
  return join(directoryOf(data), name);
}

/** A file that belongs to another module of the same form. */
function other(number: number): RewrittenOf {
  return { digest: digestOf(Uint8Array.of(number)), memoryBytes };
}

describe('A store of rewritten modules', () => {
  test('gives back what was written, function names left out, also after it was opened again', async () => {
    await using data = await dataDirectory();
    const first = await openStore(data.path);
    expect(await first.read(of)).toBeUndefined();
    await first.write(of, analysis);
    const expected = { ...analysis, info: { ...analysis.info, functionNames: noFunctionNames } };
    for (const store of [first, await openStore(data.path)]) {
      expect(await store.read(of)).toEqual(expected);
      expect(store.size).toEqual({ files: 1, bytes: fileBytes });
    }
  });

  test('gives parts that own their bytes', async () => {
    await using data = await dataDirectory();
    const store = await openStore(data.path);
    await store.write(of, analysis);
    const { composed } = (await store.read(of)) as SoundAnalysis;
    const { newStarts, changes } = composed.offsets.metered;
    for (const array of [composed.bytes, newStarts, changes]) expect(array.buffer.byteLength).toBe(array.byteLength);
  });

  test('keeps apart what differs in module, limit of memory or identity', async () => {
    await using data = await dataDirectory();
    const store = await openStore(data.path);
    await store.write(of, analysis);
    expect(await store.read({ ...of, memoryBytes: memoryBytes + 1 })).toBeUndefined();
    expect(await store.read(other(1))).toBeUndefined();
    const changed = await openStore(data.path, { identity: 'another release' });
    expect(await changed.read(of)).toBeUndefined();
    await changed.write(of, analysis);
    expect(changed.size.files).toBe(2);
  });

  test('lets a run from the file use the fuel of a run from memory, to the unit', async () => {
    await using data = await dataDirectory();
    const store = await openStore(data.path);
    await store.write(of, analysis);
    const read = (await store.read(of)) as SoundAnalysis;
    const fuel = [analysis, read].map(({ composed }) => fuelOf(composed));
    expect(fuel[0]).toBeGreaterThan(9n * 5_000n);
    expect(fuel[1]).toBe(fuel[0]);
  });

  test('is readable by nobody else', async () => {
    await using data = await dataDirectory();
    await (await openStore(data.path)).write(of, analysis);
    const { mode } = await stat(await onlyFile(data));
    expect(mode & 0o077).toBe(0);
  });
});

function fuelOf({ bytes, imports, memories }: SoundAnalysis['composed']): bigint {
  const functions: Record<string, Record<string, () => number>> = {};
  for (const { module, name } of imports) (functions[module] ??= {})[name] = () => 0;
  const host = new FuelHost();
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    ...host.imports(functions),
    [memoryModule]: Object.fromEntries(memories.map(createMemory).entries()),
  });
  host.attach(instance);
  expect((instance.exports['run'] as () => number)()).toBe(9);
  return host.used;
}

describe('A damaged file', () => {
  const parts = encodeRewritten({ digest: of.digest, key: '0'.repeat(64) }, analysis) ?? [];
  const lengths = [...parts.map((part) => part.length), rewrittenChecksumBytes];
  const starts = lengths.map((_, place) => lengths.slice(0, place).reduce((sum, length) => sum + length, 0));
  // The head holds four parts of its own: form, digest, key, length of the facts.
  const head = [0, 19, 20, 26, 27, 90, 91, 154, 155, 158];
  const places = [...head, ...starts.flatMap((start, place) => [start, start + (lengths[place] ?? 1) - 1])];

  test.each([...new Set(places)])('at byte %i is deleted with a warning, and can be written anew', async (place) => {
    await using data = await dataDirectory();
    const log = new MemoryLog();
    const store = await openStore(data.path, { log });
    await store.write(of, analysis);
    const path = await onlyFile(data);
    const content = await readFile(path);
    content[place] = (content[place] ?? 0) ^ 1;
    await writeFile(path, content);
    expect(await store.read(of)).toBeUndefined();
    expect(await readdir(directoryOf(data))).toEqual([]);
    expect(store.size).toEqual({ files: 0, bytes: 0 });
    expect(log.texts('warn')).toEqual(['A rewritten module is missing or damaged and is made again']);
    await store.write(of, analysis);
    expect(await store.read(of)).toBeDefined();
  });

  test.each([
    ['is cut short', (path: string) => truncate(path, fileBytes - 1)],
    ['is empty', (path: string) => truncate(path, 0)],
    ['is longer', (path: string) => truncate(path, fileBytes + 1)],
    ['is gone', (path: string) => rm(path)],
  ])('that %s is made again', async (_what, damage) => {
    await using data = await dataDirectory();
    const log = new MemoryLog();
    const store = await openStore(data.path, { log });
    await store.write(of, analysis);
    await damage(await onlyFile(data));
    expect(await store.read(of)).toBeUndefined();
    expect(log.texts('warn')).toHaveLength(1);
    expect(await readdir(directoryOf(data))).toEqual([]);
  });

  test('of before the store was opened is found out, too', async () => {
    await using data = await dataDirectory();
    await (await openStore(data.path)).write(of, analysis);
    const path = await onlyFile(data);
    await truncate(path, 200);
    const store = await openStore(data.path);
    expect(store.size.bytes).toBe(200);
    expect(await store.read(of)).toBeUndefined();
    await (await openStore(data.path)).write(of, analysis);
    await truncate(path, 50);
    expect((await openStore(data.path)).size.files).toBe(0);
    expect(await readdir(directoryOf(data))).toEqual([]);
  });

  test('under the name of another module is not taken for that one', async () => {
    await using data = await dataDirectory();
    const store = await openStore(data.path);
    await store.write(of, analysis);
    const path = await onlyFile(data);
    await store.write(other(1), analysis);
    const names = await readdir(directoryOf(data));
    const others = names.map((name) => join(directoryOf(data), name)).filter((candidate) => candidate !== path);
    await writeFile(path, await readFile(others[0] ?? ''));
    expect(await store.read(of)).toBeUndefined();
    expect(await store.read(other(1))).toBeDefined();
  });
});

describe('The bounds of the store', () => {
  const keep = async (store: RewrittenStore, count: number): Promise<void> => {
    for (let number = 1; number <= count; number++) await store.write(other(number), analysis);
  };
  const found = async (store: RewrittenStore, count: number): Promise<readonly number[]> => {
    const numbers = Array.from({ length: count }, (_, place) => place + 1);
    const read = await Promise.all(numbers.map(async (number) => ((await store.read(other(number))) ? number : 0)));
    return read.filter((number) => number > 0);
  };

  test('on files are kept to the file, the one used longest ago going first', async () => {
    await using data = await dataDirectory();
    const store = await openStore(data.path, { bounds: { rewrittenFilesMax: 3 } });
    await keep(store, 3);
    expect(store.size.files).toBe(3);
    await store.read(other(1));
    await store.write(other(4), analysis);
    expect(await found(store, 4)).toEqual([1, 3, 4]);
    expect(await readdir(directoryOf(data))).toHaveLength(3);
  });

  test('on bytes are kept to the byte', async () => {
    await using data = await dataDirectory();
    const just = await openStore(data.path, { bounds: { rewrittenBytesMax: 2 * fileBytes } });
    await keep(just, 2);
    expect(just.size).toEqual({ files: 2, bytes: 2 * fileBytes });
    const over = await openStore(data.path, { bounds: { rewrittenBytesMax: 2 * fileBytes - 1 } });
    expect(over.size.files).toBe(1);
    await keep(over, 2);
    expect(await found(over, 2)).toEqual([2]);
  });

  test('keep out a file that is larger than all may be', async () => {
    await using data = await dataDirectory();
    const log = new MemoryLog();
    const just = await openStore(data.path, { bounds: { rewrittenBytesMax: fileBytes } });
    await just.write(of, analysis);
    expect(just.size.files).toBe(1);
    await just.forget(of.digest);
    const over = await openStore(data.path, { log, bounds: { rewrittenBytesMax: fileBytes - 1 } });
    await over.write(of, analysis);
    expect(over.size.files).toBe(0);
    expect(log.texts('info')).toEqual(['A rewritten module is too large to be kept']);
  });

  test('keep out what has more facts than may be', () => {
    const named = { digest: of.digest, key: '0'.repeat(64) };
    const withNames = (bytes: number): SoundAnalysis => ({
      ...analysis,
      info: { ...analysis.info, customSections: ['x'.repeat(bytes)] },
    });
    const facts = encodeRewritten(named, withNames(0))?.[1]?.length ?? 0;
    expect(encodeRewritten(named, withNames(rewrittenFactsBytesMax - facts))).toBeDefined();
    expect(encodeRewritten(named, withNames(rewrittenFactsBytesMax - facts + 1))).toBeUndefined();
  });

  test('hold over a restart, in the order of use', async () => {
    await using data = await dataDirectory();
    const clock = new ManualClock();
    const store = await openStore(data.path, { clock });
    await keep(store, 3);
    for (const number of [2, 3, 1]) {
      clock.advance(10_000);
      await store.read(other(number));
    }
    const reopened = await openStore(data.path, { bounds: { rewrittenFilesMax: 2 } });
    expect(await found(reopened, 3)).toEqual([1, 3]);
  });
});

describe('The files of a module', () => {
  test('go when it is forgotten, and no others', async () => {
    await using data = await dataDirectory();
    const store = await openStore(data.path);
    for (const bytes of [1, 2, 3]) await store.write({ ...of, memoryBytes: bytes * 65_536 }, analysis);
    await store.write(other(1), analysis);
    await store.forget(of.digest);
    expect(store.size.files).toBe(1);
    expect(await readdir(directoryOf(data))).toHaveLength(1);
    expect(await store.read(other(1))).toBeDefined();
  });

  test('are not written once no version has it, and go when the store is opened', async () => {
    await using data = await dataDirectory();
    const stored = new Set<Digest>([of.digest]);
    const store = await openStore(data.path, { isStored: (digest) => stored.has(digest) });
    await store.write(other(1), analysis);
    await store.write(of, analysis);
    expect(store.size.files).toBe(1);
    const log = new MemoryLog();
    expect((await openStore(data.path, { log, isStored: () => false })).size.files).toBe(0);
    expect(await readdir(directoryOf(data))).toEqual([]);
    expect(log.texts('info')).toHaveLength(1);
  });
});

describe('A write that is interrupted', () => {
  test('before the file has its name leaves nothing that is seen, and nothing once the store was opened again', async () => {
    await using data = await dataDirectory();
    await (await openStore(data.path)).write(of, analysis);
    const path = await onlyFile(data);
    const temporary = join(directoryOf(data), '.0123456789abcdef.tmp');
    await writeFile(temporary, await readFile(path));
    await rm(path);
    await writeFile(join(directoryOf(data), 'notes'), 'left alone');
    const store = await openStore(data.path);
    expect(store.size.files).toBe(0);
    expect(await store.read(of)).toBeUndefined();
    expect(await readdir(directoryOf(data))).toEqual(['notes']);
  });

  test('by a system that refuses is a line in the log, and leaves no file', async () => {
    await using data = await dataDirectory();
    const log = new MemoryLog();
    const first = await openStore(data.path);
    await first.write(of, analysis);
    const path = await onlyFile(data);
    await rm(path);
    // The file cannot take the place of a directory.
    await mkdir(join(path, 'inside'), { recursive: true });
    const store = await openStore(data.path, { log });
    await store.write(of, analysis);
    expect(log.texts('warn')).toContain('Cannot write rewritten modules');
    expect(store.size.files).toBe(0);
    expect((await readdir(directoryOf(data))).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('by a directory that cannot be made is a line in the log, and nothing is kept', async () => {
    await using data = await dataDirectory();
    const log = new MemoryLog();
    await writeFile(join(data.path, 'plugins'), 'a file');
    const store = await openStore(data.path, { log });
    await store.write(of, analysis);
    expect(await store.read(of)).toBeUndefined();
    expect(log.texts('warn')).toEqual(['Cannot open rewritten modules', 'Cannot write rewritten modules']);
  });
});

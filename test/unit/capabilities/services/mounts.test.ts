import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AbortReason } from '../../../../src/model/abort-reason.ts';
import type { HostAnswer } from '../../../../src/model/operation.ts';
import { mountEntriesMax, mountReadBytesMax, MountService } from '../../../../src/capabilities/services/mounts.ts';
import type { AskingRun } from '../../../../src/capabilities/services/service.ts';
import {
  fileKinds,
  mountCodes,
  mountOperations,
  readMountEntries,
  readMountStat,
  writeMountRequest,
} from '../../../../src/capabilities/wasi/outside.ts';
import { fakeGrant } from '../fakes.ts';
import { askingRun } from './asking-run.ts';

const content = 'hello world';
let base: string;
let folder: string;

beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'caisson-mounts-')));
  folder = join(base, 'shared');
  mkdirSync(join(folder, 'sub', 'deep'), { recursive: true });
  writeFileSync(join(folder, 'a.txt'), content);
  writeFileSync(join(folder, 'sub', 'ü'), 'inner');
  writeFileSync(join(base, 'secret'), 'secret');
  mkdirSync(join(base, 'shared-too'));
  writeFileSync(join(base, 'shared-too', 'secret'), 'secret');
  symlinkSync('../secret', join(folder, 'out'));
  symlinkSync(join(base, 'shared-too'), join(folder, 'out-folder'));
  symlinkSync('/nowhere/at/all', join(folder, 'dangling'));
  symlinkSync('sub', join(folder, 'within'));
  symlinkSync('round', join(folder, 'round'));
  execFileSync('sh', ['-c', 'mkfifo "$0"', join(folder, 'pipe')]);
});

afterAll(() => rmSync(base, { recursive: true }));

function runOf(signal: AbortSignal = new AbortController().signal): AskingRun {
  const mounts = [
    { guestPath: '/data', name: 'data' },
    { guestPath: '/x', name: 'unset' },
  ];
  return askingRun({ signal, granted: { wasi: { ...fakeGrant.wasi, mounts } } });
}

/** Both ways to see where a descriptor leads: as Linux tells it, and for systems that do not. */
const services = () => [
  new MountService(new Map([['data', folder]])),
  new MountService(new Map([['data', folder]]), { descriptorsFolder: '/no/such/folder' }),
];

interface Asked {
  readonly operation?: keyof typeof mountOperations;
  readonly mount?: string;
  readonly path?: string;
  readonly offset?: number;
  readonly length?: number;
}

function ask(service: MountService, asked: Asked, run = runOf()): Promise<HostAnswer> {
  const { operation = 'stat', mount = 'data', path = '', offset = 0, length = 0 } = asked;
  const request = { operation: mountOperations[operation], mount, path, offset, length };
  return service.answer('wasi.mount', writeMountRequest(request), run);
}

async function codes(operation: keyof typeof mountOperations, paths: readonly string[]): Promise<readonly number[]> {
  const answers = services().map((service) =>
    Promise.all(paths.map(async (path) => (await ask(service, { operation, path, length: 100 })).code)),
  );
  const [one, other] = await Promise.all(answers);
  expect(one).toEqual(other);
  return one ?? [];
}

const text = ({ payload }: HostAnswer): string => Buffer.from(payload).toString();

describe('A mount', () => {
  test('tells kinds, sizes and times of what is inside', async () => {
    for (const service of services()) {
      const stats = await Promise.all(
        ['', 'a.txt', 'sub', 'within', 'within/ü'].map(async (path) =>
          readMountStat((await ask(service, { path })).payload),
        ),
      );
      expect(stats.map(({ kind, sizeBytes }) => [kind, sizeBytes])).toEqual([
        [fileKinds.folder, 0],
        [fileKinds.file, content.length],
        [fileKinds.folder, 0],
        [fileKinds.folder, 0],
        [fileKinds.file, 5],
      ]);
      for (const { changedNs } of stats) expect(changedNs).toBeGreaterThan(1_700_000_000_000_000_000n);
    }
  });

  test('lists names in order; links have to be looked at, and pipes are left out', async () => {
    for (const service of services()) {
      const { code, payload } = await ask(service, { operation: 'list' });
      expect(code).toBe(mountCodes.ok);
      expect(readMountEntries(payload)).toEqual([
        { name: 'a.txt', kind: fileKinds.file },
        { name: 'dangling', kind: fileKinds.unknown },
        { name: 'out', kind: fileKinds.unknown },
        { name: 'out-folder', kind: fileKinds.unknown },
        { name: 'round', kind: fileKinds.unknown },
        { name: 'sub', kind: fileKinds.folder },
        { name: 'within', kind: fileKinds.unknown },
      ]);
      const within = await ask(service, { operation: 'list', path: 'within' });
      expect(readMountEntries(within.payload).map(({ name }) => name)).toEqual(['deep', 'ü']);
    }
  });

  test('reads ranges of files', async () => {
    for (const service of services()) {
      const read = async (offset: number, length: number): Promise<string> =>
        text(await ask(service, { operation: 'read', path: 'a.txt', offset, length }));
      expect(await read(0, 100)).toBe(content);
      expect(await read(6, 3)).toBe('wor');
      expect(await read(6, 0)).toBe('');
      expect(await read(11, 5)).toBe('');
      expect(await read(2 ** 52, 5)).toBe('');
    }
  });

  test('reads at most so many bytes at once', async () => {
    const big = join(folder, 'sub', 'deep', 'big');
    writeFileSync(big, Buffer.alloc(mountReadBytesMax + 1, 'x'));
    const [service] = services();
    const read = async (length: number): Promise<number> =>
      (await ask(service as MountService, { operation: 'read', path: 'sub/deep/big', length })).payload.length;
    expect(await read(mountReadBytesMax)).toBe(mountReadBytesMax);
    expect(await read(mountReadBytesMax + 1)).toBe(mountReadBytesMax);
    rmSync(big);
  });

  test('lists directories with as many entries as the bound, and not with one more', async () => {
    expect(mountEntriesMax).toBe(10_000);
    const many = join(folder, 'many');
    mkdirSync(many);
    for (const name of ['1', '2', '3']) writeFileSync(join(many, name), '');
    const service = new MountService(new Map([['data', folder]]), { entriesMax: 3 });
    const full = await ask(service, { operation: 'list', path: 'many' });
    expect(readMountEntries(full.payload)).toHaveLength(3);
    writeFileSync(join(many, 'one more'), '');
    expect((await ask(service, { operation: 'list', path: 'many' })).code).toBe(mountCodes.tooManyEntries);
    rmSync(many, { recursive: true });
  });

  test('tells files from directories', async () => {
    expect(await codes('list', ['a.txt', 'sub/ü'])).toEqual([mountCodes.notFolder, mountCodes.notFolder]);
    expect(await codes('read', ['', 'sub'])).toEqual([mountCodes.isFolder, mountCodes.isFolder]);
    expect(await codes('stat', ['a.txt/x'])).toEqual([mountCodes.notFolder]);
  });

  test('has nothing that is not a file or a directory, and waits for no pipe', async () => {
    expect(await codes('stat', ['pipe'])).toEqual([mountCodes.notFound]);
    expect(await codes('read', ['pipe'])).toEqual([mountCodes.notFound]);
  });
});

describe('Out of a mount', () => {
  const outside = [
    '..',
    '../secret',
    'sub/../../secret',
    '/etc/passwd',
    './a.txt',
    'sub//ü',
    'sub/',
    'a\0b',
    '..\\secret',
    'out',
    'out-folder',
    'out-folder/secret',
    'dangling',
    'round',
    'none',
    'n'.repeat(300),
    'n/'.repeat(2_100),
  ];

  test.each(['stat', 'list', 'read'] as const)('nothing is found by "%s"', async (operation) => {
    expect(await codes(operation, outside)).toEqual(outside.map(() => mountCodes.notFound));
  });

  test('nothing is read while directories and links take turns at one path', async () => {
    const swapped = join(folder, 'swapped');
    const real = join(base, 'real');
    const link = join(base, 'link');
    mkdirSync(real);
    writeFileSync(join(real, 'secret'), 'inside');
    symlinkSync(join(base, 'shared-too'), link);
    const seen = new Set<string>();
    const swaps = { isDone: false };
    const swapping = (async () => {
      while (!swaps.isDone) {
        renameSync(real, swapped);
        await new Promise(setImmediate);
        renameSync(swapped, real);
        renameSync(link, swapped);
        await new Promise(setImmediate);
        renameSync(swapped, link);
      }
    })();
    const [service] = services() as [MountService];
    for (let i = 0; i < 600; i++) {
      const answers = await Promise.all(
        Array.from({ length: 4 }, () => ask(service, { operation: 'read', path: 'swapped/secret', length: 100 })),
      );
      for (const answer of answers) seen.add(answer.code === mountCodes.ok ? text(answer) : `code ${answer.code}`);
    }
    swaps.isDone = true;
    await swapping;
    rmSync(real, { recursive: true });
    rmSync(link);
    expect(seen).toContain('inside');
    expect(seen).toContain(`code ${mountCodes.notFound}`);
    expect(seen).not.toContain('secret');
  });
});

describe('A request to a mount', () => {
  test('that was not granted, or that the server does not have, is denied with what to do', async () => {
    const service = new MountService(new Map([['data', folder]]), { rulesOf: () => ['everyone'] });
    const unknown = await ask(service, { mount: 'other' });
    expect([unknown.code, text(unknown)]).toEqual([
      254,
      'Capability "wasi": plugin "fake" may not read the folder "other", which manifest and policy do not both allow ' +
        '(rules that match: "everyone"). Both must have it: "/path/in/the/guest": "other" in "mounts" of the manifest, ' +
        'and "other": "/folder/of/the/host" in "mounts" of a rule for tenant "default" and plugin "fake"',
    ]);
    expect(await ask(service, { mount: 'unset' })).toMatchObject({ code: 254 });
    const ungranted = new MountService(new Map([['secret', base]]));
    expect((await ask(ungranted, { mount: 'secret' })).code).toBe(254);
  });

  test('is not answered once the run shall stop', async () => {
    const controller = new AbortController();
    const reason = new AbortReason('CANCELED');
    const [service] = services() as [MountService];
    const answer = ask(service, { operation: 'list' }, runOf(controller.signal));
    controller.abort(reason);
    await expect(answer).rejects.toBe(reason);
    await expect(ask(service, {}, runOf(controller.signal))).rejects.toBe(reason);
  });

  test('that is none is a fault', async () => {
    const [service] = services() as [MountService];
    await expect(service.answer('kv.get', new Uint8Array(), runOf())).rejects.toThrow(TypeError);
    await expect(service.answer('wasi.mount', new Uint8Array(), runOf())).rejects.toThrow(RangeError);
    const request = { operation: 9, mount: 'data', path: '', offset: 0, length: 0 };
    await expect(service.answer('wasi.mount', writeMountRequest(request), runOf())).rejects.toThrow(TypeError);
  });

  test('to a folder that is gone finds nothing', async () => {
    const service = new MountService(new Map([['data', join(base, 'gone')]]));
    expect((await ask(service, {})).code).toBe(mountCodes.notFound);
  });
});

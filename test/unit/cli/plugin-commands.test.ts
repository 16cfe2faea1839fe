import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { UploadPart } from '../../../src/cli/connection.ts';
import { digestOf } from '../../../src/base/digest.ts';
import {
  DeletePluginResponseSchema,
  PluginHealthState,
  PluginState,
  PluginVersionSchema,
  ValidationReportSchema,
} from '../../../src/gen/caisson/v1/plugin_pb.ts';
import { runCli } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'caisson-cli-'));
const modulePath = join(folder, 'tiny.wasm');
const module = Buffer.alloc(262_145, 7);

beforeAll(() => {
  writeFileSync(modulePath, module);
  writeFileSync(join(folder, 'tiny.json'), '{"name":"tiny"}');
});
afterAll(() => rmSync(folder, { recursive: true }));

const plugin = create(PluginVersionSchema, {
  name: 'tiny',
  version: '1.0.0',
  digest: 'sha256:ab',
  state: PluginState.RUNNING,
  functions: ['go', 'stop\u001b[0m'],
  sizeBytes: 2_048n,
  createTime: { seconds: 1_700_000_000n },
  health: {
    state: PluginHealthState.DEGRADED,
    reasons: ['5 of the last 20 runs trapped', 'hot\u0007'],
    changeTime: { seconds: 1_700_000_060n },
    checkTime: { seconds: 1_700_000_090n },
  },
});

/** A service that takes uploads and answers with the same. */
function taking(answer: object) {
  const parts: UploadPart['part'][] = [];
  const upload = async (messages: AsyncIterable<UploadPart>) => {
    for await (const { part } of messages) parts.push(part);
    return answer;
  };
  return { parts, plugins: { publishPlugin: upload, validatePlugin: upload } };
}

describe('plugin publish', () => {
  test('sends the header and then the module in chunks', async () => {
    const { parts, plugins } = taking({ plugin, created: true });
    const run = await runCli(['plugin', 'publish', modulePath], { plugins });
    expect(run).toMatchObject({ exitCode: 0, stdout: 'Published tiny@1.0.0 (sha256:ab)\n' });
    expect(parts[0]).toEqual({
      case: 'header',
      value: { manifest: '{"name":"tiny"}', sha256: digestOf(module), sizeBytes: BigInt(module.length) },
    });
    expect(parts.slice(1).map((part) => part.value)).toEqual([module.subarray(0, 262_144), module.subarray(262_144)]);
  });

  test('says so if the version was there already', async () => {
    const run = await runCli(['plugin', 'publish', modulePath], taking({ plugin, created: false }));
    expect(run.stdout).toBe('Already there: tiny@1.0.0 (sha256:ab)\n');
  });

  test('takes the manifest that is named', async () => {
    const manifest = join(folder, 'other-manifest.txt');
    writeFileSync(manifest, 'anything');
    const { parts, plugins } = taking({ plugin, created: true });
    await runCli(['plugin', 'publish', modulePath, '--manifest', manifest], { plugins });
    expect(parts[0]?.value).toMatchObject({ manifest: 'anything' });
  });

  test('prints JSON', async () => {
    const run = await runCli(['plugin', 'publish', modulePath, '--json'], taking({ plugin, created: true }));
    expect(JSON.parse(run.stdout)).toMatchObject({
      created: true,
      plugin: { name: 'tiny', sizeBytes: '2048', state: 'PLUGIN_STATE_RUNNING' },
    });
  });

  test('says where it looked for a manifest', async () => {
    const bare = join(mkdtempSync(join(folder, 'bare-')), 'bare.wasm');
    writeFileSync(bare, '');
    const run = await runCli(['plugin', 'publish', bare]);
    expect(run).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('write "bare.json" or "plugin.json" beside it'),
    });
  });
});

describe('plugin validate', () => {
  const report = create(ValidationReportSchema, {
    problems: [
      {
        reason: 'CAPABILITY_NOT_GRANTED',
        location: 'import x',
        message: 'no\u0007',
        manifestLine: '"capabilities": ["log"]',
      },
    ],
    digest: 'sha256:ab',
    memories: [{ minPages: 1n, clampedPages: 8n }],
  });

  test('lists every problem and ends with 20', async () => {
    const run = await runCli(['plugin', 'validate', modulePath], taking({ report }));
    expect(run.exitCode).toBe(20);
    expect(run.stdout.split('\n').slice(0, 3)).toEqual([
      'Not valid: 1 problem',
      '  CAPABILITY_NOT_GRANTED at import x: no\\u0007',
      '    add to the manifest: "capabilities": ["log"]',
    ]);
    expect(run.stdout).toContain('memories: 1 to 8 pages\n');
  });

  test('ends with 0 if it could be published', async () => {
    const run = await runCli(
      ['plugin', 'validate', modulePath],
      taking({ report: { ...report, valid: true, problems: [] } }),
    );
    expect(run).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^Valid: /) });
  });

  test('prints the whole report as JSON, also what is empty', async () => {
    const run = await runCli(['plugin', 'validate', modulePath, '--json'], taking({ report }));
    expect(JSON.parse(run.stdout)).toMatchObject({
      valid: false,
      problems: [{ reason: 'CAPABILITY_NOT_GRANTED' }],
      imports: [],
    });
  });
});

describe('plugin list', () => {
  test('prints a table whose cells cannot command the terminal', async () => {
    const run = await runCli(['plugin', 'list'], {
      plugins: { listPlugins: () => Promise.resolve({ plugins: [plugin], nextPageToken: '' }) },
    });
    expect(run.stdout).toBe(
      'NAME  VERSION  STATE    HEALTH    SIZE     FUNCTIONS         PUBLISHED\n' +
        'tiny  1.0.0    running  degraded  2.0 KiB  go stop\\u001b[0m  2023-11-14T22:13:20.000Z\n',
    );
  });

  test('asks for page after page up to the limit', async () => {
    const asked: object[] = [];
    const listPlugins = (request: object) => {
      asked.push(request);
      return Promise.resolve({ plugins: [plugin, plugin], nextPageToken: `after ${asked.length}` });
    };
    const run = await runCli(['plugin', 'list', '--name', 'tiny', '--limit', '3', '--json'], {
      plugins: { listPlugins },
    });
    expect(asked).toEqual([
      { pageSize: 3, pageToken: '', name: 'tiny' },
      { pageSize: 1, pageToken: 'after 1', name: 'tiny' },
    ]);
    expect((JSON.parse(run.stdout) as { plugins: object[] }).plugins).toHaveLength(3);
  });
});

describe('plugin show', () => {
  test('prints what is known', async () => {
    const run = await runCli(['plugin', 'show', 'tiny'], { plugins: { getPlugin: () => Promise.resolve({ plugin }) } });
    expect(run.stdout).toContain(
      'plugin:       tiny@1.0.0\n' +
        'state:        running\n' +
        'health:       degraded since 2023-11-14T22:14:20.000Z: 5 of the last 20 runs trapped; hot\\u0007\n' +
        'checked:      2023-11-14T22:14:50.000Z\n' +
        'digest:       sha256:ab\n',
    );
    expect(run.stdout).toContain('capabilities: none\n');
  });
});

describe('plugin start, stop, retire and delete', () => {
  test.each(['start', 'stop', 'retire'])('%s names the state afterwards', async (name) => {
    const asked: object[] = [];
    const change = (request: object) => {
      asked.push(request);
      return Promise.resolve({ plugin: { ...plugin, state: PluginState.STOPPED } });
    };
    const run = await runCli(['plugin', name, 'tiny@1.0.0'], { plugins: { [`${name}Plugin`]: change } });
    expect(run).toMatchObject({ exitCode: 0, stdout: 'tiny@1.0.0 is stopped\n' });
    expect(asked).toEqual([{ plugin: 'tiny@1.0.0' }]);
  });

  test.each([
    [0n, 0n, 'Deleted tiny@1.0.0\n'],
    [3n, 2_048n, 'Deleted tiny@1.0.0, and with it 3 keys (2.0 KiB) that its runs had stored\n'],
  ])('delete says what is gone: %s keys', async (storageKeysDeleted, storageBytesDeleted, stdout) => {
    const deleted = create(DeletePluginResponseSchema, { storageKeysDeleted, storageBytesDeleted });
    const asked: object[] = [];
    const deletePlugin = (request: object) => {
      asked.push(request);
      return Promise.resolve(deleted);
    };
    const run = await runCli(['plugin', 'delete', 'tiny@1.0.0'], { plugins: { deletePlugin } });
    expect(run).toMatchObject({ exitCode: 0, stdout });
    const json = await runCli(['plugin', 'delete', 'tiny@1.0.0', '--keep-storage', '--json'], {
      plugins: { deletePlugin },
    });
    expect(JSON.parse(json.stdout)).toEqual({
      storageKeysDeleted: String(storageKeysDeleted),
      storageBytesDeleted: String(storageBytesDeleted),
    });
    expect(asked).toEqual([
      { plugin: 'tiny@1.0.0', keepStorage: false },
      { plugin: 'tiny@1.0.0', keepStorage: true },
    ]);
  });
});

describe('plugin warm', () => {
  test('says how many instances are ready', async () => {
    const asked: object[] = [];
    const warmPlugin = (request: object) => {
      asked.push(request);
      return Promise.resolve({ plugin, threads: 2, instances: 4 });
    };
    const run = await runCli(['plugin', 'warm', 'tiny@1.0.0'], { plugins: { warmPlugin } });
    expect(run).toMatchObject({ exitCode: 0, stdout: 'tiny@1.0.0 has 4 instances ready on 2 threads\n' });
    const json = await runCli(['plugin', 'warm', 'tiny@1.0.0', '--threads', '2', '--json'], {
      plugins: { warmPlugin },
    });
    expect(JSON.parse(json.stdout)).toMatchObject({ plugin: { name: 'tiny' }, threads: 2, instances: 4 });
    expect(asked).toEqual([
      { plugin: 'tiny@1.0.0', threads: 0 },
      { plugin: 'tiny@1.0.0', threads: 2 },
    ]);
  });
});

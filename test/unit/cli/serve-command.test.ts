import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { dataDirectoryDefault } from '../../../src/cli/serve-command.ts';
import { runCli } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'caisson-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

describe('serve', () => {
  test('has a default for everything', async () => {
    const { served, exitCode } = await runCli(['serve', '--data-dir', '/d']);
    const processors = availableParallelism();
    expect(exitCode).toBe(0);
    expect(served).toEqual([
      {
        grpc: { host: '127.0.0.1', port: 50_051 },
        admin: { host: '127.0.0.1', port: 50_080 },
        socketPath: undefined,
        dataDirectory: '/d',
        processes: 1,
        threadsMin: processors,
        threadsMax: 4 * processors,
        queueMax: 1_000,
        graceMs: 10_000,
        logLevel: 'info',
        allowedFeatures: [],
        policyPath: undefined,
        publish: [],
      },
    ]);
  });

  const given = {
    CAISSON_GRPC: '[::1]:0',
    CAISSON_ADMIN: 'off',
    CAISSON_SOCKET: '/s.sock',
    CAISSON_DATA_DIR: '/other',
    CAISSON_PROCESSES: '64',
    CAISSON_THREADS_MIN: '3',
    CAISSON_THREADS_MAX: '5',
    CAISSON_QUEUE_MAX: '0',
    CAISSON_GRACE_SECONDS: '2',
    CAISSON_LOG_LEVEL: 'debug',
    CAISSON_ALLOW_WASM_FEATURE: 'threads,memory64',
    CAISSON_POLICY: '/policy.json',
  };
  const options = {
    grpc: { host: '::1', port: 0 },
    admin: undefined,
    socketPath: '/s.sock',
    dataDirectory: '/other',
    processes: 64,
    threadsMin: 3,
    threadsMax: 5,
    queueMax: 0,
    graceMs: 2_000,
    logLevel: 'debug',
    allowedFeatures: ['threads', 'memory64'],
    policyPath: '/policy.json',
    publish: [],
  };

  test('takes every option from the environment', async () => {
    for (const [name, value] of Object.entries(given)) vi.stubEnv(name, value);
    expect((await runCli(['serve'])).served).toEqual([options]);
  });

  test('takes every option from the command line, before the environment', async () => {
    for (const name of Object.keys(given)) vi.stubEnv(name, 'off');
    const words = Object.entries(given).flatMap(([name, value]) => [
      `--${name.slice('CAISSON_'.length).toLowerCase().replaceAll('_', '-')}`,
      value,
    ]);
    vi.stubEnv('CAISSON_LOG_LEVEL', 'warn');
    for (const name of ['PROCESSES', 'THREADS_MIN', 'THREADS_MAX', 'QUEUE_MAX', 'GRACE_SECONDS'])
      vi.stubEnv(`CAISSON_${name}`, '1');
    vi.stubEnv('CAISSON_ALLOW_WASM_FEATURE', undefined);
    expect((await runCli(['serve', ...words])).served).toEqual([options]);
  });

  test('names the variable that is wrong', async () => {
    vi.stubEnv('CAISSON_THREADS_MIN', 'many');
    const run = await runCli(['serve']);
    expect(run).toMatchObject({ exitCode: 2, served: [], stderr: expect.stringContaining('CAISSON_THREADS_MIN') });
  });

  test.each([
    [['--processes', '0'], 'from 1 to 64'],
    [['--processes', '65'], 'from 1 to 64'],
    [['--threads-min', '0'], 'from 1 to 256'],
    [['--threads-min', '9', '--threads-max', '8'], '--threads-max is 8, but --threads-min is 9'],
    [['--grpc', 'off'], 'Nothing to serve gRPC on'],
    [['--log-level', 'loud'], 'debug, info, warn, error'],
    [['--allow-wasm-feature', 'gc'], 'memory64, threads'],
    [['--publish', '/no/such/folder'], 'Cannot read folder "/no/such/folder": it does not exist'],
  ])('refuses %j', async (words, message) => {
    const run = await runCli(['serve', '--data-dir', '/d', ...words]);
    expect(run).toMatchObject({ exitCode: 2, served: [] });
    expect(run.stderr).toContain(message);
    expect(run.stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});

describe('serve where other machines could reach it', () => {
  const remote = ['serve', '--data-dir', '/d', '--grpc', '0.0.0.0:50051'];

  test.each([
    ['not at all', [], {}],
    ['by the option alone', ['--allow-remote'], {}],
    ['by the variable alone', [], { CAISSON_ALLOW_REMOTE: 'yes' }],
    ['by a variable that does not say yes', ['--allow-remote'], { CAISSON_ALLOW_REMOTE: '1' }],
  ])('is refused if that was said %s', async (_, words, environment) => {
    const run = await runCli([...remote, ...words], { environment });
    expect(run).toMatchObject({ exitCode: 2, served: [] });
    expect(run.stderr).toContain('Other machines could reach 0.0.0.0:50051');
  });

  test('is allowed if that was said twice', async () => {
    const run = await runCli([...remote, '--allow-remote'], { environment: { CAISSON_ALLOW_REMOTE: 'yes' } });
    expect(run.served).toHaveLength(1);
  });

  test('is refused for the admin listener, too', async () => {
    const run = await runCli(['serve', '--data-dir', '/d', '--admin', '[::]:50080']);
    expect(run.stderr).toContain('Other machines could reach [::]:50080');
  });
});

describe('serve --publish', () => {
  test('finds modules with their manifests, one folder deep', async () => {
    const root = mkdtempSync(join(folder, 'publish-'));
    mkdirSync(join(root, 'inner/deeper'), { recursive: true });
    for (const file of [
      'b.wasm',
      'b.json',
      'a.wasm',
      'a.json',
      'notes.txt',
      'inner/x.wasm',
      'inner/plugin.json',
      'inner/deeper/y.wasm',
    ]) {
      writeFileSync(join(root, file), '');
    }
    const other = mkdtempSync(join(folder, 'other-'));
    const { served } = await runCli([
      'serve',
      '--data-dir',
      '/d',
      '--publish',
      [root, other].join(delimiter),
      '--publish',
      root,
    ]);
    const found = [
      { modulePath: join(root, 'a.wasm'), manifestPath: join(root, 'a.json') },
      { modulePath: join(root, 'b.wasm'), manifestPath: join(root, 'b.json') },
      { modulePath: join(root, 'inner/x.wasm'), manifestPath: join(root, 'inner/plugin.json') },
    ];
    expect(served[0]?.publish).toEqual([...found, ...found]);
  });

  test('refuses a module without a manifest', async () => {
    const root = mkdtempSync(join(folder, 'bare-'));
    writeFileSync(join(root, 'bare.wasm'), '');
    const run = await runCli(['serve', '--data-dir', '/d', '--publish', root]);
    expect(run).toMatchObject({ exitCode: 2, served: [], stderr: expect.stringContaining('No manifest for') });
  });
});

describe('dataDirectoryDefault', () => {
  test('is the system’s for root, else the state directory', () => {
    const getuid = vi.spyOn(process, 'getuid');
    getuid.mockReturnValue(0);
    expect(dataDirectoryDefault({ XDG_STATE_HOME: '/x' })).toBe('/var/lib/caisson');
    getuid.mockReturnValue(1_000);
    expect(dataDirectoryDefault({ XDG_STATE_HOME: '/x', HOME: '/h' })).toBe('/x/caisson');
    expect(dataDirectoryDefault({ HOME: '/h' })).toBe('/h/.local/state/caisson');
    getuid.mockRestore();
  });
});

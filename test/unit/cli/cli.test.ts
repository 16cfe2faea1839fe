import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ExecError } from '../../../src/model/exec-error.ts';
import { runCli } from './harness.ts';

const commands = [
  ['serve'],
  ['exec'],
  ['run'],
  ['plugin', 'publish'],
  ['plugin', 'validate'],
  ['plugin', 'list'],
  ['plugin', 'show'],
  ['plugin', 'start'],
  ['plugin', 'stop'],
  ['plugin', 'retire'],
  ['plugin', 'warm'],
  ['plugin', 'delete'],
  ['executions', 'list'],
  ['executions', 'show'],
  ['executions', 'cancel'],
  ['executions', 'attach'],
  ['server', 'info'],
  ['doctor'],
];

describe('help', () => {
  test.each(commands)('%s %s has examples', async (...words) => {
    const run = await runCli([...words, '--help']);
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(run.stdout).toMatch(/\nExamples?:\n {2}(echo .* )?caisson /);
  });

  test.each([['exec'], ['run'], []])('%s lists the exit codes', async (...words) => {
    const run = await runCli([...words, '--help']);
    expect(run.stdout).toContain('11  TRAP');
    expect(run.stdout).toContain('21  refused: not found');
  });

  test('every command that talks to a server names its variable', async () => {
    for (const words of commands.slice(3, -1)) {
      expect((await runCli([...words, '--help'])).stdout, words.join(' ')).toMatch(/env:\s+CAISSON_ADDRESS/);
    }
  });

  test('without a command goes to stderr and is a usage error', async () => {
    const run = await runCli([]);
    expect(run).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining('Usage: caisson') });
  });
});

test('The version is printed', async () => {
  expect(await runCli(['--version'])).toMatchObject({ exitCode: 0, stdout: '9.8.7\n' });
});

describe('A usage error', () => {
  test.each([
    [['exce'], "unknown command 'exce' (Did you mean exec?)"],
    [['exec', 'echo'], "missing required argument 'function'"],
    [['exec', 'echo', 'f', 'more'], 'too many arguments'],
    [['exec', 'echo', 'f', '--inptu', 'x'], "unknown option '--inptu' (Did you mean --input?)"],
    [['exec', 'echo', 'f', '--timeout', '10'], 'Expected a duration with its unit'],
    [['exec', 'echo', 'f', '-c', 'novalue'], 'Expected key=value'],
    [['plugin', 'list', '--limit', '0'], 'from 1 to 100000'],
    [['plugin', 'list', '--address', 'nonsense'], 'host:port or unix:/path'],
    [['plugin', 'list', '--tenant', 'No'], 'A tenant must have 1 to 63 lowercase letters'],
    [['plugin', 'warm', 'echo@1.0.0', '--threads', '1025'], 'from 0 to 1024'],
  ])('%j is one line on stderr and exit code 2', async (words, message) => {
    const run = await runCli(words);
    expect(run).toMatchObject({ exitCode: 2, stdout: '', addresses: [] });
    expect(run.stderr).toMatch(/^caisson: .*\n$/);
    expect(run.stderr).toContain(message);
  });

  test('does not carry a control character to the terminal', async () => {
    expect((await runCli(['exec', 'echo', 'f', '--\u001b[2J'])).stderr).not.toContain('\u001b');
  });
});

describe('The tenant', () => {
  const fakes = { plugins: { listPlugins: () => Promise.resolve({ plugins: [], nextPageToken: '' }) } };

  test('is given before or after the command, or left to the server', async () => {
    expect((await runCli(['--tenant', 'acme', 'plugin', 'list'], fakes)).tenants).toEqual(['acme']);
    expect((await runCli(['plugin', 'list', '--tenant', 'acme'], fakes)).tenants).toEqual(['acme']);
    expect((await runCli(['plugin', 'list'], fakes)).tenants).toEqual([undefined]);
  });

  test('is in the help of every command, with its variable', async () => {
    for (const words of [[], ...commands]) {
      const { stdout } = await runCli([...words, '--help']);
      expect(stdout, words.join(' ')).toMatch(/--tenant <name> .*\s.*CAISSON_TENANT/);
    }
  });

  test('is taken from the environment, which the command line overrides', async () => {
    vi.stubEnv('CAISSON_TENANT', 'from-environment');
    onTestFinished(() => void vi.unstubAllEnvs());
    expect((await runCli(['plugin', 'list'], fakes)).tenants).toEqual(['from-environment']);
    expect((await runCli(['plugin', 'list', '--tenant', 'acme'], fakes)).tenants).toEqual(['acme']);
  });
});

describe('What the engine or this program fails with', () => {
  test.each([
    [new ExecError('PLUGIN_NOT_FOUND', 'no such plugin'), 21, 'caisson: PLUGIN_NOT_FOUND: no such plugin\n'],
    [new ExecError('SHUTTING_DOWN', 'bye'), 25, 'caisson: SHUTTING_DOWN: bye; try again in 1 s\n'],
    [new ExecError('INTERNAL', 'internal error'), 29, 'caisson: INTERNAL: internal error\n'],
    [new Error('a fault\nof two lines'), 1, 'caisson: a fault of two lines\n'],
  ])('%s is one line and an exit code', async (thrown, exitCode, stderr) => {
    const run = await runCli(['plugin', 'show', 'x'], { plugins: { getPlugin: () => Promise.reject(thrown) } });
    expect(run).toMatchObject({ exitCode, stderr, stdout: '' });
  });
});

/**
 * Runs the README: every `sh` block of the tour, in order, in one directory,
 * against a server started as the README says. The output of a block that shows
 * one must contain it.
 */

import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root, startServer, type TestServer } from '../helpers/server.ts';

const execFilePromise = promisify(execFile);

interface Step {
  readonly commands: string;
  /** Lines that the output must contain, in order. */
  readonly shown: readonly string[];
}

function tour(): readonly Step[] {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const section = readme.slice(readme.indexOf('## Five-minute tour'), readme.indexOf('## Where to go on'));
  const blocks = [...section.matchAll(/```(sh|text)\n(.*?)```/gs)].map(([, kind, text = '']) => ({ kind, text }));
  return blocks.flatMap(({ kind, text }, index) => {
    if (kind !== 'sh') return [];
    const next = blocks[index + 1];
    return [{ commands: text, shown: next?.kind === 'text' ? next.text.trimEnd().split('\n') : [] }];
  });
}

const steps = tour();
let server: TestServer;
let directory: string;

beforeAll(async () => {
  server = await startServer();
  directory = mkdtempSync(join(tmpdir(), 'caisson-tour-'));
  for (const name of ['node_modules', 'src', 'package.json', 'proto'])
    symlinkSync(join(root, name), join(directory, name));
  cpSync(join(root, 'bin'), join(directory, 'bin'), { recursive: true });
});

afterAll(async () => {
  rmSync(directory, { recursive: true, force: true });
  await server[Symbol.asyncDispose]();
});

async function run(commands: string): Promise<string> {
  const script = `set -e\n${commands.replaceAll('127.0.0.1:50051', server.address)}`;
  const environment = { ...process.env, CAISSON_ADDRESS: server.address, CAISSON_DATA_DIR: join(directory, 'data') };
  try {
    const { stdout, stderr } = await execFilePromise('sh', ['-c', script], {
      cwd: directory,
      env: environment,
      maxBuffer: 2 ** 26,
    });
    return stdout + stderr;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`The commands failed:\n${commands}\n${stdout}\n${stderr}`, { cause: error });
  }
}

describe('The tour of the README', () => {
  test('has steps that show what they print', () => {
    expect(steps.length).toBeGreaterThan(7);
    expect(steps.filter(({ shown }) => shown.length > 0).length).toBeGreaterThan(1);
  });

  test.each(steps.map((step, index) => [index + 1, step.commands.trim().split('\n')[0] ?? '', step] as const))(
    'step %i works: %s',
    async (_, __, { commands, shown }) => {
      const output = await run(commands);
      let from = 0;
      for (const line of shown) {
        const at = output.indexOf(line, from);
        expect(at, `"${line}" is not in the output:\n${output}`).toBeGreaterThanOrEqual(0);
        from = at + line.length;
      }
    },
    60_000,
  );
});

/**
 * The same fuel on another version of Node, with another V8: kernels and golden
 * modules, rewritten and run by each. Gets that Node from the registry, and so
 * runs only if CAISSON_TEST_FULL=1 asks for it.
 */

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { buildKernels } from '../../bench/kernels.ts';
import { goldenTexts } from '../golden/fuel-figures.ts';
import { wat } from '../helpers/wat.ts';
import { fuelOfFiles } from './fuel-of-files-child.ts';
import { isFullRun, onlyInFullRuns, skipBecause } from './skipping.ts';

const execFilePromise = promisify(execFile);
const otherVersion = '26';
const installMsMax = 300_000;
const child = join(import.meta.dirname, 'fuel-of-files-child.ts');

const title = `Kernels and golden modules use the same fuel on Node ${process.versions.node} and ${otherVersion}`;

test(title, { timeout: 600_000 }, async (context) => {
  if (!isFullRun) skipBecause(context, onlyInFullRuns);
  const directory = mkdtempSync(join(tmpdir(), 'caisson-fuel-'));
  try {
    const node = await otherNode(directory);
    if ('missing' in node) skipBecause(context, `Node ${otherVersion} cannot be had: ${node.missing}`);
    const paths = await writeModules(directory);
    const { stdout } = await execFilePromise(node.path, [child, ...paths]);
    const other = JSON.parse(stdout) as { readonly node: string; readonly fuel: readonly number[] };
    expect(other.node.startsWith(`${otherVersion}.`)).toBe(true);
    expect(other.fuel).toEqual(fuelOfFiles(paths));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

/** npm has a package for each system with nothing but Node in it. */
async function otherNode(directory: string): Promise<{ readonly path: string } | { readonly missing: string }> {
  const name = `node-${process.platform}-${process.arch}`;
  const words = ['install', '--prefix', directory, '--no-save', '--ignore-scripts', `${name}@${otherVersion}`];
  try {
    await execFilePromise('npm', words, { timeout: installMsMax });
    return { path: join(directory, 'node_modules', name, 'bin/node') };
  } catch (error) {
    const { stderr = '', message } = error as { readonly stderr?: string; readonly message: string };
    return { missing: stderr.split('\n').find((line) => /error/i.test(line)) ?? message };
  }
}

async function writeModules(directory: string): Promise<readonly string[]> {
  const golden = [...goldenTexts()].map(([name, text]) => ({ name, bytes: wat(text) }));
  return [...golden, ...(await buildKernels())].map(({ name, bytes }) => {
    const path = join(directory, `${name}.wasm`);
    writeFileSync(path, bytes);
    return path;
  });
}

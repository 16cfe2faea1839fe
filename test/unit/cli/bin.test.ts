import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'caisson-bin-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A tree like the repository's whose program prints the Node that runs it and its words. */
function tree(name: string, options: { readonly pinned: boolean }): string {
  const root = join(folder, name);
  mkdirSync(join(root, 'src'), { recursive: true });
  cpSync(resolve(import.meta.dirname, '../../../bin'), join(root, 'bin'), { recursive: true });
  writeFileSync(
    join(root, 'src/main.ts'),
    'const words: string[] = process.argv.slice(2); console.log(process.argv0, JSON.stringify(words));',
  );
  if (!options.pinned) return root;
  mkdirSync(join(root, 'node_modules/node/bin'), { recursive: true });
  symlinkSync(process.execPath, join(root, 'node_modules/node/bin/node'));
  return root;
}

/** A folder for PATH whose `node` says that it has this version, or has none. */
function pathWith(name: string, version: string | undefined): string {
  const path = join(folder, name);
  mkdirSync(path);
  for (const tool of ['readlink', 'dirname'])
    symlinkSync(spawnSync('which', [tool], { encoding: 'utf8' }).stdout.trim(), join(path, tool));
  if (version === undefined) return path;
  const script = `#!/bin/sh\n[ "$1" = -p ] && echo ${version} && exit\necho "fake node $2 $3"\n`;
  writeFileSync(join(path, 'node'), script);
  chmodSync(join(path, 'node'), 0o755);
  return path;
}

function run(command: string, PATH: string) {
  const { status, stdout, stderr } = spawnSync('/bin/sh', [command, 'a b', '*', ''], {
    encoding: 'utf8',
    env: { PATH },
  });
  return { status, stdout, stderr };
}

describe('bin/caisson', () => {
  test('takes the pinned Node, through symbolic links, and hands on every word as it is', () => {
    const root = tree('with spaces', { pinned: true });
    const link = join(folder, 'link');
    symlinkSync('link2', link);
    symlinkSync(join(root, 'bin/caisson'), join(folder, 'link2'));
    const { status, stdout } = run(link, pathWith('path1', '20.0.0'));
    expect(status).toBe(0);
    expect(stdout).toBe(`${join(root, 'node_modules/node/bin/node')} ["a b","*",""]\n`);
  });

  test('takes a Node of PATH that is new enough', () => {
    const root = tree('unpinned', { pinned: false });
    expect(run(join(root, 'bin/caisson'), pathWith('path2', '24.0.0'))).toMatchObject({
      status: 0,
      stdout: 'fake node a b *\n',
    });
  });

  test('refuses an old Node', () => {
    const root = tree('old', { pinned: false });
    const { status, stderr } = run(join(root, 'bin/caisson'), pathWith('path3', '20.19.0'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/needs Node 24 or later, but .*path3\/node is 20\.19\.0/);
  });

  test('says what to do where there is no Node', () => {
    const root = tree('none', { pinned: false });
    const { status, stderr } = run(join(root, 'bin/caisson'), pathWith('path4', undefined));
    expect(status).toBe(1);
    expect(stderr).toContain('needs Node 24 or later, but there is none');
  });
});

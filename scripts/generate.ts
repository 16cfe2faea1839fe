/**
 * Makes every generated file of the repository: code from the contract, the
 * kernel's bytes, the table of errors. With --check it makes them aside and
 * fails if one differs from what is committed.
 */

import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const generated = ['src/gen', 'src/sandbox/kernel/kernel-bytes.ts', 'docs/errors.md'];

function make(target: string): void {
  const run = (command: string, ...args: string[]): void => {
    execFileSync(command, args, { cwd: root, stdio: 'inherit' });
  };
  run(join(root, 'node_modules/.bin/buf'), 'generate', '-o', target);
  run(process.execPath, 'scripts/generate-kernel.ts', join(target, 'src/sandbox/kernel/kernel-bytes.ts'));
  run(process.execPath, 'scripts/generate-errors-doc.ts', join(target, 'docs/errors.md'));
}

function filesBelow(base: string, path: string): string[] {
  try {
    return readdirSync(join(base, path), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(base, join(entry.parentPath, entry.name)))
      .toSorted();
  } catch {
    return [path];
  }
}

function differing(target: string): string[] {
  return generated.flatMap((path) => {
    const files = new Set([...filesBelow(root, path), ...filesBelow(target, path)]);
    const read = (base: string, file: string): string | undefined => {
      try {
        return readFileSync(join(base, file), 'utf8');
      } catch {
        return undefined;
      }
    };
    return [...files].filter((file) => read(root, file) !== read(target, file));
  });
}

if (process.argv.includes('--check')) {
  const target = mkdtempSync(join(tmpdir(), 'caisson-generate-'));
  for (const path of ['src/sandbox/kernel', 'docs']) cpSync(join(root, path), join(target, path), { recursive: true });
  try {
    make(target);
    const files = differing(target);
    if (files.length > 0) {
      process.stderr.write(
        `These files differ from a fresh generation: ${files.join(', ')}. Run "npm run generate".\n`,
      );
      process.exitCode = 1;
    }
  } finally {
    rmSync(target, { recursive: true, force: true });
  }
} else {
  make(root);
}

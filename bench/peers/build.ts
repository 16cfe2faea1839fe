/**
 * Builds the peers with the toolchains that are there, into the cache directory:
 * `node bench/peers/build.ts`. The first build of the Rust peer takes minutes.
 */

import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from '../cache.ts';

const execFilePromise = promisify(execFile);

export type PeerLanguage = 'go' | 'rust';

interface Recipe {
  readonly program: string;
  readonly command: string;
  readonly words: readonly string[];
}

const rustTarget = join(cacheDirectory, 'rust');
const recipes: Readonly<Record<PeerLanguage, Recipe>> = {
  go: {
    program: join(cacheDirectory, 'go-peer'),
    command: 'go',
    words: ['build', '-o', join(cacheDirectory, 'go-peer'), '.'],
  },
  rust: {
    program: join(rustTarget, 'release', 'caisson-bench-peer'),
    command: 'cargo',
    words: ['build', '--release', '--target-dir', rustTarget],
  },
};

const builds = new Map<PeerLanguage, Promise<void>>();

/** Path of the peer's program, built first if `mayBuild`. Rejects with why there is none. */
export async function peerProgram(language: PeerLanguage, mayBuild: boolean): Promise<string> {
  const { program } = recipes[language];
  if (mayBuild) {
    const build = builds.get(language) ?? buildPeer(language);
    builds.set(language, build);
    await build;
  }
  if (!existsSync(program)) throw new Error('the peer is not built: run node bench/peers/build.ts');
  return program;
}

async function buildPeer(language: PeerLanguage): Promise<void> {
  const { command, words } = recipes[language];
  try {
    await execFilePromise(command, words, { cwd: join(import.meta.dirname, language) });
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim().slice(-300) : String(error);
    throw new Error(isMissing ? `${command} is not installed` : `${command} build failed: ${said}`, { cause: error });
  }
}

if (import.meta.main) {
  for (const language of ['go', 'rust'] as const) {
    try {
      process.stdout.write(`${language}: ${await peerProgram(language, true)}\n`);
    } catch (error) {
      process.stderr.write(`${language}: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 1;
    }
  }
}

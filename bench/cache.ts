/** Where the benchmarks keep what takes long to build: outside of the repository. */

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

export const cacheDirectory = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'caisson-bench');

/** The bytes that were built from these sources, or builds them. */
export async function cached(
  name: string,
  sources: readonly string[],
  build: () => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const key = createHash('sha256').update(JSON.stringify(sources)).digest('hex').slice(0, 16);
  const path = join(cacheDirectory, 'modules', `${name}-${key}.wasm`);
  if (existsSync(path)) return readFileSync(path);
  const bytes = await build();
  mkdirSync(join(cacheDirectory, 'modules'), { recursive: true });
  writeFileSync(`${path}.${process.pid}`, bytes);
  renameSync(`${path}.${process.pid}`, path);
  return bytes;
}

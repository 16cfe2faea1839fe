/** Modules that take compilers seconds to make, kept with the example plugins until their sources change. */

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digestOf } from '../../src/base/digest.ts';
import { root } from './server.ts';

/** Not in the folder of the example plugins, all of which is published. */
const folder = join(root, 'plugins-examples/build-of-tests');

/** The module under a name: as kept, if it was made of these sources by the same compilers. */
export async function builtOnce(
  name: string,
  sources: Iterable<readonly [path: string, text: string]>,
  compile: () => Promise<Uint8Array>,
): Promise<Uint8Array<ArrayBuffer>> {
  const compilers = readFileSync(join(root, 'plugins-examples/package.json'), 'utf8');
  const key = digestOf(Buffer.from(JSON.stringify([compilers, ...sources]))).slice('sha256:'.length);
  const path = join(folder, `${name}-${key}.wasm`);
  if (existsSync(path)) return new Uint8Array(readFileSync(path));
  const module = new Uint8Array(await compile());
  mkdirSync(folder, { recursive: true });
  // Several processes may build at once: a file is there whole or not at all.
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, module);
  renameSync(temporary, path);
  return module;
}

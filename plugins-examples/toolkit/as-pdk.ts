/** AssemblyScript with Extism's PDK, npm `@extism/as-pdk`, as it is there: what tests compare us with Extism by. */

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { CompileError } from './recipe.ts';

/** As the compiler asks for what is in the package. */
const prefix = 'node_modules/@extism/as-pdk/';
const flags = ['-O3', '--use', 'abort=main/pdkAbort'];

/** The module of a program of one file, which exports `pdkAbort`. */
export async function compileWithAsPdk(source: string): Promise<Uint8Array<ArrayBuffer>> {
  const { default: asc } = await import('assemblyscript/asc');
  const packageFolder = new URL('.', import.meta.resolve('@extism/as-pdk'));
  let module: Uint8Array | undefined;
  const stderr = asc.createMemoryStream();
  const { error } = await asc.main(['main.ts', '--outFile', 'main.wasm', ...flags], {
    stderr,
    stdout: asc.createMemoryStream(),
    readFile: async (name) => {
      if (name === 'main.ts') return source;
      if (!name.startsWith(prefix)) return null;
      return readFile(fileURLToPath(new URL(name.slice(prefix.length), packageFolder)), 'utf8').catch(() => null);
    },
    listFiles: () => [],
    writeFile: (name, contents) => {
      if (name === 'main.wasm' && typeof contents !== 'string') module = contents;
    },
  });
  if (error || !module) throw new CompileError(stderr.toString().trim() || String(error));
  return new Uint8Array(module);
}

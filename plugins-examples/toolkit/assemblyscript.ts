/** AssemblyScript through npm `assemblyscript`. Memory is never freed: one instance serves one call. */

import { CompileError, type Recipe, type Sources } from './recipe.ts';

const flags = ['-O3', '--converge', '--runtime', 'stub', '--use', 'abort=sdk/assembly/caisson/caissonAbort'];

export const assemblyscript: Recipe = {
  language: 'AssemblyScript',
  tool: 'assemblyscript',
  mainFile: () => 'assembly/index.ts',
  sharedFolders: ['sdk/assembly'],
  compile: compileAssemblyScript,
};

async function compileAssemblyScript(mainFile: string, sources: Sources): Promise<Uint8Array> {
  const { default: asc } = await import('assemblyscript/asc');
  let module: Uint8Array | undefined;
  const stderr = asc.createMemoryStream();
  const { error } = await asc.main([mainFile, '--outFile', 'plugin.wasm', ...flags], {
    stderr,
    stdout: asc.createMemoryStream(),
    readFile: (name) => sources.get(name) ?? null,
    listFiles: () => [],
    writeFile: (name, contents) => {
      if (name === 'plugin.wasm' && typeof contents !== 'string') module = contents;
    },
  });
  if (error || !module) throw new CompileError(stderr.toString().trim() || String(error));
  return module;
}

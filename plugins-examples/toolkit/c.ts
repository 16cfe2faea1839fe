/** C without a C library through npm `@yowasp/clang`, which is clang and lld compiled to WebAssembly. */

import type { Exit, Tree } from '@yowasp/clang';
import { CompileError, type Recipe, type Sources } from './recipe.ts';

const flags = ['-O2', '-std=c17', '-Wall', '-Wextra', '-Werror', '-nostdlib', '-I', 'sdk/c'];
/** Function names stay in the module, so that a trap's stack is readable. */
const linkerFlags = ['-Wl,--no-entry', '-Wl,--strip-debug', '-Wl,-z,stack-size=65536'];

export const c: Recipe = {
  language: 'C',
  tool: '@yowasp/clang',
  mainFile: (plugin) => `src/${plugin}.c`,
  sharedFolders: ['sdk/c'],
  compile: compileC,
};

async function compileC(mainFile: string, sources: Sources): Promise<Uint8Array> {
  const { commands } = await import('@yowasp/clang');
  // Without arguments it only loads itself, and this is the one way to have it load in silence.
  await commands.clang(undefined, {}, { fetchProgress: () => {} });
  const said: Uint8Array[] = [];
  const stderr = (bytes: Uint8Array | null): void => void (bytes && said.push(bytes));
  const files = [mainFile, ...[...sources.keys()].filter((path) => path.endsWith('.c') && path !== mainFile)];
  try {
    const tree = await commands.clang([...flags, ...linkerFlags, '-o', 'plugin.wasm', ...files], treeOf(sources), {
      stdout: null,
      stderr,
    });
    return moduleIn(tree);
  } catch (error) {
    if (!isExit(error)) throw error;
    throw new CompileError(Buffer.concat(said).toString().trim());
  }
}

function moduleIn(tree: Tree | undefined): Uint8Array {
  const module = tree?.['plugin.wasm'];
  if (!(module instanceof Uint8Array)) throw new CompileError('clang wrote no module');
  return module;
}

/** The sources as the nested object that the compiler takes for a file system. */
function treeOf(sources: Sources): Tree {
  const root: Tree = {};
  for (const [path, text] of sources) {
    const folders = path.split('/');
    const file = folders.pop() ?? path;
    let folder = root;
    for (const name of folders) folder = (folder[name] ??= {}) as Tree;
    folder[file] = text;
  }
  return root;
}

function isExit(error: unknown): error is Exit {
  return error instanceof Error && 'code' in error && 'files' in error;
}

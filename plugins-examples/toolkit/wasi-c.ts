/** C with the C library that npm `@yowasp/clang` carries: programs that import WASI preview 1. */

import { CompileError } from './recipe.ts';

const flags = ['--target=wasm32-wasip1', '-O2', '-Wall', '-Wextra', '-Werror', '-Wl,--strip-debug'];

/** The module of a program of one file; `more` are further flags, such as -mexec-model=reactor. */
export async function compileWasiC(source: string, ...more: readonly string[]): Promise<Uint8Array<ArrayBuffer>> {
  const { commands } = await import('@yowasp/clang');
  // Without arguments it only loads itself, and this is the one way to have it load in silence.
  await commands.clang(undefined, {}, { fetchProgress: () => {} });
  const said: Uint8Array[] = [];
  const stderr = (bytes: Uint8Array | null): void => void (bytes && said.push(bytes));
  try {
    const files = { 'program.c': source };
    const tree = await commands.clang([...flags, ...more, '-o', 'program.wasm', 'program.c'], files, {
      stdout: null,
      stderr,
    });
    const module = tree?.['program.wasm'];
    if (module instanceof Uint8Array) return new Uint8Array(module);
    throw new CompileError('clang wrote no module');
  } catch (error) {
    throw said.length === 0 ? error : new CompileError(Buffer.concat(said).toString().trim());
  }
}

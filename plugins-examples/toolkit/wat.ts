/** WebAssembly text through npm `wabt`. */

import { CompileError, type Recipe } from './recipe.ts';

export const wat: Recipe = {
  language: 'WebAssembly text',
  tool: 'wabt',
  mainFile: (plugin) => `src/${plugin}.wat`,
  sharedFolders: [],
  compile: (mainFile, sources) => compileWat(mainFile, sources.get(mainFile) ?? ''),
};

/** Bytes of a module written as text, with the features that Node 24 has. */
export async function compileWat(name: string, text: string): Promise<Uint8Array> {
  const { default: load } = await import('wabt');
  const wabt = await load();
  const features = {
    multi_memory: true,
    memory64: true,
    exceptions: true,
    tail_call: true,
    extended_const: true,
    simd: true,
    threads: true,
  };
  try {
    const parsed = wabt.parseWat(name, text, features);
    try {
      parsed.resolveNames();
      parsed.validate();
      return parsed.toBinary({ write_debug_names: true }).buffer;
    } finally {
      parsed.destroy();
    }
  } catch (error) {
    throw new CompileError(error instanceof Error ? error.message.trim() : String(error));
  }
}

/**
 * What a language's recipe is to build.ts: how to recognise a plugin's sources,
 * which files decide its bytes, and how to turn them into a module.
 */

import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Source text by path, relative to plugins-examples and with forward slashes. */
export type Sources = ReadonlyMap<string, string>;

export interface Recipe {
  readonly language: string;
  /** The npm package that compiles it; its pinned version is part of the cache key. */
  readonly tool: string;
  /** The plugin's main source file, relative to its folder. */
  mainFile(plugin: string): string;
  /** Folders of shared sources, relative to plugins-examples. */
  readonly sharedFolders: readonly string[];
  /** Compiles. Throws CompileError for a mistake in the sources, and lets a failed import of the tool through. */
  compile(mainFile: string, sources: Sources): Promise<Uint8Array>;
}

/** The sources are wrong; the message is what the compiler said. */
export class CompileError extends Error {
  override readonly name = 'CompileError';
}

/** Reads every file below the folders, sorted by path. */
export async function readSources(root: string, folders: readonly string[]): Promise<Sources> {
  const paths: string[] = [];
  for (const folder of folders) {
    for (const entry of await readdir(join(root, folder), { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) paths.push(relative(root, join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
    }
  }
  const sources = new Map<string, string>();
  for (const path of paths.toSorted()) sources.set(path, await readFile(join(root, path), 'utf8'));
  return sources;
}

/**
 * Finds and reads the files that a plugin is published from: a module, and the
 * manifest that belongs to it. Judges neither: that is the server's part.
 */

import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UsageError } from './failure.ts';

export interface PluginFiles {
  readonly modulePath: string;
  readonly manifestPath: string;
}

const moduleEnding = '.wasm';
const manifestFileName = 'plugin.json';
/** Modules published from one folder. */
const filesMax = 1_000;
/** More than any server accepts. */
const moduleBytesMax = 1_073_741_824;

/** The manifest that belongs to a module: "<name>.json" beside it, else "plugin.json" beside it. Undefined if there is neither. */
export async function findManifest(modulePath: string): Promise<string | undefined> {
  const folder = dirname(modulePath);
  const stem = basename(modulePath, moduleEnding);
  for (const path of [join(folder, `${stem}.json`), join(folder, manifestFileName)]) {
    if (await isFile(path)) return path;
  }
  return undefined;
}

/**
 * Every module with a manifest in a folder and in the folders directly within
 * it, sorted by path. Throws UsageError if the folder cannot be read or a module
 * has no manifest.
 */
export async function findPluginFiles(directory: string): Promise<readonly PluginFiles[]> {
  const found: PluginFiles[] = [];
  for (const modulePath of await modulePaths(directory)) {
    const manifestPath = await findManifest(modulePath);
    if (manifestPath === undefined) throw new UsageError(noManifest(modulePath));
    found.push({ modulePath, manifestPath });
  }
  return found;
}

async function modulePaths(directory: string): Promise<readonly string[]> {
  const paths: string[] = [];
  for (const entry of await entriesOf(directory)) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      const inner = await entriesOf(path);
      paths.push(...inner.filter((file) => isModule(file.name)).map((file) => join(path, file.name)));
    } else if (isModule(entry.name)) paths.push(path);
  }
  if (paths.length > filesMax) throw new UsageError(`"${directory}" holds more than ${filesMax} modules`);
  return paths.toSorted();
}

async function entriesOf(directory: string) {
  try {
    return await readdir(directory, { withFileTypes: true });
  } catch (error) {
    throw new UsageError(`Cannot read folder "${directory}": ${systemText(error)}`);
  }
}

function isModule(name: string): boolean {
  return name.endsWith(moduleEnding);
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** What to tell someone whose module has no manifest. */
export function noManifest(modulePath: string): string {
  const stem = basename(modulePath, moduleEnding);
  return `No manifest for "${modulePath}": write "${stem}.json" or "${manifestFileName}" beside it, or name one with --manifest`;
}

/** A module's bytes. Throws UsageError if they cannot be read. */
export async function readModule(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > moduleBytesMax)
      throw new UsageError(`"${path}" has more than ${moduleBytesMax} bytes: it cannot be a plugin`);
    return await readFile(path);
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`Cannot read module "${path}": ${systemText(error)}`);
  }
}

/** A manifest's text, named or found beside the module. */
export async function readManifestFor(modulePath: string, named: string | undefined): Promise<string> {
  const path = named ?? (await findManifest(modulePath));
  if (path === undefined) throw new UsageError(noManifest(modulePath));
  return readText(path, 'manifest');
}

async function readText(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new UsageError(`Cannot read ${what} "${path}": ${systemText(error)}`);
  }
}

/** Why the system refused, without its own repetition of the path. */
export function systemText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? String(error.code) : '';
  const known: Readonly<Record<string, string>> = {
    ENOENT: 'it does not exist',
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EISDIR: 'it is a folder',
    ENOTDIR: 'it is not a folder',
    ENOSPC: 'no space left',
    EROFS: 'the file system is read-only',
    EADDRINUSE: 'the address is in use',
  };
  return known[code] ?? error.message;
}

/**
 * Builds the example plugins from source into build/, with npm packages alone.
 * What has not changed (sources, shared sources, tool version) is not built
 * again. The bytes are the same on every machine: digests.json holds them.
 *
 *   node plugins-examples/build.ts [--check | --update] [--force] [name…]
 */

import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { assemblyscript } from './toolkit/assemblyscript.ts';
import { c } from './toolkit/c.ts';
import { CompileError, type Recipe, readSources, type Sources } from './toolkit/recipe.ts';
import { wat } from './toolkit/wat.ts';

/** The folder of the example plugins. */
export const examplesDirectory = import.meta.dirname;

const recipes: readonly Recipe[] = [assemblyscript, c, wat];
const digestsFile = join(examplesDirectory, 'digests.json');

export interface BuildOptions {
  /** Which plugins; all of them if absent. */
  readonly names?: readonly string[];
  /** Where the modules and manifests go; plugins-examples/build if absent. */
  readonly outputDirectory?: string;
  /** Builds also what has not changed. */
  readonly force?: boolean;
  /** Told of each plugin as it is done. */
  readonly report?: (build: ExampleBuild) => void;
}

export type ExampleBuild =
  | {
      readonly name: string;
      readonly status: 'built' | 'unchanged';
      readonly language: string;
      readonly modulePath: string;
      readonly manifestPath: string;
      readonly sha256: string;
      readonly sizeBytes: number;
    }
  | { readonly name: string; readonly status: 'skipped'; readonly reason: string };

/**
 * Builds example plugins and answers with what became of each, by name. The
 * module is <name>.wasm and the manifest <name>.json. A plugin whose tool is not
 * installed is skipped. Throws CompileError if sources are wrong.
 */
export async function buildExamples(options: BuildOptions = {}): Promise<readonly ExampleBuild[]> {
  const outputDirectory = options.outputDirectory ?? join(examplesDirectory, 'build');
  const names = options.names ?? (await exampleNames());
  await mkdir(outputDirectory, { recursive: true });
  if (options.names === undefined) await removeStale(outputDirectory, names);
  const builds = names.map(async (name) => {
    const build = await buildExample(name, outputDirectory, options.force ?? false);
    options.report?.(build);
    return build;
  });
  return Promise.all(builds);
}

/** Names of all example plugins: the folders that have a manifest. */
export async function exampleNames(): Promise<readonly string[]> {
  const entries = await readdir(examplesDirectory);
  return entries.filter((name) => existsSync(join(examplesDirectory, name, 'plugin.json'))).toSorted();
}

async function buildExample(name: string, outputDirectory: string, force: boolean): Promise<ExampleBuild> {
  const recipe = recipes.find((candidate) => existsSync(join(examplesDirectory, name, candidate.mainFile(name))));
  if (!recipe) throw new CompileError(`No example plugin "${name}" with sources of a known language`);
  const mainFile = `${name}/${recipe.mainFile(name)}`;
  const sourceFolder = mainFile.slice(0, mainFile.lastIndexOf('/'));
  const sources = await readSources(examplesDirectory, [sourceFolder, ...recipe.sharedFolders]);
  const key = await cacheKey(recipe, sources);
  const modulePath = join(outputDirectory, `${name}.wasm`);
  const manifestPath = join(outputDirectory, `${name}.json`);
  const keyPath = join(outputDirectory, `${name}.key`);
  const isUnchanged =
    !force && existsSync(modulePath) && existsSync(keyPath) && (await readFile(keyPath, 'utf8')) === key;
  if (!isUnchanged) {
    const module = await compileUnlessMissing(recipe, mainFile, sources);
    if (!module)
      return { name, status: 'skipped', reason: `npm package ${recipe.tool} is not installed; run npm install` };
    await writeWhole(modulePath, module);
    await writeWhole(keyPath, key);
  }
  await writeWhole(manifestPath, await readFile(join(examplesDirectory, name, 'plugin.json')));
  const module = await readFile(modulePath);
  const status = isUnchanged ? 'unchanged' : 'built';
  return {
    name,
    status,
    language: recipe.language,
    modulePath,
    manifestPath,
    sha256: sha256Of(module),
    sizeBytes: module.length,
  };
}

async function compileUnlessMissing(
  recipe: Recipe,
  mainFile: string,
  sources: Sources,
): Promise<Uint8Array | undefined> {
  try {
    return await recipe.compile(mainFile, sources);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND') return undefined;
    if (error instanceof CompileError) throw new CompileError(`${mainFile}: ${error.message}`);
    throw error;
  }
}

/** Everything that decides a module's bytes: sources, tool version, and the recipes themselves. */
async function cacheKey(recipe: Recipe, sources: Sources): Promise<string> {
  const pinned = JSON.parse(await readFile(join(examplesDirectory, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  const toolkit = await readSources(examplesDirectory, ['toolkit']);
  const parts = [recipe.language, recipe.tool, pinned.devDependencies[recipe.tool], [...sources], [...toolkit]];
  return sha256Of(Buffer.from(JSON.stringify(parts)));
}

/** Modules of plugins that are no longer there, which would else be published on and on. */
async function removeStale(outputDirectory: string, names: readonly string[]): Promise<void> {
  for (const file of await readdir(outputDirectory)) {
    const [, name] = /^(.+)\.(?:wasm|json|key)$/.exec(file) ?? [];
    if (name !== undefined && !names.includes(name)) await rm(join(outputDirectory, file));
  }
}

/** Several processes may build at once: a file is there whole or not at all. */
async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  await writeFile(temporary, content);
  await rename(temporary, path);
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

type Digests = Readonly<Record<string, { readonly sha256: string; readonly sizeBytes: number }>>;

/** What differs between the builds and digests.json, in words; skipped plugins are not compared. */
export async function compareDigests(builds: readonly ExampleBuild[]): Promise<readonly string[]> {
  const known = JSON.parse(await readFile(digestsFile, 'utf8')) as Digests;
  const differences = builds.flatMap((build) => {
    if (build.status === 'skipped') return [];
    const expected = known[build.name];
    if (!expected) return [`${build.name} is not in digests.json`];
    if (expected.sha256 === build.sha256) return [];
    return [
      `${build.name} is ${build.sha256} (${build.sizeBytes} bytes), but digests.json has ${expected.sha256} (${expected.sizeBytes} bytes)`,
    ];
  });
  const names = await exampleNames();
  const gone = Object.keys(known).filter((name) => !names.includes(name));
  return [...differences, ...gone.map((name) => `${name} is in digests.json, but there is no such plugin`)];
}

async function updateDigests(builds: readonly ExampleBuild[]): Promise<void> {
  const known = existsSync(digestsFile) ? (JSON.parse(await readFile(digestsFile, 'utf8')) as Digests) : {};
  const names = await exampleNames();
  const built = builds.flatMap((build) =>
    build.status === 'skipped' ? [] : [[build.name, { sha256: build.sha256, sizeBytes: build.sizeBytes }] as const],
  );
  const merged = { ...known, ...Object.fromEntries(built) };
  const sorted = Object.entries(merged)
    .filter(([name]) => names.includes(name))
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
  await writeWhole(digestsFile, `${JSON.stringify(Object.fromEntries(sorted), undefined, 2)}\n`);
}

function lineOf(build: ExampleBuild): string {
  if (build.status === 'skipped') return `SKIPPED ${build.name}: ${build.reason}\n`;
  return `${build.status.padEnd(9)} ${build.name} (${build.language}, ${build.sizeBytes} bytes, sha256 ${build.sha256.slice(0, 12)}…)\n`;
}

async function main(): Promise<number> {
  const options = { check: { type: 'boolean' }, update: { type: 'boolean' }, force: { type: 'boolean' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const builds = await buildExamples({
    ...(positionals.length > 0 ? { names: positionals } : {}),
    force: values.force ?? false,
    report: (build) => process.stdout.write(lineOf(build)),
  });
  if (values.update) await updateDigests(builds);
  if (!values.check) return 0;
  const differences = await compareDigests(builds);
  for (const difference of differences) process.stderr.write(`DIFFERS ${difference}\n`);
  return differences.length === 0 ? 0 : 1;
}

if (import.meta.main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    process.stderr.write(`FAILED ${error instanceof CompileError ? error.message : String(error)}\n`);
    process.exitCode = 1;
  }
}

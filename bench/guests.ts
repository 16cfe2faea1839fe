/**
 * The guests of the benchmarks, built once: the same bytes for Caisson and for
 * everybody else. Caisson gets each twice, under its name with a fresh instance for
 * each call, and under the name with "-reuse".
 */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { c } from '../plugins-examples/toolkit/c.ts';
import { wat } from '../plugins-examples/toolkit/wat.ts';
import { cached } from './cache.ts';

const examples = join(import.meta.dirname, '../plugins-examples');
const own = join(import.meta.dirname, 'guests');
const kernels = join(import.meta.dirname, 'kernels');

/** Those of the quick run: nothing but calls, and a loop. */
const quickKernels = ['fib', 'sha256'];
const ioBytesMax = 16 * 1_048_576;

interface Guest {
  readonly name: string;
  readonly functions: readonly string[];
  readonly capabilities: readonly string[];
  /** Whether plain Extism can run it. */
  readonly isPlain: boolean;
  readonly bytes: Uint8Array;
}

export interface Guests {
  /** Modules with manifests, for `caisson serve --publish`. */
  readonly publishFolder: string;
  /** Modules alone, for everybody else. */
  readonly modulesFolder: string;
  /** Names of the kernels that were built. */
  readonly kernels: readonly string[];
}

export async function buildGuests(folder: string, quick: boolean): Promise<Guests> {
  const names = kernelNames().filter((name) => !quick || quickKernels.includes(name));
  const guests = [await echo(), await countVowels(), await workload()];
  for (const name of names) guests.push(await kernel(name));
  const publishFolder = join(folder, 'plugins');
  const modulesFolder = join(folder, 'modules');
  for (const path of [publishFolder, modulesFolder]) mkdirSync(path, { recursive: true });
  for (const guest of guests) writeGuest(guest, publishFolder, modulesFolder);
  return { publishFolder, modulesFolder, kernels: names };
}

/** Ways to come by an instance, as a manifest names them. */
export type InstanceMode = 'fresh' | 'reuse';

export interface ManifestParts {
  readonly name: string;
  readonly mode: InstanceMode;
  readonly functions: readonly string[];
  readonly capabilities?: readonly string[];
  /** Instances to be kept ready in each thread. */
  readonly warm?: number;
}

export function manifestOf({ name, mode, functions, capabilities = [], warm }: ManifestParts): string {
  return JSON.stringify({
    name,
    version: '1.0.0',
    functions,
    capabilities,
    limits: { input_bytes: ioBytesMax, output_bytes: ioBytesMax },
    instance: { mode, ...(warm !== undefined && { warm }) },
  });
}

/** The name under which Caisson runs a guest in a mode. */
export function pluginName(guest: string, mode: InstanceMode): string {
  return mode === 'fresh' ? guest : `${guest}-${mode}`;
}

function writeGuest(guest: Guest, publishFolder: string, modulesFolder: string): void {
  if (guest.isPlain) writeFileSync(join(modulesFolder, `${guest.name}.wasm`), guest.bytes);
  for (const mode of ['fresh', 'reuse'] as const) {
    const name = pluginName(guest.name, mode);
    writeFileSync(join(publishFolder, `${name}.wasm`), guest.bytes);
    writeFileSync(join(publishFolder, `${name}.json`), manifestOf({ ...guest, name, mode }));
  }
}

async function echo(): Promise<Guest> {
  const path = 'echo/src/echo.wat';
  const text = readFileSync(join(examples, path), 'utf8');
  const bytes = await cached('echo', [text], () => wat.compile(path, new Map([[path, text]])));
  return { name: 'echo', functions: ['echo', 'nop'], capabilities: [], isPlain: true, bytes };
}

async function countVowels(): Promise<Guest> {
  const bytes = await compileC('count-vowels', [join(own, 'count-vowels.c')]);
  return { name: 'count-vowels', functions: ['count_vowels'], capabilities: [], isPlain: true, bytes };
}

async function workload(): Promise<Guest> {
  const bytes = await compileC('workload', [join(own, 'workload.c')]);
  const functions = ['lines', 'progress', 'spin', 'work'];
  return { name: 'workload', functions, capabilities: ['log', 'progress'], isPlain: false, bytes };
}

async function kernel(name: string): Promise<Guest> {
  const bytes = await compileC(`kernel-${name}`, [join(own, 'kernel.c'), join(kernels, `${name}.c`)]);
  return { name: `kernel-${name}`, functions: ['kernel'], capabilities: [], isPlain: true, bytes };
}

function kernelNames(): readonly string[] {
  const files = readdirSync(kernels).filter((file) => file.endsWith('.c'));
  return files.map((file) => basename(file, '.c')).toSorted();
}

function compileC(name: string, files: readonly string[]): Promise<Uint8Array> {
  const header = 'sdk/c/caisson.h';
  const paths = [...files.map((file) => [basename(file), file] as const), [header, join(examples, header)] as const];
  const sources = new Map(paths.map(([path, file]) => [path, readFileSync(file, 'utf8')]));
  return cached(name, [...sources].flat(), () => c.compile(basename(files[0] ?? ''), sources));
}

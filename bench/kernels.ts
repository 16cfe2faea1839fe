/** The C kernels of the metering case, built with the compiler that npm brings, once per run of the benchmarks. */

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { c } from '../plugins-examples/toolkit/c.ts';
import type { Subject } from './programs/subject.ts';

const directory = join(import.meta.dirname, 'kernels');

/** All kernels, or those with the given names. */
export async function buildKernels(names?: readonly string[]): Promise<readonly Subject[]> {
  const kernels: Subject[] = [];
  for (const file of readdirSync(directory).filter((entry) => entry.endsWith('.c'))) {
    const name = basename(file, '.c');
    if (names !== undefined && !names.includes(name)) continue;
    const sources = new Map([[file, readFileSync(join(directory, file), 'utf8')]]);
    const bytes = new Uint8Array(await c.compile(file, sources));
    kernels.push({ name, bytes, start: (instantiate) => instantiate({}).exports['run'] as (turns: number) => number });
  }
  return kernels;
}

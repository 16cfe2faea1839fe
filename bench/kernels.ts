/** The C kernels of the metering case, built with the compiler that npm brings, once per run of the benchmarks. */

import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { c } from '../plugins-examples/toolkit/c.ts';

export interface Kernel {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const directory = join(import.meta.dirname, 'kernels');

export async function buildKernels(names?: readonly string[]): Promise<readonly Kernel[]> {
  const kernels: Kernel[] = [];
  for (const file of readdirSync(directory).filter((entry) => entry.endsWith('.c'))) {
    const name = basename(file, '.c');
    if (names !== undefined && !names.includes(name)) continue;
    const sources = new Map([[file, readFileSync(join(directory, file), 'utf8')]]);
    kernels.push({ name, bytes: new Uint8Array(await c.compile(file, sources)) });
  }
  return kernels;
}

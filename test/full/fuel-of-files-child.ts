/** Run by a Node of any version: the fuel of "run" of the modules named on the command line, as JSON, one figure each. */

import { readFileSync } from 'node:fs';
import { fuelOfRun } from '../golden/fuel-figures.ts';

/** What kernels are given: so many turns of their work. The functions of other modules take no notice. */
const turns = 3;

export function fuelOfFiles(paths: readonly string[]): readonly number[] {
  return paths.map((path) => fuelOfRun(new Uint8Array(readFileSync(path)), turns));
}

if (import.meta.main) {
  process.stdout.write(JSON.stringify({ node: process.versions.node, fuel: fuelOfFiles(process.argv.slice(2)) }));
}

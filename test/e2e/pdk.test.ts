/**
 * Plugins built with Extism's AssemblyScript PDK, unmodified, and in C against the
 * ABI itself: Extism's C PDK is a header that no package registry has. Other
 * languages, which need more than npm, are in test/full.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { examplesDirectory } from '../../plugins-examples/build.ts';
import { compileWithAsPdk } from '../../plugins-examples/toolkit/as-pdk.ts';
import { c } from '../../plugins-examples/toolkit/c.ts';
import { readSources } from '../../plugins-examples/toolkit/recipe.ts';
import { builtOnce } from '../helpers/built-once.ts';
import { conformsToExtism } from '../helpers/pdk-conformance.ts';

const toolkit = await readSources(examplesDirectory, ['toolkit']);

await conformsToExtism({
  language: 'AssemblyScript',
  readsStatus: false,
  build: async () => {
    const source = readFileSync(join(examplesDirectory, 'pdk/assembly/vowels.ts'), 'utf8');
    return builtOnce('pdk-assembly', [...toolkit, ['', source]], () => compileWithAsPdk(source));
  },
});

await conformsToExtism({
  language: 'C',
  build: async () => {
    const sources = await readSources(examplesDirectory, ['pdk/src', 'sdk/c']);
    return builtOnce('pdk-c', [...toolkit, ...sources], () => c.compile('pdk/src/vowels.c', sources));
  },
});

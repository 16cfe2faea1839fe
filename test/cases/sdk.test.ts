/** The mini-SDKs: the snippets of docs/capabilities.md compile, and between them import every host function as it is. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { examplesDirectory } from '../../plugins-examples/build.ts';
import { assemblyscript } from '../../plugins-examples/toolkit/assemblyscript.ts';
import { c } from '../../plugins-examples/toolkit/c.ts';
import { compileWat } from '../../plugins-examples/toolkit/wat.ts';
import { readSources, type Recipe } from '../../plugins-examples/toolkit/recipe.ts';
import {
  capabilities,
  type HostFunctionType,
  kernelFunctions,
  kernelModule,
  wasiModule,
} from '../../src/model/capability.ts';
import { inspectModule } from '../../src/wasm/inspect.ts';
import { typeText } from '../../src/wasm/types.ts';

const document = readFileSync(join(import.meta.dirname, '../../docs/capabilities.md'), 'utf8');

/** Nobody needs them so much that the SDKs have them. */
const withoutBinding = ['log_trace', 'get_log_level'];

/** Compilers are slow where many tests run at once. */
const compileMsMax = 120_000;

/** Every capability that has bindings, a function's text by its import. */
const bound: ReadonlyMap<string, string> = new Map(
  Object.values(capabilities)
    .filter(({ module }) => module !== wasiModule)
    .flatMap(({ module, functions }) =>
      Object.entries<HostFunctionType>(functions).map(([name, type]) => [`${module}.${name}`, textOf(type)] as const),
    )
    .filter(([name]) => !withoutBinding.some((left) => name.endsWith(`.${left}`))),
);

const kernel: ReadonlyMap<string, string> = new Map(
  Object.entries(kernelFunctions).map(([name, type]) => [`${kernelModule}.${name}`, textOf(type)]),
);

function textOf({ parameters, results }: HostFunctionType): string {
  return typeText({ kind: 'function', parameters, results });
}

/** The document's code in a language. */
function snippets(language: string): readonly string[] {
  return [...document.matchAll(/^```(\w+)\n([\s\S]*?)^```/gm)].flatMap(([, found, text = '']) =>
    found === language ? [text] : [],
  );
}

async function importsOf(recipe: Recipe, mainFile: string, text: string): Promise<ReadonlyMap<string, string>> {
  const shared = await readSources(examplesDirectory, recipe.sharedFolders);
  const module = await recipe.compile(mainFile, new Map([...shared, [mainFile, text]]));
  return new Map(inspectModule(module).imports.map(({ module, name, type }) => [`${module}.${name}`, typeText(type)]));
}

function expectBound(imports: ReadonlyMap<string, string>): void {
  const beyondKernel = [...imports].filter(([name]) => !kernel.has(name));
  expect(Object.fromEntries(beyondKernel)).toEqual(Object.fromEntries(bound));
  for (const [name, type] of imports) if (kernel.has(name)) expect([name, type]).toEqual([name, kernel.get(name)]);
}

describe('The mini-SDK for', () => {
  test(
    'C binds every host function with its type',
    async () => {
      const text = ['#include "caisson.h"', ...snippets('c')].join('\n');
      expectBound(await importsOf(c, 'snippets/src/snippets.c', text));
    },
    compileMsMax,
  );

  test(
    'AssemblyScript binds every host function with its type',
    async () => {
      const sdk = readFileSync(join(examplesDirectory, 'sdk/assembly/caisson.ts'), 'utf8');
      const names = [...sdk.matchAll(/^export (?:function|namespace) (\w+)/gm)].map(([, name]) => name);
      const start = `import { ${names.join(', ')} } from "../../sdk/assembly/caisson";`;
      expectBound(await importsOf(assemblyscript, 'snippets/assembly/index.ts', [start, ...snippets('ts')].join('\n')));
    },
    compileMsMax,
  );
});

test('The text form has every import with its type', async () => {
  const readme = readFileSync(join(examplesDirectory, 'sdk/wat/README.md'), 'utf8');
  const imports = /^```wat\n([\s\S]*?)^```/m.exec(readme)?.[1] ?? '';
  const bytes = await compileWat('readme.wat', `(module ${imports})`);
  const given = inspectModule(bytes).imports.map(
    ({ module, name, type }) => [`${module}.${name}`, typeText(type)] as const,
  );
  const left = ['log_debug', 'log_warn', 'log_error'].map((name) => `${kernelModule}.${name}`);
  expect(given).not.toEqual([]);
  for (const [name, type] of given) expect([name, type]).toEqual([name, bound.get(name) ?? kernel.get(name)]);
  expect([...bound.keys()].filter((name) => !given.some(([found]) => found === name))).toEqual(left);
});

describe('The document of capabilities', () => {
  test('has a part for each, and names each function', () => {
    for (const [name, { functions }] of Object.entries(capabilities)) {
      expect(document).toContain(`\n## ${name}\n`);
      const missing = name === 'wasi' ? [] : Object.keys(functions).filter((fn) => !document.includes(`\`${fn}`));
      expect(missing).toEqual([]);
    }
  });

  test('shows each capability in both languages', () => {
    const shown = Object.keys(capabilities).filter((name) => name !== 'wasi').length;
    expect([snippets('c').length, snippets('ts').length]).toEqual([shown, shown]);
  });
});

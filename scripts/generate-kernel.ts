/**
 * Assembles src/sandbox/kernel/kernel.wat into kernel-bytes.ts, so that nothing
 * needs the assembler at run time. Writes to the path given, else to its place;
 * with --check it only fails if the file there differs.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import wabt from 'wabt';

const kernelFolder = resolve(import.meta.dirname, '../src/sandbox/kernel');

/** The source text of kernel-bytes.ts. */
export async function kernelBytesSource(): Promise<string> {
  const toolkit = await wabt();
  const module = toolkit.parseWat('kernel.wat', readFileSync(resolve(kernelFolder, 'kernel.wat'), 'utf8'));
  const { buffer } = module.toBinary({ write_debug_names: true });
  module.destroy();
  return [
    '/** Generated from kernel.wat by scripts/generate-kernel.ts: the kernel, assembled, in base64. */',
    'export const kernelBase64: string =',
    `  '${Buffer.from(buffer).toString('base64')}';`,
    '',
  ].join('\n');
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: { check: { type: 'boolean' } }, allowPositionals: true });
  const path = positionals[0] ?? resolve(kernelFolder, 'kernel-bytes.ts');
  const source = await kernelBytesSource();
  if (values.check !== true) {
    writeFileSync(path, source);
  } else if (readFileSync(path, 'utf8') !== source) {
    process.stderr.write(`"${path}" differs from a fresh generation. Run "npm run generate".\n`);
    process.exitCode = 1;
  }
}

if (import.meta.main) await main();

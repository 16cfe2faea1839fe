/**
 * Modules that binaryen makes of random bytes, which have what nobody would
 * write: raw against metered in every way there is, and the fuel that of counting
 * instruction by instruction. Takes minutes, and so runs only if
 * CAISSON_TEST_FULL=1 asks for it.
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { compareForms } from '../helpers/differential.ts';
import { isFullRun, onlyInFullRuns, skipBecause } from './skipping.ts';

const execFilePromise = promisify(execFile);
const modules = 300;
const batch = 50;
const slices = [1n, 97n, 10_000n];

/** The compiler of AssemblyScript brings binaryen along. */
const optimizer = join(import.meta.dirname, '../../node_modules/binaryen/bin/wasm-opt');

/** Named one by one: what binaryen means by all has some that V8 does not know. */
const features = [
  ...['simd', 'bulk-memory', 'bulk-memory-opt', 'reference-types', 'multivalue', 'tail-call', 'sign-ext'],
  ...['nontrapping-float-to-int', 'mutable-globals', 'exception-handling', 'extended-const'],
];
/** Those of every second module. */
const furtherFeatures = ['gc', 'typed-function-references'];

describe('Modules generated from random bytes', () => {
  test.for(Array.from({ length: modules / batch }, (_, index) => index * batch))(
    `are metered exactly, and nothing else changes: seeds %i and the next ${batch - 1}`,
    { timeout: 600_000 },
    async (first, context) => {
      const reason = whyNot();
      if (reason !== undefined) skipBecause(context, reason);
      const directory = mkdtempSync(join(tmpdir(), 'caisson-generated-'));
      const compared = { modules: 0, calls: 0, fuel: 0 };
      try {
        for (let seed = first; seed < first + batch; seed++) {
          const { calls, fuel } = compareSeed(seed, await generate(seed, directory));
          compared.modules++;
          compared.calls += calls;
          compared.fuel += fuel;
        }
      } finally {
        rmSync(directory, { recursive: true, force: true });
      }
      process.stderr.write(`seeds ${first} to ${first + batch - 1}: ${JSON.stringify(compared)}\n`);
      expect(compared.fuel).toBeGreaterThan(batch);
    },
  );
});

function whyNot(): string | undefined {
  if (!isFullRun) return onlyInFullRuns;
  return existsSync(optimizer) ? undefined : 'there is no wasm-opt in node_modules/binaryen';
}

function compareSeed(seed: number, bytes: Uint8Array<ArrayBuffer>): ReturnType<typeof compareForms> {
  expect(WebAssembly.validate(bytes), `seed ${seed}`).toBe(true);
  try {
    return compareForms(bytes, { slice: slices[seed % slices.length] ?? 1n });
  } catch (error) {
    throw new Error(`Seed ${seed}`, { cause: error });
  }
}

async function generate(seed: number, directory: string): Promise<Uint8Array<ArrayBuffer>> {
  const input = join(directory, 'bytes');
  const output = join(directory, 'module.wasm');
  writeFileSync(input, randomBytes(seed, 500 + ((seed * 977) % 6_000)));
  const enabled = [...features, ...(seed % 2 === 1 ? furtherFeatures : [])].map((name) => `--enable-${name}`);
  const optimized = seed % 3 === 0 ? ['-O2'] : [];
  const words = ['--mvp-features', ...enabled, '--translate-to-fuzz', input, '-o', output, ...optimized];
  await execFilePromise(process.execPath, [optimizer, ...words]);
  return new Uint8Array(readFileSync(output));
}

/** Bytes that depend on the seed alone. */
function randomBytes(seed: number, length: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(length / 32) }, (_, block) =>
    createHash('sha256').update(`${seed} ${block}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, length);
}

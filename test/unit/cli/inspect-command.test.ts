import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { InspectOptions } from '../../../src/cli/dependencies.ts';
import type { ModuleDescription, ModuleInspection } from '../../../src/model/module-description.ts';
import { runCli } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'caisson-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));

const bare = join(mkdtempSync(join(folder, 'bare-')), 'bare.wasm');
writeFileSync(bare, 'the module');
const modulePath = join(folder, 'tiny.wasm');
writeFileSync(modulePath, 'the module');
const manifestPath = join(folder, 'tiny.json');
writeFileSync(manifestPath, '{"name":"tiny"}');

const module: ModuleDescription = {
  bytes: 2_048,
  codeBytes: 100,
  counts: { sections: 2, imports: 4, exports: 1_001, memories: 1, tables: 1, functions: 3, importedFunctions: 3 },
  features: ['bulk-memory', 'simd'],
  sections: [
    { name: 'type', offset: 8, bytes: 20 },
    { name: 'custom', customName: 'na\u001bme', offset: 28, bytes: 9 },
  ],
  imports: [
    { module: 'host', name: 'log', kind: 'function', type: '(func)', capability: 'log', provided: true },
    { module: 'host', name: 'var', kind: 'function', type: '(func)', capability: 'vars', provided: false },
    { module: 'host', name: 'alloc', kind: 'function', type: '(func)', capability: undefined, provided: true },
    { module: 'env', name: 'memory', kind: 'memory', type: '(memory 1)', capability: undefined, provided: true },
    { module: 'env', name: 'abort', kind: 'function', type: '(func)', capability: undefined, provided: false },
  ],
  exports: [{ name: 'go', kind: 'function', index: 5, type: '(func)' }],
  memories: [{ type: '(memory 1)', imported: true, minPages: 1, clampedPages: 1_024 }],
  tables: [
    {
      type: '(table 2 9 funcref)',
      imported: false,
      elementType: 'funcref',
      minElements: 2,
      maxElements: 9,
      clampedElements: 9,
    },
  ],
  costTableVersion: 7,
  rewriterVersion: 8,
  rewritten: { bytes: 3_072, ratio: 1.5, codeBytes: 175, codeRatio: 1.75 },
  functions: [
    { name: 'parse', index: 4, bodyBytes: 60, rewrittenBodyBytes: 90, cost: 1_234 },
    { name: 'func[5]', index: 5, bodyBytes: 2, rewrittenBodyBytes: 2, cost: 0 },
  ],
};

const inspection: ModuleInspection = {
  valid: true,
  problems: [],
  digest: 'sha256:ab',
  memoryBytesMax: 67_108_864,
  module,
};

/** A fake that answers with an inspection, and what it was asked. */
function answering(answer: ModuleInspection) {
  const asked: InspectOptions[] = [];
  const inspectModule = (options: InspectOptions): ModuleInspection => {
    asked.push(options);
    return answer;
  };
  return { asked, inspectModule };
}

describe('plugin inspect', () => {
  test('prints facts and tables, without a server', async () => {
    const run = await runCli(['plugin', 'inspect', bare], answering(inspection));
    expect(run).toMatchObject({ exitCode: 0, stderr: '', addresses: [] });
    expect(run.stdout).toBe(`Valid: it could be published
digest:       sha256:ab
manifest:     none: every capability counts as granted
memory limit: 64.0 MiB
size:         2.0 KiB, 3.0 KiB as run (1.50 times)
code:         100 B, 175 B as run (1.75 times)
features:     bulk-memory simd
functions:    3 defined, 3 imported
cost table:   version 7
rewriter:     version 8

SECTION  OFFSET  BYTES  NAME
type     0x8     20
custom   0x1c    9      na\\u001bme

IMPORT      PROVIDED BY        TYPE
host.log    log                (func)
host.var    vars, not granted  (func)
host.alloc  every server       (func)
env.memory  the module itself  (memory 1)
env.abort   nobody             (func)

EXPORT  INDEX  TYPE
go      5      (func)
and 1000 more

MEMORY OR TABLE  MIN  MAX  MAX AS RUN  UNIT     ORIGIN
memory 0         1    -    1024        pages    imported
table 0          2    9    9           funcref  defined

COST  BYTES  AS RUN  INDEX  FUNCTION
1234  60     90      4      parse
0     2      2       5      func[5]
and 1 more
`);
  });

  test('prints everything as JSON', async () => {
    const run = await runCli(['plugin', 'inspect', modulePath, '--json'], answering(inspection));
    const { manifest, ...rest } = JSON.parse(run.stdout) as ModuleInspection & { readonly manifest?: string };
    expect(manifest).toBe(manifestPath);
    expect(rest).toEqual(JSON.parse(JSON.stringify(inspection)));
  });

  test('asks for the dearest 20 functions, or for as many as are wanted', async () => {
    const { asked, inspectModule } = answering(inspection);
    await runCli(['plugin', 'inspect', bare], { inspectModule });
    await runCli(['plugin', 'inspect', bare, '--functions', '3', '--allow-wasm-feature', 'memory64'], {
      inspectModule,
    });
    expect(asked).toEqual([
      { module: Buffer.from('the module'), manifestText: undefined, functionsMax: 20, allowedFeatures: [] },
      { module: Buffer.from('the module'), manifestText: undefined, functionsMax: 3, allowedFeatures: ['memory64'] },
    ]);
  });

  test('takes the manifest beside the module, or the one that is named', async () => {
    const { asked, inspectModule } = answering(inspection);
    const other = join(folder, 'other.txt');
    writeFileSync(other, 'other');
    await runCli(['plugin', 'inspect', modulePath], { inspectModule });
    await runCli(['plugin', 'inspect', modulePath, '--manifest', other], { inspectModule });
    expect(asked.map(({ manifestText }) => manifestText)).toEqual(['{"name":"tiny"}', 'other']);
  });

  test('lists the problems of a module that cannot be decoded as validate does, and ends with 20', async () => {
    const problem = {
      reason: 'WASM_TRUNCATED',
      location: 'module+0x8',
      message: 'cut\u0007',
      manifestLine: '',
    } as const;
    const { valid: _valid, module: _module, ...rest } = inspection;
    const run = await runCli(
      ['plugin', 'inspect', bare],
      answering({ ...rest, valid: false, problems: [problem, { ...problem, manifestLine: '"a": 1' }] }),
    );
    expect(run.exitCode).toBe(20);
    expect(run.stdout).toBe(`Not valid: 2 problems
  WASM_TRUNCATED at module+0x8: cut\\u0007
  WASM_TRUNCATED at module+0x8: cut\\u0007
    add to the manifest: "a": 1
digest:       sha256:ab
manifest:     none: every capability counts as granted
memory limit: 64.0 MiB
`);
  });

  test('says why a module is not rewritten, and shows what is known of it', async () => {
    const { rewritten: _rewritten, ...rest } = module;
    const answer = answering({
      ...inspection,
      module: {
        ...rest,
        refusal: { reason: 'MEMORY_OVER_LIMIT', location: 'memory 0', message: 'Too much memory' },
        functions: [{ name: 'parse', index: 4, bodyBytes: 60 }],
      },
    });
    const { stdout } = await runCli(['plugin', 'inspect', bare], answer);
    expect(stdout).toContain('size:          2.0 KiB\n');
    expect(stdout).toContain('not rewritten: Too much memory\n');
    expect(stdout).toContain('-     60     -       4      parse\n');
  });

  test.each([
    [['/no/such.wasm'], 'Cannot read module "/no/such.wasm": it does not exist'],
    [[bare, '--manifest', '/no/such.json'], 'Cannot read manifest "/no/such.json": it does not exist'],
    [[bare, '--functions', 'all'], 'Expected a whole number of at least 0'],
  ])('refuses %j', async (words, message) => {
    const run = await runCli(['plugin', 'inspect', ...words], answering(inspection));
    expect(run).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringContaining(message) as string });
  });

  test('has a help with examples', async () => {
    const run = await runCli(['plugin', 'inspect', '--help']);
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toContain('caisson plugin inspect build/echo.wasm\n');
  });
});

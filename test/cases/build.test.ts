/** The build of the example plugins: reproducible, cached, and as digests.json says. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { buildExamples, compareDigests, type ExampleBuild } from '../../plugins-examples/build.ts';
import { compileWat } from '../../plugins-examples/toolkit/wat.ts';

const folder = mkdtempSync(join(tmpdir(), 'caisson-build-'));
afterAll(() => rmSync(folder, { recursive: true }));

function digests(builds: readonly ExampleBuild[]): readonly (readonly [string, string])[] {
  return builds.map((build) => [build.name, build.status === 'skipped' ? 'skipped' : build.sha256]);
}

describe('The build of the example plugins', { timeout: 120_000 }, () => {
  test('makes the same bytes again from nothing, and those of digests.json', async () => {
    const usual = await buildExamples();
    const again = await buildExamples({ outputDirectory: folder });
    expect(digests(again)).toEqual(digests(usual));
    expect(again.map(({ status }) => status)).not.toContain('unchanged');
    expect(await compareDigests(again)).toEqual([]);
  });

  test('does not build what has not changed, and takes away what is no plugin any more', async () => {
    await buildExamples({ outputDirectory: folder });
    writeFileSync(join(folder, 'gone.wasm'), '');
    writeFileSync(join(folder, 'gone.json'), '{}');
    const before = statSync(join(folder, 'echo.wasm')).mtimeMs;
    const builds = await buildExamples({ outputDirectory: folder });
    expect(builds.map(({ status }) => status)).not.toContain('built');
    expect(statSync(join(folder, 'echo.wasm')).mtimeMs).toBe(before);
    expect(readdirSync(folder).filter((name) => name.startsWith('gone'))).toEqual([]);
  });

  test('builds again what its key does not fit', async () => {
    await buildExamples({ outputDirectory: folder, names: ['echo'] });
    writeFileSync(join(folder, 'echo.key'), 'another');
    writeFileSync(join(folder, 'echo.wasm'), 'damaged');
    const [build] = await buildExamples({ outputDirectory: folder, names: ['echo'] });
    expect(build?.status).toBe('built');
    expect(readFileSync(join(folder, 'echo.wasm')).subarray(0, 4)).toEqual(Buffer.from('\0asm'));
  });

  test('names a plugin that there is not', async () => {
    await expect(buildExamples({ outputDirectory: folder, names: ['nosuch'] })).rejects.toThrow('"nosuch"');
  });

  test('says what the compiler says of a mistake', async () => {
    await expect(compileWat('x.wat', '(module (func (i32.oops)))')).rejects.toThrow(/x\.wat:1:.*i32\.oops/s);
  });
});

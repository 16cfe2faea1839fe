/** A server that is killed while it publishes keeps what it acknowledged and shows no half plugin. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { digestOf } from '../../src/base/digest.ts';
import { referenceOf } from '../../src/model/plugin.ts';
import { MemoryLog } from '../unit/plugins/fakes.ts';
import { dataDirectory, openRegistry } from '../unit/plugins/fixtures.ts';

const rounds = 20;
const aliveMsMax = 400;

/** Versions that must be there, with their digests, and those that may be there or not. */
interface Acknowledged {
  readonly there: Map<string, string>;
  readonly uncertain: Set<string>;
}

/** Runs a publishing server for a random time after it has opened, kills it, and gives its output. */
async function publishUntilKilled(path: string, name: string): Promise<string> {
  const script = join(import.meta.dirname, 'publish-child.ts');
  const child = spawn(process.execPath, [script, path, name], { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = once(child, 'close');
  await Promise.race([once(child.stdout, 'data'), ended]);
  await sleep(Math.random() * aliveMsMax);
  child.kill('SIGKILL');
  const [code, signal] = (await ended) as [number | null, string | null];
  expect([code, signal], 'the child publishes until it is killed').toEqual([null, 'SIGKILL']);
  return said;
}

function note(said: string, acknowledged: Acknowledged): void {
  // What stands after the last line break was not said in full.
  for (const line of said.split('\n').slice(0, -1)) {
    const [what = '', reference = '', digest = ''] = line.split(' ');
    if (what === 'published') acknowledged.there.set(reference, digest);
    else acknowledged.there.delete(reference);
    if (what === 'deleting') acknowledged.uncertain.add(reference);
    if (what === 'deleted') acknowledged.uncertain.delete(reference);
  }
}

test('A registry killed at a random moment opens again with every acknowledged version whole', async () => {
  await using data = await dataDirectory();
  const acknowledged: Acknowledged = { there: new Map(), uncertain: new Set() };
  const modules = join(data.path, 'plugins', 'modules');
  for (let round = 0; round < rounds; round++) {
    note(await publishUntilKilled(data.path, `round-${round}`), acknowledged);
    const log = new MemoryLog();
    await using registry = await openRegistry(data.path, { log, bounds: { variantsMax: 1 } });
    expect(log.texts('error'), `round ${round}`).toEqual([]);
    const { versions } = registry.list({ limit: 10_000 });
    const there = new Map(versions.map((version) => [referenceOf(version), version]));
    for (const [reference, digest] of acknowledged.there) {
      expect(there.get(reference), `${reference} was acknowledged`).toMatchObject({ digest, state: 'unloaded' });
    }
    const unexpected = [...there.keys()].filter((reference) => !acknowledged.there.has(reference));
    const ofThisRound = unexpected.filter((reference) => !acknowledged.uncertain.has(reference));
    expect(ofThisRound.length, 'at most the one that was under way').toBeLessThanOrEqual(1);
    for (const version of versions) {
      const bytes = await readFile(join(modules, `${version.digest.slice('sha256:'.length)}.wasm`));
      expect(digestOf(bytes)).toBe(version.digest);
      expect(bytes).toHaveLength(version.sizeBytes);
    }
    const names = versions.map(({ digest }) => `${digest.slice('sha256:'.length)}.wasm`);
    expect((await readdir(modules)).toSorted()).toEqual([...new Set(names)].toSorted());
    for (const reference of unexpected) await expectUsable(registry, reference);
    // What was not acknowledged is so from now on.
    for (const reference of unexpected) acknowledged.there.set(reference, there.get(reference)?.digest ?? '');
    acknowledged.uncertain.clear();
  }
  expect(acknowledged.there.size).toBeGreaterThan(rounds);
}, 120_000);

/** A version that was under way is not there by halves: it can be run, or is stopped and can be started. */
async function expectUsable(registry: Awaited<ReturnType<typeof openRegistry>>, reference: string): Promise<void> {
  const version = await registry.start(reference);
  expect((await registry.compiled(version, 65_536)).key).toBe(`${version.digest}/65536`);
}

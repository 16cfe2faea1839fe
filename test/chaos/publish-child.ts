/**
 * Publishes versions in a loop until it is killed, and deletes some again; says
 * on standard output what was acknowledged. Run by publish.test.ts.
 */

import { writeSync } from 'node:fs';
import { digestOf } from '../../src/base/digest.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/model/log.ts';
import { PluginRegistry } from '../../src/plugins/registry.ts';
import { FakeCompiler } from '../unit/plugins/fakes.ts';

const [, , dataDirectory = '', name = ''] = process.argv;

/** A module with one function, "run", and a custom section that makes it differ from every other and long enough to be cut. */
function moduleOf(seed: number): Uint8Array {
  const plain = '0061736d01000000010401600000030201000707010372756e00000a040102000b';
  const noise = Buffer.alloc(20_000 + (seed % 7) * 60_000, `${name} ${seed} `);
  const length = noise.length + 2;
  const size = [(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14];
  return new Uint8Array(Buffer.concat([Buffer.from(plain, 'hex'), Buffer.from([0, ...size, 1, 0x78]), noise]));
}

/** Not through process.stdout: what is said must be out before the next step begins. */
function say(...words: readonly string[]): void {
  writeSync(1, `${words.join(' ')}\n`);
}

async function* oneChunk(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const registry = await PluginRegistry.open({
  dataDirectory,
  compiler: new FakeCompiler(),
  clock: systemClock,
  log: silentLog,
});
const { signal } = new AbortController();
for (let seed = 0; ; seed++) {
  const version = `1.0.${seed}`;
  const bytes = moduleOf(seed);
  const header = { manifestText: JSON.stringify({ name, version }), sha256: digestOf(bytes), sizeBytes: bytes.length };
  await registry.publish(header, oneChunk(bytes), signal);
  say('published', `${name}@${version}`, digestOf(bytes));
  if (seed % 3 !== 2) continue;
  say('deleting', `${name}@${version}`);
  await registry.stop(`${name}@${version}`);
  await registry.delete(`${name}@${version}`);
  say('deleted', `${name}@${version}`);
}

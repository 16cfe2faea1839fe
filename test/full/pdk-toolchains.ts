/**
 * Builds the plugins of plugins-examples/pdk that need more than npm. They are built
 * only if CAISSON_TEST_FULL=1 asks for it; where a toolchain, a target or a
 * registry is missing, that is said, and there is no module.
 */

import { execFile } from 'node:child_process';
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { examplesDirectory } from '../../plugins-examples/build.ts';
import { root } from '../helpers/server.ts';

const execFilePromise = promisify(execFile);
const buildMsMax = 600_000;
/** Where distributions and Go's own packages put it. */
const goPaths = ['/usr/local/go/bin/go', '/usr/lib/go/bin/go'];

type Module = Uint8Array<ArrayBuffer>;

export async function buildRust(target: string): Promise<Module | undefined> {
  const folder = sourcesOf('rust');
  const words = ['build', '--release', '--quiet', '--target', target];
  return build(`Rust for ${target}`, 'cargo', words, {
    folder,
    output: join(folder, 'target', target, 'release/vowels.wasm'),
  });
}

export async function buildGo(): Promise<Module | undefined> {
  const folder = sourcesOf('go');
  const output = join(folder, 'vowels.wasm');
  const go = goPaths.find((path) => existsSync(path)) ?? 'go';
  const words = ['build', '-trimpath', '-buildmode=c-shared', '-ldflags=-s -w', '-o', output, '.'];
  return build('Go', go, words, { folder, output, environment: { GOOS: 'wasip1', GOARCH: 'wasm' } });
}

/** A copy of the sources, for compilers write beside them; what they kept there makes the next build fast. */
function sourcesOf(language: string): string {
  const folder = join(root, 'plugins-examples/build-of-tests/pdk', language);
  cpSync(join(examplesDirectory, 'pdk', language), folder, { recursive: true });
  return folder;
}

interface BuildPlace {
  readonly folder: string;
  readonly output: string;
  readonly environment?: Readonly<Record<string, string>>;
}

async function build(
  what: string,
  command: string,
  words: readonly string[],
  { folder, output, environment = {} }: BuildPlace,
): Promise<Module | undefined> {
  if (process.env['CAISSON_TEST_FULL'] !== '1') return skipped(what, 'only with CAISSON_TEST_FULL=1');
  try {
    const env = { ...process.env, ...environment };
    await execFilePromise(command, [...words], { cwd: folder, env, timeout: buildMsMax });
  } catch (error) {
    return skipped(what, whyNot(command, error));
  }
  return new Uint8Array(readFileSync(output));
}

/** The one line of a failure that says most. */
function whyNot(command: string, error: unknown): string {
  const { code, stderr = '', message } = error as { code?: unknown; stderr?: string; message: string };
  if (code === 'ENOENT') return `there is no ${command}`;
  const lines = stderr.trim().split('\n');
  return lines.find((line) => /error|cannot|not found|denied|forbidden/i.test(line)) ?? lines[0] ?? message;
}

function skipped(what: string, why: string): undefined {
  process.stderr.write(`SKIPPED the plugin in ${what}: ${why}\n`);
}

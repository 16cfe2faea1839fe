/** On what and with what a run was made: without it the figures say little. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, cpus, loadavg, release, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { h2loadVersion } from './h2load.ts';

export type Environment = Readonly<Record<string, string>>;

const root = join(import.meta.dirname, '..');
/** Load for each processor from which on a machine is busy. */
const busyLoad = 0.75;
const packages = ['@grpc/grpc-js', '@bufbuild/protobuf', '@extism/extism', 'piscina'];

/** What can be told at the start. */
export async function environmentAtStart(quick: boolean): Promise<Environment> {
  const busy = doubt();
  return {
    date: new Date().toISOString(),
    kind: quick ? 'quick: few and short rounds, good for a first look only' : 'full',
    commit: commit(),
    system: `${type()} ${release()} ${arch()}`,
    processors: `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    node: `${process.versions.node} (V8 ${process.versions.v8})`,
    packages: packages.map((name) => `${name} ${packageVersion(name)}`).join(', '),
    'load generator': await loadGenerator(),
    'Go peer': `${toolVersion('go', ['version'])}; ${pinned('go/go.mod', /^\t(\S*(?:grpc|go-sdk|wazero|protobuf)) (v\S+)/gm)}`,
    'Rust peer': `${toolVersion('rustc', ['--version'])}; ${pinned('rust/Cargo.toml', /^(\w+) = .*"=([\d.]+)"/gm)}`,
    'load average at start': loadText(),
    ...(busy !== undefined && { 'to be kept in mind': busy }),
  };
}

export function environmentAtEnd(start: Environment): Environment {
  return { ...start, 'load average at end': loadText() };
}

/** What speaks against the figures of a run that begins now; undefined if nothing does. */
function doubt(): string | undefined {
  const load = loadavg()[0] ?? 0;
  if (load < cpus().length * busyLoad) return undefined;
  return `the machine is busy (load average ${load.toFixed(1)}): trust the ratios little and the figures not at all`;
}

async function loadGenerator(): Promise<string> {
  const version = await h2loadVersion();
  const own = 'our own for streams and latencies';
  return version === undefined
    ? 'our own for everything, which takes more of the processors: h2load is not installed (Debian package nghttp2-client)'
    : `h2load ${version} for throughput, ${own}`;
}

function loadText(): string {
  return loadavg()
    .map((load) => load.toFixed(2))
    .join(' ');
}

function commit(): string {
  try {
    const git = (...words: readonly string[]): string =>
      execFileSync('git', words, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    const changed =
      git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' and changes that are not committed';
    return `${git('rev-parse', 'HEAD')}${changed}`;
  } catch {
    return 'unknown';
  }
}

function packageVersion(name: string): string {
  try {
    const text = readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8');
    return (JSON.parse(text) as { version: string }).version;
  } catch {
    return 'not installed';
  }
}

function toolVersion(program: string, words: readonly string[]): string {
  try {
    return execFileSync(program, words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return `${program} is not installed`;
  }
}

function pinned(path: string, form: RegExp): string {
  const text = readFileSync(join(import.meta.dirname, 'peers', path), 'utf8');
  return [...text.matchAll(form)].map(([, name, version]) => `${name} ${version}`).join(', ');
}

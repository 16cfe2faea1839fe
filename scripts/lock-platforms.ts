/**
 * Adds to package-lock.json the packages of other platforms that npm leaves out
 * when it writes the lock on one platform (npm/cli#4828). Without them `npm ci`
 * refuses the lock. To be run after every `npm install`; a test says when it was
 * forgotten.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface LockedPackage {
  version?: string;
  dev?: boolean;
  devOptional?: boolean;
  optional?: boolean;
  os?: readonly string[];
  cpu?: readonly string[];
  libc?: readonly string[];
  optionalDependencies?: Readonly<Record<string, string>>;
}

interface Lock {
  packages: Record<string, LockedPackage>;
}

const systems = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const processors = [
  'arm64',
  'armv7',
  'arm',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'wasm32',
  'x64',
];

/** What the name of a platform package says, such as "@oxlint/binding-linux-x64-musl". */
function platformOf(name: string): Pick<LockedPackage, 'os' | 'cpu' | 'libc'> {
  const system = systems.find((word) => name.includes(word));
  const processor = processors.find((word) => name.includes(word));
  const libc = /musl/.test(name) ? 'musl' : system === 'linux' && /gnu/.test(name) ? 'glibc' : undefined;
  return {
    ...(processor !== undefined && { cpu: [processor === 'armv7' ? 'arm' : processor] }),
    ...(libc !== undefined && { libc: [libc] }),
    ...(system !== undefined && { os: [system] }),
  };
}

export function missingPlatforms(lock: Lock): Readonly<Record<string, LockedPackage>> {
  const missing: Record<string, LockedPackage> = {};
  for (const locked of Object.values(lock.packages)) {
    for (const [name, version] of Object.entries(locked.optionalDependencies ?? {})) {
      const path = `node_modules/${name}`;
      if (path in lock.packages || !/^\d+\.\d+\.\d+/.test(version)) continue;
      missing[path] = { version, ...platformOf(name), ...(locked.dev === true && { dev: true }), optional: true };
    }
  }
  return missing;
}

export function readLock(): Lock {
  return JSON.parse(readFileSync(lockPath, 'utf8')) as Lock;
}

const lockPath = join(import.meta.dirname, '../package-lock.json');

if (import.meta.main) {
  const lock = readLock();
  const missing = missingPlatforms(lock);
  const names = Object.keys(missing);
  const entries = Object.entries({ ...lock.packages, ...missing });
  lock.packages = Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
  writeFileSync(lockPath, `${JSON.stringify(lock, null, 2)}\n`);
  process.stdout.write(`added ${names.length} packages of other platforms\n`);
}

/**
 * Reads the source and holds what a linter cannot say: which part may import
 * which, who alone may use a heavy package, that every rpc is documented and
 * every reason and option is in the documents. Each failure says what to do.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { missingPlatforms, readLock } from '../scripts/lock-platforms.ts';
import { errorsDocument } from '../scripts/generate-errors-doc.ts';

const root = resolve(import.meta.dirname, '..');
const src = join(root, 'src');

/** Part -> parts below it that it may import. A part always may import itself. */
const layers: Readonly<Record<string, readonly string[]>> = {
  base: [],
  model: ['base'],
  wasm: ['base', 'model'],
  telemetry: ['base', 'model'],
  capabilities: ['base', 'model'],
  sandbox: ['base', 'model', 'wasm', 'capabilities'],
  policy: ['base', 'model'],
  plugins: ['base', 'model', 'wasm', 'sandbox'],
  pool: ['base', 'model', 'sandbox'],
  execution: ['base', 'model', 'wasm', 'capabilities', 'sandbox', 'plugins', 'pool'],
  rpc: ['base', 'model', 'wasm', 'plugins', 'execution', 'gen'],
  cluster: ['base', 'model', 'capabilities', 'plugins', 'execution', 'rpc', 'gen'],
  admin: ['base', 'model', 'plugins', 'pool', 'execution'],
  client: ['base', 'gen'],
  cli: ['base', 'model', 'client', 'gen'],
  gen: [],
};

/** The composition root and the entry see every part. */
const roots = [
  'app.ts',
  'engine.ts',
  'host-services.ts',
  'in-process.ts',
  'main.ts',
  'member.ts',
  'processes.ts',
  'worker.ts',
];

/** What both sides of a thread know. */
const sharedWithThreads = [
  'protocol.ts',
  'control-block.ts',
  'refusal.ts',
  'warm-up.ts',
  'plugins-held.ts',
  'remembered.ts',
  'transfer.ts',
  'import-prices.ts',
].map((name) => `sandbox/${name}`);

/** Package -> the only parts that may import it. */
const soleImporters: readonly { readonly package: RegExp; readonly parts: readonly string[] }[] = [
  { package: /^@grpc\//, parts: ['rpc', 'cluster', 'client'] },
  { package: /^@bjorn3\//, parts: ['capabilities'] },
  { package: /^@extism\//, parts: [] },
  { package: /^node:worker_threads$/, parts: ['sandbox'] },
  { package: /^@opentelemetry\//, parts: ['telemetry'] },
  { package: /^pino$/, parts: ['telemetry'] },
  { package: /^@bufbuild\//, parts: ['rpc', 'cluster', 'client', 'cli', 'gen'] },
  { package: /^(commander|cli-progress)$/, parts: ['cli'] },
  { package: /^zod$/, parts: ['plugins', 'policy'] },
];

interface SourceFile {
  readonly path: string;
  readonly part: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const importForms = [
  /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s*['"]([^'"]+)['"]/g,
  /(?:^|\n)\s*import\s*['"]([^'"]+)['"]/g,
  /\bimport\(\s*['"]([^'"]+)['"]\s*\)/g,
  /new URL\(\s*['"](\.[^'"]+\.ts)['"]\s*,\s*import\.meta\.url\s*\)/g,
];

function sourceFiles(): readonly SourceFile[] {
  return readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => {
      const absolute = join(entry.parentPath, entry.name);
      const path = relative(src, absolute);
      const text = readFileSync(absolute, 'utf8');
      const imports = importForms.flatMap((form) => [...text.matchAll(form)].map((match) => match[1] ?? ''));
      return { path, part: path.includes('/') ? (path.split('/')[0] ?? '') : '', text, imports };
    });
}

const files = sourceFiles();
const handwritten = files.filter((file) => file.part !== 'gen');

function targetOf(file: SourceFile, specifier: string): string | undefined {
  return specifier.startsWith('.') ? relative(src, resolve(src, dirname(file.path), specifier)) : undefined;
}

function expectNone(found: readonly string[], what: string): void {
  expect(found, what).toEqual([]);
}

describe('The source tree', () => {
  test('is really read', () => {
    expect(handwritten.length).toBeGreaterThan(60);
    expect(handwritten.flatMap((file) => file.imports).length).toBeGreaterThan(200);
  });

  test('has only parts that the table of layers knows', () => {
    const unknown = handwritten.filter((file) =>
      file.part === '' ? !roots.includes(file.path) : !(file.part in layers),
    );
    expectNone(
      unknown.map((file) => file.path),
      'Move the file into a part, or add the part to the table and to ARCHITECTURE.md',
    );
  });

  test('imports only downwards', () => {
    const wrong = handwritten.flatMap((file) => {
      if (file.part === '') return [];
      const allowed = [file.part, ...(layers[file.part] ?? [])];
      return file.imports
        .map((specifier) => targetOf(file, specifier))
        .filter((target) => target !== undefined && !allowed.includes(target.split('/')[0] ?? ''))
        .map((target) => `${file.path} -> ${target}`);
    });
    expectNone(
      wrong,
      'Parts import only the parts below them: pass the thing in from app.ts, or move the shared type to model/',
    );
  });

  test('has no import cycle, types included', () => {
    const edges = new Map(
      handwritten.map((file) => [file.path, file.imports.map((s) => targetOf(file, s)).filter((t) => t !== undefined)]),
    );
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      const at = trail.indexOf(path);
      if (at >= 0) cycles.push([...trail.slice(at), path].join(' -> '));
      if (at >= 0 || done.has(path)) return;
      for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
      done.add(path);
    };
    for (const path of edges.keys()) visit(path, []);
    expectNone(cycles, 'Take what both need into a file of its own');
  });

  test('keeps each heavy package behind its own part', () => {
    const wrong = handwritten.flatMap((file) =>
      soleImporters
        .filter(
          (rule) =>
            file.part !== '' &&
            !rule.parts.includes(file.part) &&
            file.imports.some((specifier) => rule.package.test(specifier)),
        )
        .map((rule) => `${file.path} imports ${rule.package.source}; only ${rule.parts.join(', ')} may`),
    );
    expectNone(wrong, 'Use the part that wraps the package');
  });

  test('lets code in the guest’s thread import only what it may', () => {
    const allowed = ['base', 'model', 'capabilities', 'wasm', 'sandbox/thread', 'sandbox/kernel', ...sharedWithThreads];
    const wrong = handwritten
      .filter((file) => file.path.startsWith('sandbox/thread/'))
      .flatMap((file) =>
        file.imports
          .map((specifier) => targetOf(file, specifier))
          .filter(
            (target) =>
              target !== undefined && !allowed.some((prefix) => target === prefix || target.startsWith(`${prefix}/`)),
          )
          .map((target) => `${file.path} -> ${target}`),
      );
    expectNone(wrong, 'The thread knows base, model, capabilities and the protocol only');
  });

  test('begins every file with a comment that says what it owns', () => {
    const bare = handwritten.filter((file) => !file.text.startsWith('/**') && !file.text.startsWith('// Generated'));
    expectNone(
      bare.map((file) => file.path),
      'Add a head of two to six lines',
    );
  });

  test('opens no inspector port and takes no path of a machine', () => {
    const wrong = handwritten.filter((file) => /inspector.*\.open\(|['"`]\/(home|root|work)\//.test(file.text));
    expectNone(
      wrong.map((file) => file.path),
      'The inspector’s port is unauthenticated; paths come from options',
    );
  });
});

describe('The contract', () => {
  const protos = readdirSync(join(root, 'proto/caisson/v1')).map((name) =>
    readFileSync(join(root, 'proto/caisson/v1', name), 'utf8'),
  );

  test('documents every rpc with the codes that it returns', () => {
    const bare = protos.flatMap((text) =>
      [...text.matchAll(/((?:^[ ]*\/\/.*\n)*)^\s*rpc (\w+)/gm)]
        .filter(([, comment]) => !/NOT_FOUND|INVALID_ARGUMENT|Codes:|RESOURCE_EXHAUSTED/.test(comment ?? ''))
        .map(([, , name]) => name ?? ''),
    );
    expect(protos.flatMap((text) => [...text.matchAll(/\brpc \w+/g)]).length).toBeGreaterThanOrEqual(16);
    expectNone(bare, 'Say in the rpc’s comment which codes it returns and what the client should do');
  });
});

describe('The documents', () => {
  const read = (path: string): string => readFileSync(join(root, path), 'utf8');

  test('list every reason and kind of error as the tables have them', () => {
    expect(read('docs/errors.md')).toBe(errorsDocument());
  });

  test('name every dependency and why it is there', () => {
    const { dependencies, devDependencies } = JSON.parse(read('package.json')) as Record<
      'dependencies' | 'devDependencies',
      Record<string, string>
    >;
    const document = read('docs/dependencies.md');
    const missing = Object.keys({ ...dependencies, ...devDependencies }).filter(
      (name) => !document.includes(`\`${name}\``),
    );
    expectNone(missing, 'Add a line to docs/dependencies.md');
    const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(([, version]) => !/^\d/.test(version));
    expectNone(
      loose.map(([name]) => name),
      'Pin the exact version',
    );
  });

  test('describe every part in ARCHITECTURE.md', () => {
    const document = read('ARCHITECTURE.md');
    const missing = Object.keys(layers).filter(
      (part) => files.some((file) => file.part === part) && !document.includes(`\`${part}/\``),
    );
    expectNone(missing, 'Add the part to the map with its invariant');
  });
});

test('The lock has the packages of every platform', () => {
  expectNone(Object.keys(missingPlatforms(readLock())), 'Run "npm run lock:platforms"');
  expect(readFileSync(join(root, 'package-lock.json'), 'utf8')).not.toMatch(/"resolved": "http/);
});

test('The running Node is the pinned one', () => {
  const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  expect(process.versions.node).toBe(devDependencies['node']);
});

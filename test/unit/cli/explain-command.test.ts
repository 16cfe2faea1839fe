import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import type { ExplainOptions } from '../../../src/cli/dependencies.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import type { GrantExplanation } from '../../../src/model/grant-explanation.ts';
import type { DescribedImport, ModuleInspection } from '../../../src/model/module-description.ts';
import { runCli } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'caisson-cli-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

const modulePath = join(folder, 'fetch.wasm');
writeFileSync(modulePath, 'the module');
writeFileSync(join(folder, 'fetch.json'), '{"name":"fetch"}');

const allowed = { allowedBy: ['all'], granted: true };
const refused = { allowedBy: [], granted: false };

const explanation: GrantExplanation = {
  tenant: 'acme',
  plugin: 'fetch',
  rules: ['all', 'acme'],
  capabilities: [
    { capability: 'log', asked: true, ...allowed },
    { capability: 'vars', asked: false, allowedBy: ['all'], granted: false },
    { capability: 'http', asked: true, ...refused },
    { capability: 'secrets', asked: true, ...allowed },
  ],
  parts: [
    { kind: 'host', asked: 'api.example', ...refused, detail: '' },
    { kind: 'secret', asked: 'KEY', ...allowed, detail: 'environment variable KEY' },
  ],
  limits: [
    { name: 'limits.fuel', value: 1_000, setBy: 'policy', rule: 'all' },
    { name: 'limits.timeout_ms', value: 30_000, setBy: 'default' },
  ],
  refusals: [{ capability: 'http', asked: 'http', by: 'policy', rules: ['all', 'acme'], line: 'add http' }],
  partRefusals: [{ capability: 'secrets', asked: 'secret "B"', by: 'policy', rules: ['all', 'acme'], line: 'add B' }],
};

const granted: GrantExplanation = { ...explanation, refusals: [], partRefusals: [] };

function imported(name: string, capability: string | undefined, provided: boolean): DescribedImport {
  return { module: 'host', name, kind: 'function', type: '(func)', capability, provided };
}

const imports = [
  imported('alloc', undefined, true),
  imported('log_info', 'log', true),
  imported('var_get', 'vars', false),
  imported('http_request', 'http', true),
  imported('nothing', undefined, false),
];

const inspection = {
  valid: false,
  problems: [
    {
      reason: 'CAPABILITY_NOT_GRANTED',
      location: 'host.var_get',
      message: 'It needs …',
      manifestLine: '"capabilities": ["vars"]',
    },
    { reason: 'IMPORT_UNKNOWN', location: 'host.nothing', message: 'Nobody has it', manifestLine: '' },
  ],
  digest: 'sha256:ab',
  memoryBytesMax: 1,
  module: { imports },
} as unknown as ModuleInspection;

/** Fakes that answer with these, and what was asked. */
function answering(answer: GrantExplanation | undefined, inspected: ModuleInspection = inspection) {
  const asked: ExplainOptions[] = [];
  return {
    asked,
    inspectModule: () => inspected,
    explainGrant: (options: ExplainOptions) => {
      asked.push(options);
      return Promise.resolve(answer);
    },
  };
}

const manifestOnServer = '{"name":"fetch","version":"1.0.0"}';
const plugins = { getPlugin: () => Promise.resolve({ plugin: { manifest: manifestOnServer } }) };

describe('plugin explain', () => {
  test('shows each import of a file, each part, each limit, and what to add where', async () => {
    const run = await runCli(['plugin', 'explain', modulePath, '--policy', 'p.json'], answering(explanation));
    expect(run).toMatchObject({ exitCode: 20, stderr: '', addresses: [] });
    expect(run.stdout).toBe(`plugin:           fetch
tenant:           acme
policy:           p.json
rules that match: "all", "acme"

IMPORT             CAPABILITY  ASKED  ALLOWED BY    GRANTED
host.alloc         -           -      every server  yes
host.log_info      log         yes    "all"         yes
host.var_get       vars        no     "all"         no
host.http_request  http        yes    no rule       no
host.nothing       -           -      nobody        no

KIND    ASKED        ALLOWED BY  GRANTED  AS
host    api.example  no rule     no
secret  KEY          "all"       yes      environment variable KEY

LIMIT              VALUE  SET BY
limits.fuel        1000   rule "all"
limits.timeout_ms  30000  default

It could not be published.
  To the manifest: "capabilities": ["vars"]
  To the policy: It needs the capability "http", which no rule of the policy allows (rules that match: "all", "acme"): add http
  IMPORT_UNKNOWN at host.nothing: Nobody has it
  Denied when used: It needs the secret "B", which no rule of the policy allows (rules that match: "all", "acme"): add B
`);
  });

  test('shows the capabilities of a plugin on a server', async () => {
    const fakes = { ...answering(granted), plugins };
    const run = await runCli(['--tenant', 'acme', 'plugin', 'explain', 'fetch@1.0.0', '-a', 'h:1'], fakes);
    expect(run).toMatchObject({ exitCode: 0, stderr: '', addresses: ['h:1'], tenants: ['acme'] });
    expect(fakes.asked).toEqual([{ manifestText: manifestOnServer, policyPath: undefined, tenant: 'acme' }]);
    expect(run.stdout).toContain(`policy:           the built-in one
rules that match: "all", "acme"

CAPABILITY  ALLOWED BY  GRANTED
log         "all"       yes
http        no rule     no
secrets     "all"       yes
`);
    expect(run.stdout).toContain('\nIt is granted all that it needs.\n');
  });

  test('leaves out tables without rows', async () => {
    const bare = { ...granted, capabilities: [], parts: [], rules: [] };
    const run = await runCli(['plugin', 'explain', 'fetch'], { ...answering(bare), plugins });
    expect(run.stdout).toContain('rules that match: no rule\n\nLIMIT');
  });

  test('prints everything as JSON', async () => {
    const run = await runCli(['plugin', 'explain', modulePath, '--json'], answering(explanation));
    expect(run.exitCode).toBe(20);
    expect(JSON.parse(run.stdout)).toMatchObject({
      tenant: 'acme',
      granted: false,
      imports: [
        { module: 'host', name: 'alloc', asked: true, allowedBy: [], granted: true },
        { name: 'log_info', capability: 'log', asked: true, allowedBy: ['all'], granted: true },
        { name: 'var_get', granted: false },
        { name: 'http_request', granted: false },
        { name: 'nothing', asked: false, granted: false },
      ],
      problems: inspection.problems,
      refusals: [{ capability: 'http', text: expect.stringContaining('add http') as string }],
      partRefusals: [{ asked: 'secret "B"', text: expect.stringContaining('add B') as string }],
      limits: explanation.limits,
    });
  });

  test('asks for the default tenant and takes the policy from the environment', async () => {
    vi.stubEnv('CAISSON_POLICY', 'q.json');
    const fakes = answering(granted, { ...inspection, valid: true, problems: [] });
    const run = await runCli(['plugin', 'explain', modulePath], fakes);
    expect(run.exitCode).toBe(0);
    expect(fakes.asked).toEqual([{ manifestText: '{"name":"fetch"}', policyPath: 'q.json', tenant: 'default' }]);
  });

  test('is content with parts that are refused', async () => {
    const partly = { ...granted, partRefusals: explanation.partRefusals };
    const run = await runCli(['plugin', 'explain', 'fetch'], { ...answering(partly), plugins });
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toContain('  Denied when used: It needs the secret "B"');
  });

  test('shows what is wrong with a manifest, and nothing else', async () => {
    const wrong = await runCli(['plugin', 'explain', modulePath], answering(undefined));
    expect(wrong.exitCode).toBe(20);
    expect(wrong.stdout).toContain('Not valid: 2 problems\n');
    expect(wrong.stdout).not.toContain('LIMIT');
    const json = await runCli(['plugin', 'explain', modulePath, '--json'], answering(undefined));
    expect(JSON.parse(json.stdout)).toEqual({ granted: false, problems: inspection.problems });
  });

  test.each([
    [['/no/such.wasm'], 2, 'Cannot read module "/no/such.wasm": it does not exist'],
    [['fetch', '--manifest', 'x.json'], 2, '--manifest is for files: the server has the manifest of a plugin'],
    [['fetch'], 1, 'This command does not understand the manifest that the server has'],
  ])('refuses %j', async (words, exitCode, message) => {
    const run = await runCli(['plugin', 'explain', ...words], { ...answering(undefined), plugins });
    expect(run).toMatchObject({ exitCode, stdout: '', stderr: expect.stringContaining(message) as string });
  });

  test('tells what is wrong with the policy', async () => {
    const violations = [{ field: 'rules[0].name', description: 'is required' }];
    const error = new ExecError('REQUEST_INVALID', 'The policy "p" cannot be used', { violations });
    const fakes = { ...answering(granted), explainGrant: () => Promise.reject(error) };
    const run = await runCli(['plugin', 'explain', modulePath, '--policy', 'p'], fakes);
    expect(run).toMatchObject({ exitCode: 20, stdout: '' });
    expect(run.stderr).toContain('The policy "p" cannot be used; rules[0].name: is required');
  });

  test('has a help with examples', async () => {
    const run = await runCli(['plugin', 'explain', '--help']);
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toContain('caisson plugin explain build/fetch.wasm\n');
  });
});

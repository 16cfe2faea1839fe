import { describe, expect, test } from 'vitest';
import { type CapabilityName, capabilityNames } from '../../../src/model/capability.ts';
import type { Grant } from '../../../src/model/grant.ts';
import { refusalText } from '../../../src/model/grant-refusal.ts';
import type { Manifest } from '../../../src/model/manifest.ts';
import { decisionsMax, Policy } from '../../../src/policy/policy.ts';
import { manifestWith, policyOf, ruleJson } from './fixtures.ts';

const tenant = 'acme';

function grantOf(policy: Policy, fields: Partial<Manifest>, who = tenant): Grant {
  return policy.grantFor({ tenant: who, manifest: manifestWith(fields) }).grant;
}

/** Refusals as texts: of capabilities, and of parts. */
function textsOf(policy: Policy, fields: Partial<Manifest>): readonly (readonly string[])[] {
  const { refusals, partRefusals } = policy.grantFor({ tenant, manifest: manifestWith(fields) });
  return [refusals.map(refusalText), partRefusals.map(refusalText)];
}

const everything: Partial<Manifest> = {
  capabilities: capabilityNames,
  allowedHosts: ['api.example.com', '*.example.org'],
  secrets: ['KEY', 'OTHER'],
  invoke: ['csv-*', 'echo'],
  mounts: { '/data': 'reports', '/models': 'models', '/again': 'reports' },
};

describe('The built-in policy', () => {
  const builtInCapabilities: readonly CapabilityName[] = [
    'config',
    'vars',
    'log',
    'progress',
    'clock',
    'random',
    'kv',
    'usage',
    'spans',
    'invoke',
    'wasi',
  ];

  test('grants what stays within the server, with the documented numbers', () => {
    const grant = grantOf(Policy.builtIn, everything);
    expect(new Set(grant.capabilities)).toEqual(new Set(builtInCapabilities));
    expect(grant).toMatchObject({
      tenant,
      plugin: 'echo',
      http: {
        askedHosts: [],
        targets: [],
        requestBytesMax: 1_048_576,
        responseBytesMax: 4_194_304,
        timeoutMsMax: 30_000,
        connectionsMax: 16,
        requestsMax: 1_000,
        requestsPerSecond: 100,
        redirectsMax: 5,
      },
      kv: { bytesMax: 4_194_304, keysMax: 10_000 },
      wasi: { fileBytesMax: 10_485_760, descriptorsMax: 10, inodesMax: 1_000, mounts: [] },
      invoke: { plugins: ['csv-*', 'echo'], depthMax: 4 },
      secrets: [],
    });
    expect(Policy.builtIn.limitsFor(tenant, 'echo')).toEqual({});
  });

  test('refuses http and secrets as a whole, and mounts by name', () => {
    expect(textsOf(Policy.builtIn, everything)).toEqual([
      [
        'It needs the capability "http", which no rule of the policy allows (rules that match: "built-in"): start the server with --policy FILE and add "http" to "capabilities" of a rule for tenant "acme" and plugin "echo"',
        'It needs the capability "secrets", which no rule of the policy allows (rules that match: "built-in"): start the server with --policy FILE and add "secrets" to "capabilities" of a rule for tenant "acme" and plugin "echo"',
      ],
      [
        'It needs the folder "reports", which no rule of the policy allows (rules that match: "built-in"): start the server with --policy FILE and add "reports": "/folder/of/the/host" to "mounts" of a rule for tenant "acme" and plugin "echo"',
        'It needs the folder "models", which no rule of the policy allows (rules that match: "built-in"): start the server with --policy FILE and add "models": "/folder/of/the/host" to "mounts" of a rule for tenant "acme" and plugin "echo"',
      ],
    ]);
  });

  test('grants nothing that the manifest does not ask for', () => {
    const { grant, refusals } = Policy.builtIn.grantFor({ tenant, manifest: manifestWith() });
    expect(grant).toMatchObject({ capabilities: [], invoke: { plugins: [] } });
    expect(refusals).toEqual([]);
  });
});

describe('The rules of a policy', () => {
  test('hold for the tenants and plugins that they match', () => {
    const policy = policyOf(
      ruleJson({ name: 'a', tenants: ['acme'], capabilities: ['log'] }),
      ruleJson({ name: 'b', tenants: ['beta-*', 'gamma'], plugins: ['other', 'ech*'], capabilities: ['vars'] }),
      ruleJson({ name: 'c', plugins: ['another'], capabilities: ['config'] }),
    );
    const asking = { capabilities: capabilityNames };
    expect(grantOf(policy, asking, 'acme').capabilities).toEqual(['log']);
    expect(grantOf(policy, asking, 'beta-1').capabilities).toEqual(['vars']);
    expect(grantOf(policy, asking, 'gamma').capabilities).toEqual(['vars']);
    expect(grantOf(policy, asking, 'delta').capabilities).toEqual([]);
    expect(grantOf(policy, { ...asking, name: 'another' }, 'acme').capabilities).toEqual(['config', 'log']);
  });

  test('allow nothing if there are none', () => {
    const { grant, refusals } = policyOf().grantFor({ tenant, manifest: manifestWith({ capabilities: ['log'] }) });
    expect(grant.capabilities).toEqual([]);
    expect(refusals.map(refusalText)).toEqual([
      'It needs the capability "log", which no rule of the policy allows (no rule matches): add "log" to "capabilities" of a rule for tenant "acme" and plugin "echo"',
    ]);
  });

  const added = policyOf(
    ruleJson({
      name: 'one',
      capabilities: ['http', 'secrets', 'invoke'],
      http: { targets: [{ host: 'api.example.com' }], requests_max: 10, redirects_max: 0 },
      kv: { keys_max: 5 },
      mounts: { reports: '/srv/one' },
      secrets: { KEY: { env: 'ONE' } },
      invoke: { plugins: ['csv-a*'], depth_max: 1 },
      limits: { fuel: 100, timeout_ms: 10 },
    }),
    ruleJson({
      name: 'two',
      capabilities: ['wasi', 'kv'],
      http: { targets: [{ host: '*.example.org' }], requests_max: 20, redirects_max: 0 },
      mounts: { reports: '/srv/two', models: '/srv/models' },
      secrets: { KEY: { env: 'TWO' }, OTHER: { file: '/run/other' } },
      invoke: { plugins: ['csv-*', 'echo', 'zip'], depth_max: 3 },
      limits: { fuel: 200 },
    }),
    ruleJson({
      name: 'elsewhere',
      tenants: ['nobody'],
      http: { requests_max: 999 },
      limits: { fuel: 999, var_bytes: 1 },
    }),
  );

  test('add up, and of numbers the largest counts', () => {
    const grant = grantOf(added, everything);
    expect(grant).toMatchObject({
      capabilities: ['kv', 'http', 'secrets', 'invoke', 'wasi'],
      http: { requestsMax: 20, redirectsMax: 0, requestsPerSecond: 100 },
      kv: { keysMax: 5, bytesMax: 4_194_304 },
      invoke: { plugins: ['csv-a*', 'csv-*', 'echo'], depthMax: 3 },
      secrets: ['KEY', 'OTHER'],
    });
    expect(grant.http.askedHosts).toEqual(['api.example.com', '*.example.org']);
    expect(grant.http.targets.map(({ host, rule }) => `${rule} ${host}`)).toEqual([
      'one api.example.com',
      'two *.example.org',
    ]);
    expect(grant.wasi.mounts).toEqual([
      { guestPath: '/data', name: 'reports' },
      { guestPath: '/models', name: 'models' },
      { guestPath: '/again', name: 'reports' },
    ]);
  });

  test('cap limits with the largest of the maxima that any of them names', () => {
    expect(added.limitsFor(tenant, 'echo')).toEqual({
      fuel: { max: 200, rule: 'two' },
      timeoutMs: { max: 10, rule: 'one' },
    });
    expect(added.limitsFor('nobody', 'echo')).toMatchObject({ fuel: { max: 999 }, varBytes: { max: 1 } });
  });

  test('give a secret and a folder of the same name by the first that has it', () => {
    const grant = grantOf(added, everything);
    expect(added.secretSource(grant, 'KEY')).toEqual({ env: 'ONE' });
    expect(added.secretSource(grant, 'OTHER')).toEqual({ file: '/run/other' });
    expect(added.mountDirectory(grant, 'reports')).toBe('/srv/one');
    expect(added.mountDirectory(grant, 'models')).toBe('/srv/models');
  });

  test('give nothing that the grant does not cover', () => {
    const grant = grantOf(added, { capabilities: ['secrets', 'wasi'] });
    expect(added.secretSource(grant, 'KEY')).toBeUndefined();
    expect(added.mountDirectory(grant, 'reports')).toBeUndefined();
    const forged = { ...grantOf(added, everything), tenant: 'nobody' };
    expect(added.secretSource({ ...forged, secrets: ['NONE'] }, 'NONE')).toBeUndefined();
  });

  test('leave out whatever belongs to a capability that is not granted', () => {
    const grant = grantOf(added, { ...everything, capabilities: ['log'] });
    expect(grant).toMatchObject({
      capabilities: [],
      http: { askedHosts: [], targets: [] },
      wasi: { mounts: [] },
      invoke: { plugins: [] },
      secrets: [],
    });
  });

  test('refuse parts one by one, naming the line to add', () => {
    const policy = policyOf(
      ruleJson({
        name: 'r',
        capabilities: ['*'],
        http: { targets: [{ host: '*.example.org' }] },
        invoke: { plugins: ['zip'] },
      }),
    );
    expect(textsOf(policy, everything)).toEqual([
      [],
      [
        'It needs the host "api.example.com", which no rule of the policy allows (rules that match: "r"): add {"host": "api.example.com"} to "http.targets" of a rule for tenant "acme" and plugin "echo"',
        'It needs the secret "KEY", which no rule of the policy allows (rules that match: "r"): add "KEY": {"env": "VARIABLE"} to "secrets" of a rule for tenant "acme" and plugin "echo"',
        'It needs the secret "OTHER", which no rule of the policy allows (rules that match: "r"): add "OTHER": {"env": "VARIABLE"} to "secrets" of a rule for tenant "acme" and plugin "echo"',
        'It needs the folder "reports", which no rule of the policy allows (rules that match: "r"): add "reports": "/folder/of/the/host" to "mounts" of a rule for tenant "acme" and plugin "echo"',
        'It needs the folder "models", which no rule of the policy allows (rules that match: "r"): add "models": "/folder/of/the/host" to "mounts" of a rule for tenant "acme" and plugin "echo"',
        'It needs the plugin "csv-*", which no rule of the policy allows (rules that match: "r"): add "csv-*" to "invoke.plugins" of a rule for tenant "acme" and plugin "echo"',
        'It needs the plugin "echo", which no rule of the policy allows (rules that match: "r"): add "echo" to "invoke.plugins" of a rule for tenant "acme" and plugin "echo"',
      ],
    ]);
  });

  test('are named for messages', () => {
    expect(added.rulesFor({ tenant, plugin: 'echo' })).toEqual(['one', 'two']);
    expect(added.rulesFor({ tenant: 'nobody', plugin: 'echo' })).toEqual(['one', 'two', 'elsewhere']);
  });

  test('make a grant that can be posted to a thread', () => {
    const grant = grantOf(added, everything);
    expect(structuredClone(grant)).toEqual(grant);
  });
});

describe('Policy.grantFor', () => {
  test('remembers what it decided for a manifest and a tenant', () => {
    const policy = policyOf(ruleJson({ capabilities: ['log'] }));
    const [manifest, twin] = [manifestWith({ capabilities: ['log'] }), manifestWith({ capabilities: ['log'] })];
    const decision = policy.grantFor({ tenant, manifest });
    expect(policy.grantFor({ tenant, manifest })).toBe(decision);
    expect(policy.grantFor({ tenant: 'beta', manifest }).grant.tenant).toBe('beta');
    expect(policy.grantFor({ tenant, manifest: twin })).not.toBe(decision);
  });

  test('forgets when it has decided as often as it may', () => {
    const policy = policyOf();
    const manifest = manifestWith();
    const first = policy.grantFor({ tenant: 't0', manifest });
    for (let index = 1; index < decisionsMax; index++) policy.grantFor({ tenant: `t${index}`, manifest });
    expect(policy.grantFor({ tenant: 't0', manifest })).toBe(first);
    policy.grantFor({ tenant: 'one-more', manifest });
    const again = policy.grantFor({ tenant: 't0', manifest });
    expect(again).not.toBe(first);
    expect(again).toEqual(first);
  });
});

test('Policy.limitsFor remembers what it found, and forgets when it has found as much as it may', () => {
  const policy = policyOf(ruleJson({ limits: { fuel: 5 } }));
  const first = policy.limitsFor('t0', 'echo');
  for (let index = 1; index < decisionsMax; index++) policy.limitsFor(`t${index}`, 'echo');
  expect(policy.limitsFor('t0', 'echo')).toBe(first);
  policy.limitsFor('one-more', 'echo');
  expect(policy.limitsFor('t0', 'echo')).not.toBe(first);
  expect(policy.limitsFor('t0', 'echo')).toEqual(first);
});

test('Policy.read gives a policy or says what is wrong', () => {
  expect(Policy.read('{"rules": []}').policy).toBeInstanceOf(Policy);
  expect(Policy.read('{}')).toEqual({
    policy: undefined,
    violations: [{ field: 'rules', description: 'is required' }],
  });
});

import { describe, expect, test } from 'vitest';
import { capabilityNames } from '../../../src/model/capability.ts';
import { Policy } from '../../../src/policy/policy.ts';
import { manifestWith, policyOf, ruleJson } from './fixtures.ts';

const policy = policyOf(
  ruleJson({
    name: 'one',
    capabilities: ['log', 'http', 'secrets', 'invoke', 'wasi'],
    http: {
      targets: [
        { host: '*.example.com', methods: ['GET', 'HEAD'] },
        { host: '::1', scheme: '*', port: 80, private: true },
      ],
      requests_max: 7,
    },
    mounts: { reports: '/srv/reports' },
    secrets: { KEY: { env: 'ACME_KEY' }, PASSWORD: { file: '/run/password' } },
    invoke: { plugins: ['csv-*', 'zip'] },
    limits: { fuel: 1_000, timeout_ms: 60_000 },
  }),
  ruleJson({ name: 'two', capabilities: ['log'], limits: { fuel: 2_000 } }),
);

const manifest = manifestWith({
  capabilities: ['log', 'http', 'secrets', 'invoke', 'wasi', 'kv'],
  allowedHosts: ['api.example.com', '::1', 'other.test'],
  secrets: ['KEY', 'PASSWORD', 'NONE'],
  invoke: ['csv-*', 'zip', 'tar'],
  mounts: { '/data': 'reports', '/none': 'none' },
  limits: { fuel: 5_000, timeoutMs: 10 },
});

const explanation = policy.explain({ tenant: 'acme', manifest });

describe('Policy.explain', () => {
  test('names tenant, plugin and the rules that match', () => {
    expect(explanation).toMatchObject({ tenant: 'acme', plugin: 'echo', rules: ['one', 'two'] });
    const { refusals, partRefusals } = policy.grantFor({ tenant: 'acme', manifest });
    expect(explanation).toMatchObject({ refusals, partRefusals });
    expect([refusals, partRefusals].map((list) => list.map(({ asked }) => asked))).toEqual([
      ['kv'],
      ['host "other.test"', 'secret "NONE"', 'folder "none"', 'plugin "tar"'],
    ]);
  });

  test('says of every capability who asks for it and who allows it', () => {
    expect(explanation.capabilities.map(({ capability }) => capability)).toEqual(capabilityNames);
    const byName = Object.fromEntries(explanation.capabilities.map(({ capability, ...rest }) => [capability, rest]));
    expect(byName).toMatchObject({
      log: { asked: true, allowedBy: ['one', 'two'], granted: true },
      http: { asked: true, allowedBy: ['one'], granted: true },
      kv: { asked: true, allowedBy: [], granted: false },
      vars: { asked: false, allowedBy: [], granted: false },
    });
  });

  test('says what becomes of hosts, secrets, mounts and plugins', () => {
    const none = { allowedBy: [], granted: false, detail: '' };
    const one = { allowedBy: ['one'], granted: true };
    expect(explanation.parts).toEqual([
      { kind: 'host', asked: 'api.example.com', ...one, detail: 'GET HEAD https://*.example.com' },
      { kind: 'host', asked: '::1', ...one, detail: '*://[::1]:80 (private)' },
      { kind: 'host', asked: 'other.test', ...none },
      { kind: 'secret', asked: 'KEY', ...one, detail: 'environment variable ACME_KEY' },
      { kind: 'secret', asked: 'PASSWORD', ...one, detail: 'file /run/password' },
      { kind: 'secret', asked: 'NONE', ...none },
      { kind: 'mount', asked: '/data: reports', ...one, detail: '/srv/reports' },
      { kind: 'mount', asked: '/none: none', ...none },
      { kind: 'plugin', asked: 'csv-*', ...one, detail: 'csv-*' },
      { kind: 'plugin', asked: 'zip', ...one, detail: 'zip' },
      { kind: 'plugin', asked: 'tar', ...none },
    ]);
  });

  test('grants no part of a capability that is not granted', () => {
    const { parts } = Policy.builtIn.explain({ tenant: 'acme', manifest });
    expect(parts.filter(({ kind, granted }) => kind !== 'plugin' && granted)).toEqual([]);
  });

  test('says who sets each limit, of runs and of what is granted', () => {
    const byName = new Map(explanation.limits.map(({ name, ...rest }) => [name, rest]));
    expect(byName.get('limits.fuel')).toEqual({ value: 2_000, setBy: 'policy', rule: 'two' });
    expect(byName.get('limits.timeout_ms')).toEqual({ value: 10, setBy: 'manifest' });
    expect(byName.get('limits.host_calls')).toEqual({ value: 10_000_000, setBy: 'default' });
    expect(byName.get('http.requests_max')).toEqual({ value: 7, setBy: 'policy', rule: 'one' });
    expect(byName.get('http.redirects_max')).toEqual({ value: 5, setBy: 'default' });
    expect(byName.get('wasi.inodes_max')).toEqual({ value: 1_000, setBy: 'default' });
    expect([...byName.keys()].filter((name) => name.startsWith('kv.'))).toEqual([]);
  });
});

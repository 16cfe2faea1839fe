import { describe, expect, test } from 'vitest';
import { capabilityNames } from '../../../src/model/capability.ts';
import { listMax, policyBytesMax, readPolicy, rulesMax } from '../../../src/policy/policy-schema.ts';
import { ruleJson } from './fixtures.ts';

function read(...rules: readonly object[]) {
  return readPolicy(JSON.stringify({ rules }));
}

/** Violations of a rule as "path: description". */
function violations(fields: object): readonly string[] {
  return read(ruleJson(fields)).violations.map(({ field, description }) => `${field}: ${description}`);
}

describe('readPolicy', () => {
  test('reads every field', () => {
    const { rules, violations: found } = read({
      name: 'partners',
      tenants: ['acme', 'beta-*'],
      plugins: ['*'],
      capabilities: ['log', 'http'],
      http: {
        targets: [
          { host: '*.example.com' },
          { host: '10.0.0.7', scheme: 'http', port: 8_080, methods: ['GET', 'POST'], private: true },
        ],
        request_bytes_max: 1,
        response_bytes_max: 2,
        timeout_ms_max: 3,
        connections_max: 4,
        requests_max: 5,
        requests_per_second: 6,
        redirects_max: 0,
      },
      kv: { bytes_max: 7, keys_max: 8 },
      wasi: { file_bytes_max: 9, descriptors_max: 10, inodes_max: 11 },
      mounts: { reports: '/srv/reports' },
      secrets: { API_KEY: { env: 'ACME_KEY' }, 'db.password': { file: '/run/secrets/db' } },
      invoke: { plugins: ['csv-*'], depth_max: 2 },
      limits: { timeout_ms: 1, fuel: 2, cpu_percent: 3, memory_bytes: 65_536, host_calls: 4, var_bytes: 5 },
    });
    expect(found).toEqual([]);
    expect(rules).toEqual([
      {
        name: 'partners',
        tenants: ['acme', 'beta-*'],
        plugins: ['*'],
        capabilities: ['log', 'http'],
        targets: [
          {
            scheme: 'https',
            host: '*.example.com',
            port: undefined,
            methods: undefined,
            isPrivateAllowed: false,
            rule: 'partners',
          },
          {
            scheme: 'http',
            host: '10.0.0.7',
            port: 8_080,
            methods: ['GET', 'POST'],
            isPrivateAllowed: true,
            rule: 'partners',
          },
        ],
        http: {
          requestBytesMax: 1,
          responseBytesMax: 2,
          timeoutMsMax: 3,
          connectionsMax: 4,
          requestsMax: 5,
          requestsPerSecond: 6,
          redirectsMax: 0,
        },
        kv: { bytesMax: 7, keysMax: 8 },
        wasi: { fileBytesMax: 9, descriptorsMax: 10, inodesMax: 11 },
        mounts: new Map([['reports', '/srv/reports']]),
        secrets: new Map([
          ['API_KEY', { env: 'ACME_KEY' }],
          ['db.password', { file: '/run/secrets/db' }],
        ]),
        invocable: ['csv-*'],
        invoke: { depthMax: 2 },
        limits: { timeoutMs: 1, fuel: 2, cpuPercent: 3, memoryBytes: 65_536, hostCalls: 4, varBytes: 5 },
      },
    ]);
  });

  test('reads a rule that allows nothing, and a policy without rules', () => {
    expect(read(ruleJson()).rules).toMatchObject([
      { capabilities: [], targets: [], invocable: [], limits: {}, http: {} },
    ]);
    expect(readPolicy('{"$schema": "x", "rules": []}')).toEqual({ rules: [], violations: [] });
  });

  test('takes "*" for every capability', () => {
    expect(read(ruleJson({ capabilities: ['*'] })).rules?.[0]?.capabilities).toEqual(capabilityNames);
  });

  test.each([
    [{ name: '' }, 'rules[0].name: must have 1 to 63 characters, none of them a control character'],
    [{ name: 'x'.repeat(64) }, 'rules[0].name: must have 1 to 63 characters, none of them a control character'],
    [{ name: 'a\nb' }, 'rules[0].name: must have 1 to 63 characters, none of them a control character'],
    [{ tenants: undefined }, 'rules[0].tenants: is required'],
    [{ tenants: [] }, 'rules[0].tenants: must have at least 1 item'],
    [
      { plugins: ['*a'] },
      'rules[0].plugins[0]: must be a name, the beginning of a name and "*", or "*"; names have lowercase letters, digits, "-", "_" and "."',
    ],
    [{ capabilites: [] }, 'rules[0].capabilites: is not a field of the policy (did you mean "capabilities"?)'],
    [{ allowed_hosts: [] }, 'rules[0].allowed_hosts: is not a field of the policy'],
    [{ http: { target: [] } }, 'rules[0].http.target: is not a field of the policy (did you mean "targets"?)'],
    [
      { http: { requestsMax: 1 } },
      'rules[0].http.requestsMax: is not a field of the policy (did you mean "requests_max"?)',
    ],
    [
      { http: { targets: [{ host: 'a', methds: ['GET'] }] } },
      'rules[0].http.targets[0].methds: is not a field of the policy (did you mean "methods"?)',
    ],
    [{ http: { targets: [{}] } }, 'rules[0].http.targets[0].host: is required'],
    [
      { http: { targets: [{ host: 'a:80' }] } },
      'rules[0].http.targets[0].host: must be a host alone, without a port: must be a host name, "*." and a host name, an IP address, or "*"',
    ],
    [
      { http: { targets: [{ host: 'a', scheme: 'ftp' }] } },
      'rules[0].http.targets[0].scheme: must be one of "https", "http", "*", but is "ftp" (did you mean "http"?)',
    ],
    [{ http: { targets: [{ host: 'a', port: 65_536 }] } }, /targets\[0\]\.port: must be at most 65535/],
    [{ http: { targets: [{ host: 'a', port: 0 }] } }, /targets\[0\]\.port: must be at least 1/],
    [
      { http: { targets: [{ host: 'a', methods: ['get'] }] } },
      'rules[0].http.targets[0].methods[0]: must be a method in capital letters, such as "GET"',
    ],
    [
      { http: { targets: [{ host: 'a', private: 1 }] } },
      'rules[0].http.targets[0].private: must be true or false, but is 1',
    ],
    [
      { http: { targets: [{ host: '*', private: true }] } },
      'rules[0].http.targets[0].private: can be true for one host only, but "host" is "*": name each host in a target of its own',
    ],
    [{ http: { targets: [{ host: '*.a.example', private: true }] } }, /private: can be true for one host only/],
    [{ http: { redirects_max: 21 } }, /http\.redirects_max: must be at most 20/],
    [{ kv: { bytes: 1 } }, /kv\.bytes: is not a field of the policy/],
    [{ wasi: { inodes_max: 1.5 } }, /wasi\.inodes_max: must be a whole number, but is 1\.5/],
    [{ mounts: { reports: 'srv' } }, 'rules[0].mounts.reports: must be an absolute path without ".."'],
    [{ mounts: { reports: '/srv/../etc' } }, 'rules[0].mounts.reports: must be an absolute path without ".."'],
    [{ mounts: { '1': '/srv' } }, /rules\[0\]\.mounts\["1"\]: must have 1 to 128 letters/],
    [{ secrets: { A: {} } }, 'rules[0].secrets.A: must have either "env" or "file"'],
    [{ secrets: { A: { env: 'A', file: '/a' } } }, 'rules[0].secrets.A: must have either "env" or "file"'],
    [
      { secrets: { A: { evn: 'A', file: '/a' } } },
      'rules[0].secrets.A.evn: is not a field of the policy (did you mean "env"?)',
    ],
    [
      { secrets: { A: { env: 'A-B' } } },
      'rules[0].secrets.A.env: must be the name of an environment variable: letters, digits and "_"',
    ],
    [{ secrets: { A: 'value' } }, 'rules[0].secrets.A: must be an object, but is "value"'],
    [{ invoke: { plugins: ['A'] } }, /invoke\.plugins\[0\]: must be a name/],
    [{ invoke: { depth_max: 17 } }, /invoke\.depth_max: must be at most 16/],
    [{ limits: { timeout: 1 } }, 'rules[0].limits.timeout: is not a field of the policy'],
    [{ limits: { memory_bytes: 65_535 } }, /limits\.memory_bytes: must be at least 65536/],
    [{ limits: { fuel: 1e13 + 1_000 } }, /limits\.fuel: must be at most/],
  ])('refuses %j', (fields, expected) => {
    const found = violations(fields);
    expect(found).toHaveLength(1);
    if (typeof expected === 'string') expect(found[0]).toBe(expected);
    else expect(found[0]).toMatch(expected);
  });

  test('says where a word of manifests stands in a policy', () => {
    expect(readPolicy('{"rules": [], "allowed_hosts": []}').violations).toEqual([
      {
        field: 'allowed_hosts',
        description: 'is a word of manifests: in a policy, hosts stand in "http.targets" of a rule',
      },
    ]);
  });

  test('refuses a name that two rules have', () => {
    expect(read(ruleJson(), ruleJson({ name: 'b' }), ruleJson()).violations).toEqual([
      { field: 'rules[2].name', description: 'is the name of rules[0], too' },
    ]);
  });

  test('names line and column, and refuses keys that stand twice', () => {
    expect(readPolicy('{"rules":\n [}').violations).toEqual([
      { field: 'policy', description: 'is not JSON: line 2, column 3: expected a value, but found "}"' },
    ]);
    expect(readPolicy('{"rules": [], "rules": []}')).toEqual({
      rules: undefined,
      violations: [{ field: 'rules', description: 'line 1, column 15: this key stands twice: keep one' }],
    });
    expect(readPolicy('[]').violations).toEqual([{ field: 'policy', description: 'must be an object, but is a list' }]);
  });

  test('reports everything at once, up to a hundred', () => {
    expect(read(ruleJson({ tenants: 'a', kv: 1 }), ruleJson({ name: 5 })).violations.map(({ field }) => field)).toEqual(
      ['rules[0].tenants', 'rules[0].kv', 'rules[1].name'],
    );
    const unknown = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`unknown${index}`, 1]));
    expect(violations(unknown)).toHaveLength(100);
  });

  test('bounds bytes, rules and lists', () => {
    const padded = (bytes: number): string => '{"rules": []}'.padEnd(bytes);
    expect(readPolicy(padded(policyBytesMax)).violations).toEqual([]);
    expect(readPolicy(padded(policyBytesMax + 1)).violations).toEqual([
      { field: 'policy', description: `must have at most ${policyBytesMax} bytes, but has ${policyBytesMax + 1}` },
    ]);
    const rules = (count: number): object[] =>
      Array.from({ length: count }, (_, index) => ruleJson({ name: `r${index}` }));
    expect(read(...rules(rulesMax)).violations).toEqual([]);
    expect(read(...rules(rulesMax + 1)).violations).toEqual([
      { field: 'rules', description: `must have at most ${rulesMax} items` },
    ]);
    const items = (count: number): string[] => Array.from({ length: count }, (_, index) => `p${index}`);
    expect(violations({ plugins: items(listMax) })).toEqual([]);
    expect(violations({ plugins: items(listMax + 1) })).toEqual([
      `rules[0].plugins: must have at most ${listMax} items`,
    ]);
    const mounts = (count: number): object => Object.fromEntries(items(count).map((name) => [name, '/srv']));
    expect(violations({ mounts: mounts(listMax) })).toEqual([]);
    expect(violations({ mounts: mounts(listMax + 1) })).toEqual([
      `rules[0].mounts: must have at most ${listMax} entries`,
    ]);
  });
});

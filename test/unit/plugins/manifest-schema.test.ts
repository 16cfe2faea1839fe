import { describe, expect, test } from 'vitest';
import { capabilityNames } from '../../../src/model/capability.ts';
import { manifestJsonSchema, nameRefusal, readManifest, versionRefusal } from '../../../src/plugins/manifest-schema.ts';

const base = { name: 'echo', version: '1.0.0' };

function read(fields: object): ReturnType<typeof readManifest> {
  return readManifest(JSON.stringify({ ...base, ...fields }));
}

/** Violations as "path: description". */
function violations(fields: object): readonly string[] {
  return read(fields).violations.map(({ field, description }) => `${field}: ${description}`);
}

describe('readManifest', () => {
  test('fills in what a manifest leaves out', () => {
    expect(read({}).manifest).toEqual({
      ...base,
      description: '',
      functions: undefined,
      capabilities: [],
      config: {},
      limits: {},
      instance: { mode: 'fresh', warm: 1 },
      allowedHosts: [],
      secrets: [],
      invoke: [],
      mounts: {},
    });
  });

  test('reads every field', () => {
    const { manifest } = read({
      $schema: 'https://example.com/manifest.json',
      description: 'Repeats',
      functions: ['run', 'other'],
      capabilities: ['config', 'vars', 'http', 'secrets', 'invoke', 'wasi'],
      config: { greeting: 'hello', 'a.b': '' },
      timeout_ms: 1_000,
      memory: { max_pages: 32, max_var_bytes: 1_024 },
      limits: { input_bytes: 1, output_bytes: 2, log_bytes: 3, host_calls: 4 },
      instance: { mode: 'reuse', warm: 0 },
      allowed_hosts: ['api.example.com', '*.example.org', '::1', '127.0.0.1'],
      allowed_paths: [],
      secrets: ['API_KEY', '_a.b-c'],
      invoke: ['csv-transform', 'tools.*'],
      mounts: { '/data': 'reports', '/models/small': 'models' },
    });
    expect(manifest).toEqual({
      ...base,
      description: 'Repeats',
      functions: ['run', 'other'],
      capabilities: ['config', 'vars', 'http', 'secrets', 'invoke', 'wasi'],
      config: { greeting: 'hello', 'a.b': '' },
      instance: { mode: 'reuse', warm: 0 },
      allowedHosts: ['api.example.com', '*.example.org', '::1', '127.0.0.1'],
      secrets: ['API_KEY', '_a.b-c'],
      invoke: ['csv-transform', 'tools.*'],
      mounts: { '/data': 'reports', '/models/small': 'models' },
      limits: {
        timeoutMs: 1_000,
        memoryBytes: 32 * 65_536,
        inputBytes: 1,
        outputBytes: 2,
        logBytes: 3,
        varBytes: 1_024,
        hostCalls: 4,
      },
    });
  });

  test('takes the camelCase spellings of Extism', () => {
    const { manifest } = read({
      timeoutMs: 5,
      memory: { maxPages: 1, maxVarBytes: 7 },
      capabilities: ['http'],
      allowedHosts: ['a.example'],
      allowedPaths: {},
    });
    expect(manifest?.allowedHosts).toEqual(['a.example']);
    expect(manifest?.limits).toEqual({ timeoutMs: 5, memoryBytes: 65_536, varBytes: 7 });
  });

  test('refuses both spellings at once and names paths as they are written', () => {
    expect(
      violations({ timeoutMs: 5, timeout_ms: 5, memory: { maxPages: 0, maxVarBytes: 1, max_var_bytes: 1 } }),
    ).toEqual([
      'timeoutMs: is the same as "timeout_ms", which is given too: keep one',
      'memory.maxVarBytes: is the same as "max_var_bytes", which is given too: keep one',
      'memory.maxPages: must be at least 1, but is 0; leave it out for the default',
    ]);
  });

  test('reports everything at once', () => {
    const text = JSON.stringify({
      name: 'Echo',
      version: '1',
      description: 7,
      functions: ['a', 'a', ''],
      capabilities: ['log', 'htpp', 'log'],
      config: { a: 1, '': 'x' },
      limits: { outputBytes: 1, input_bytes: 99_999_999, memory_bytes: 1.5 },
      memory: { max_pages: 9_999 },
      allowed_hosts: ['example.com'],
      allowed_paths: [{}],
      capabilites: [],
    });
    expect(
      readManifest(text)
        .violations.map(({ field }) => field)
        .sort(),
    ).toEqual(
      [
        'name',
        'version',
        'description',
        'functions[1]',
        'functions[2]',
        'capabilities[1]',
        'capabilities[2]',
        'config.a',
        'config[""]',
        'limits.outputBytes',
        'limits.input_bytes',
        'limits.memory_bytes',
        'limits.memory_bytes',
        'memory.max_pages',
        'allowed_hosts',
        'allowed_paths',
        'capabilites',
      ].sort(),
    );
  });

  test.each([
    [{ name: undefined }, 'name: is required'],
    [{ name: 5 }, 'name: must be a string, but is 5'],
    [
      { name: 'a/b' },
      'name: must have 1 to 63 lowercase letters, digits, "-" or ".", the first and the last a letter or digit',
    ],
    [{ version: 'v1.0.0' }, 'version: must be a semantic version such as "1.2.3" or "1.2.3-rc.1"'],
    [
      { capabilities: ['lgo'] },
      'capabilities[0]: must be one of "config", "vars", "log", "progress", "clock", "random", "kv", "http", "secrets", "usage", "spans", "invoke", "wasi", but is "lgo" (did you mean "log"?)',
    ],
    [{ capabilities: 'log' }, 'capabilities: must be a list, but is "log"'],
    [
      { capabilities: [['log']] },
      'capabilities[0]: must be one of "config", "vars", "log", "progress", "clock", "random", "kv", "http", "secrets", "usage", "spans", "invoke", "wasi", but is a list',
    ],
    [
      { functions: [] },
      'functions: must name at least one function; leave it out to offer every one that can be executed',
    ],
    [{ functions: ['x'.repeat(256)] }, 'functions[0]: must have at most 255 bytes'],
    [{ description: 'é'.repeat(513) }, 'description: must have at most 1024 bytes'],
    [{ config: { key: 'v'.repeat(16_385) } }, 'config.key: must have at most 16384 bytes'],
    [{ config: { ['k'.repeat(129)]: '' } }, `config.${'k'.repeat(129)}: must have a key of 1 to 128 bytes`],
    [{ timeout_ms: 300_001 }, 'timeout_ms: must be at most 300000, the maximum of this server, but is 300001'],
    [{ timeout_ms: 0 }, 'timeout_ms: must be at least 1, but is 0; leave it out for the default'],
    [{ timeout_ms: '5s' }, 'timeout_ms: must be a whole number, but is "5s"'],
    [
      { limits: { memory_bytes: 536_870_913 } },
      'limits.memory_bytes: must be at most 536870912, the maximum of this server, but is 536870913',
    ],
    [
      { limits: { output_bytes: 16_777_217 } },
      'limits.output_bytes: must be at most 16777216, the maximum of this server, but is 16777217',
    ],
    [
      { limits: { log_bytes: 1_048_577 } },
      'limits.log_bytes: must be at most 1048576, the maximum of this server, but is 1048577',
    ],
    [
      { memory: { max_pages: 8_193 } },
      'memory.max_pages: must be at most 8192, the maximum of this server, but is 8193',
    ],
    [
      { memory: { max_pages: 1 }, limits: { memory_bytes: 65_536 } },
      'limits.memory_bytes: limits the same as "memory.max_pages", which is given too: keep one',
    ],
    [
      { limits: { outputBytes: 1 } },
      'limits.outputBytes: is not a field of the manifest (did you mean "output_bytes"?)',
    ],
    [{ wasm: [] }, 'wasm: is not a field of this manifest: the module is uploaded beside it'],
    [
      { memory: { maxHttpResponseBytes: 1 } },
      'memory.maxHttpResponseBytes: has no meaning here: the policy of the operator bounds responses',
    ],
    [
      { allowedPaths: ['/tmp'] },
      'allowedPaths: is not taken: name folders of the operator in "mounts", and leave this out or empty',
    ],
    [
      { allowed_paths: { '/host': '/guest' } },
      'allowed_paths: is not taken: name folders of the operator in "mounts", and leave this out or empty',
    ],
    [
      { instance: { mode: 'reused' } },
      'instance.mode: must be one of "fresh", "reuse", "session", but is "reused" (did you mean "reuse"?)',
    ],
    [{ instance: { warm: 9 } }, 'instance.warm: must be at most 8, the maximum of this server, but is 9'],
    [{ instance: { warm: -1 } }, 'instance.warm: must be at least 0, but is -1; leave it out for the default'],
    [{ instance: { wram: 1 } }, 'instance.wram: is not a field of the manifest (did you mean "warm"?)'],
    [
      { limits: { host_calls: 1_000_000_001 } },
      'limits.host_calls: must be at most 1000000000, the maximum of this server, but is 1000000001',
    ],
    [{ allowed_hosts: ['*'] }, 'allowed_hosts: needs the capability "http": set "capabilities": ["http"]'],
    [
      { capabilities: ['log'], allowedHosts: ['*'] },
      'allowedHosts: needs the capability "http": set "capabilities": ["log", "http"]',
    ],
    [{ secrets: ['A'] }, 'secrets: needs the capability "secrets": set "capabilities": ["secrets"]'],
    [{ invoke: ['a'] }, 'invoke: needs the capability "invoke": set "capabilities": ["invoke"]'],
    [{ mounts: { '/a': 'a' } }, 'mounts: needs the capability "wasi": set "capabilities": ["wasi"]'],
    [
      { capabilities: ['http'], allowed_hosts: ['https://example.com'] },
      'allowed_hosts[0]: must be a host alone, without a scheme: must be a host name, "*." and a host name, an IP address, or "*"',
    ],
    [{ capabilities: ['http'], allowedHosts: ['a', 'b', 'a'] }, 'allowedHosts[2]: names "a" for the second time'],
    [
      { capabilities: ['secrets'], secrets: ['1A'] },
      'secrets[0]: must have 1 to 128 letters, digits, "_", "." or "-", the first a letter or "_"',
    ],
    [
      { capabilities: ['invoke'], invoke: ['a*b'] },
      'invoke[0]: must be a name, the beginning of a name and "*", or "*"; names have lowercase letters, digits, "-", "_" and "."',
    ],
    [
      { capabilities: ['wasi'], mounts: { '/data': 'a', '/data/b': 'b' } },
      'mounts["/data/b"]: lies within "/data", which is mounted, too',
    ],
    [
      { capabilities: ['wasi'], mounts: { '/data': '' } },
      'mounts["/data"]: must have 1 to 128 letters, digits, "_", "." or "-", the first a letter or "_"',
    ],
    [{ 'a"\nb': 1 }, '["a"\\u000ab"]: is not a field of the manifest'],
  ])('refuses %j', (fields, expected) => {
    expect(violations(fields)).toEqual([expected]);
  });

  test('takes each limit at its maximum and least', () => {
    const most = {
      timeout_ms: 300_000,
      limits: { memory_bytes: 536_870_912, input_bytes: 16_777_216, output_bytes: 16_777_216, log_bytes: 1_048_576 },
    };
    expect(violations(most)).toEqual([]);
    expect(violations({ memory: { max_pages: 8_192, max_var_bytes: 16_777_216 } })).toEqual([]);
    expect(violations({ timeout_ms: 1, memory: { max_pages: 1 }, limits: { log_bytes: 1 } })).toEqual([]);
  });

  test('bounds the entries of config', () => {
    const entries = (count: number): object =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, '']));
    expect(violations({ config: entries(64) })).toEqual([]);
    expect(violations({ config: entries(65) })).toEqual(['config: must have at most 64 entries, but has 65']);
  });

  const many = (count: number, item: (index: number) => string): readonly string[] =>
    Array.from({ length: count }, (_, index) => item(index));

  test.each([
    ['allowed_hosts', 'http', many(65, (i) => `h${i}.example`)],
    ['secrets', 'secrets', many(33, (i) => `S${i}`)],
    ['invoke', 'invoke', many(33, (i) => `p${i}`)],
  ])('bounds %s', (key, capability, items) => {
    expect(violations({ capabilities: [capability], [key]: items.slice(1) })).toEqual([]);
    expect(violations({ capabilities: [capability], [key]: items })).toEqual([
      `${key}: must have at most ${items.length - 1} items`,
    ]);
  });

  test('bounds the mounts', () => {
    const mounts = (count: number): object =>
      Object.fromEntries(many(count, (i) => `/m${i}`).map((path) => [path, 'a']));
    expect(violations({ capabilities: ['wasi'], mounts: mounts(8) })).toEqual([]);
    expect(violations({ capabilities: ['wasi'], mounts: mounts(9) })).toEqual([
      'mounts: must have at most 8 entries, but has 9',
    ]);
  });

  test.each(['', '/', 'data', '/data/', '//data', '/a/./b', '/a/../b', '/..', '/a\u0000', `/${'x'.repeat(255)}`])(
    'refuses a mount at %j',
    (path) => {
      expect(violations({ capabilities: ['wasi'], mounts: { [path]: 'a' } })).toEqual([
        expect.stringContaining('must be an absolute path such as "/data", without ".", ".." or a "/" at its end'),
      ]);
    },
  );

  test.each(['/data', '/a/b/c', '/a b', '/.hidden', `/${'x'.repeat(254)}`])('takes a mount at %j', (path) => {
    expect(violations({ capabilities: ['wasi'], mounts: { [path]: 'a' } })).toEqual([]);
  });

  test('mounts folders side by side whose paths begin alike', () => {
    expect(violations({ capabilities: ['wasi'], mounts: { '/data': 'a', '/data2': 'b' } })).toEqual([]);
  });

  test('asks for no capability on behalf of what is empty, and not again where capabilities are wrong', () => {
    expect(violations({ allowed_hosts: [], secrets: [], invoke: [], mounts: {} })).toEqual([]);
    expect(violations({ capabilities: 'http', allowed_hosts: ['a.example'] })).toEqual([
      'capabilities: must be a list, but is "http"',
    ]);
  });

  test('names line and column of a syntax error', () => {
    expect(readManifest('{"name": "echo",\n  "version" "1.0.0"}').violations).toEqual([
      { field: 'manifest', description: 'is not JSON: line 2, column 13: expected ":", but found """' },
    ]);
  });

  test('refuses a key that stands twice', () => {
    const { violations, manifest } = readManifest('{"name": "echo", "version": "1.0.0", "limits": {}, "limits": {}}');
    expect(violations).toEqual([
      { field: 'limits', description: 'line 1, column 52: this key stands twice: keep one' },
    ]);
    expect(manifest).toBeUndefined();
  });

  test.each([
    ['[]', 'a list'],
    ['"x"', '"x"'],
    ['null', 'null'],
    ['1', '1'],
  ])('refuses %s', (text, shown) => {
    expect(readManifest(text).violations).toEqual([
      { field: 'manifest', description: `must be an object, but is ${shown}` },
    ]);
  });

  test('bounds the bytes of the manifest and the number of violations', () => {
    expect(readManifest(' '.repeat(65_537)).violations[0]?.description).toBe(
      'must have at most 65536 bytes, but has 65537',
    );
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`unknown${index}`, 1]));
    expect(violations(many)).toHaveLength(100);
  });

  test('gives the parts that could be read although others could not', () => {
    const reading = read({
      name: '?',
      capabilities: ['log'],
      functions: ['run'],
      memory: { maxPages: 2 },
      limits: { input_bytes: -1 },
    });
    expect(reading).toMatchObject({
      manifest: undefined,
      capabilities: ['log'],
      functions: ['run'],
      limits: { memoryBytes: 131_072 },
    });
    expect(read({ capabilities: ['nope'] }).capabilities).toBeUndefined();
  });
});

describe('nameRefusal', () => {
  test.each(['a', '0', 'a-b', 'a.b', 'a..b', 'x'.repeat(63), 'sha256'])('takes %j', (name) => {
    expect(nameRefusal(name)).toBeUndefined();
  });

  test.each([
    '',
    '.',
    '..',
    '../etc',
    'a/b',
    '/',
    'a\\b',
    '-a',
    'a-',
    '.a',
    'a.',
    'A',
    'é',
    'a b',
    'a\0',
    'a\n',
    'a@1.0.0',
    'x'.repeat(64),
    'sha256:abc',
    '0123456789abcdef0123456789abcdef',
    `sha256-${'a'.repeat(40)}`,
  ])('refuses %j', (name) => {
    expect(nameRefusal(name)).toBeDefined();
  });
});

describe('versionRefusal', () => {
  test.each(['0.0.0', '1.2.3', '1.2.3-rc.1', '1.2.3-rc.1+build.5', '1.2.3+001', '10.20.30'])('takes %j', (version) => {
    expect(versionRefusal(version)).toBeUndefined();
  });

  test.each([
    '',
    '1',
    '1.2',
    'v1.2.3',
    '=1.2.3',
    ' 1.2.3',
    '1.2.3 ',
    '01.2.3',
    '1.2.3-',
    '1.2.3-01',
    '1.2.3+',
    '1.2.3-a/b',
    '../1.2.3',
    '1.2.3-..',
    'latest',
    '^1.2.3',
    '99999999999999999999.0.0',
    `1.2.3-${'a'.repeat(128)}`,
    '1.2.3\n',
  ])('refuses %j', (version) => {
    expect(versionRefusal(version)).toBeDefined();
  });
});

describe('manifestJsonSchema', () => {
  test('describes the fields in our spelling', () => {
    expect(manifestJsonSchema()).toMatchObject({
      type: 'object',
      additionalProperties: false,
      required: ['name', 'version'],
      properties: {
        name: { type: 'string', pattern: expect.any(String) },
        timeout_ms: { type: 'integer', minimum: 1, maximum: 300_000 },
        capabilities: { items: { enum: [...capabilityNames] } },
        instance: { properties: { mode: { enum: ['fresh', 'reuse', 'session'] } } },
      },
    });
  });
});

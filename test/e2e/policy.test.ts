/** The policy file over the wire: who may publish and run what, secrets, and that `caisson plugin explain` says the same. */

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CallError } from '../../src/client/call-error.ts';
import { type ExecutionEvent, Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import {
  callGuest,
  capabilityGuest,
  httpGuest,
  kvGuest,
  publishGuest,
  secretsGuest,
  textOf,
} from '../helpers/capability-guests.ts';
import { rejection } from '../helpers/grpc.ts';
import { nop, spin } from '../helpers/guests.ts';
import { type Clients, clientsOf, publishWat, run, uploadOf } from '../helpers/plugins.ts';
import { everybody, type PolicyFile, writePolicy } from '../helpers/policies.ts';
import { root, startServer, type TestServer } from '../helpers/server.ts';
import { wat } from '../helpers/wat.ts';

const secrets = {
  fromVariable: 'variable-value-4711',
  fromFile: 'file-value-with-ünicode-4711',
  forgotten: 'of-another-plugin-4711',
} as const;

let folder: string;
let policy: PolicyFile;
let server: TestServer;
let clients: Clients;
let acme: Clients;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'caisson-modules-'));
  policy = writePolicy((directory) => [
    { ...everybody, capabilities: ['config', 'log', 'progress', 'invoke'] },
    {
      name: 'acme',
      tenants: ['acme'],
      plugins: ['*'],
      capabilities: ['kv', 'secrets', 'http'],
      secrets: { VARIABLE: { env: 'TEST_SECRET_ONE' }, UNSET: { env: 'TEST_SECRET_UNSET' } },
    },
    {
      name: 'acme-signers',
      tenants: ['acme'],
      plugins: ['signer*'],
      capabilities: [],
      secrets: {
        'in.file': { file: join(directory, 'secret') },
        'no.file': { file: join(directory, 'absent') },
        bad: { file: directory },
        UNASKED: { env: 'TEST_SECRET_TWO' },
      },
      limits: { timeout_ms: 400, fuel: 5_000_000 },
    },
  ]);
  writeFileSync(join(policy.directory, 'secret'), `${secrets.fromFile}\n`);
  server = await startServer({
    examples: false,
    arguments: ['--policy', policy.path, '--log-level', 'debug'],
    environment: { TEST_SECRET_ONE: secrets.fromVariable, TEST_SECRET_TWO: secrets.forgotten },
  });
  clients = clientsOf(server.address);
  acme = clientsOf(server.address, 'acme');
  await publishGuest(acme, 'signer', secretsGuest, {
    more: { secrets: ['VARIABLE', 'UNSET', 'in.file', 'no.file', 'bad', 'ELSEWHERE'] },
  });
  await publishWat(acme, 'signer-spin', spin);
  await publishWat(acme, 'spin', spin);
});

afterAll(async () => {
  for (const one of [clients, acme]) one[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  policy[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function secret(name: string): Promise<string> {
  const execution = await callGuest(acme, 'signer/get', [name]);
  expect([execution.outcome, execution.error?.message]).toEqual([Outcome.OK, undefined]);
  return textOf(execution);
}

describe('A secret', () => {
  test('comes from the variable or the file that the policy names, without the end of its line', async () => {
    expect(await secret('VARIABLE')).toBe(secrets.fromVariable);
    expect(await secret('in.file')).toBe(secrets.fromFile);
    expect([await secret('UNSET'), await secret('no.file')]).toEqual(['', '']);
  });

  test('is read anew each time', async () => {
    const path = join(policy.directory, 'secret');
    writeFileSync(path, 'changed');
    expect(await secret('in.file')).toBe('changed');
    writeFileSync(path, `${secrets.fromFile}\n`);
    expect(await secret('in.file')).toBe(secrets.fromFile);
  });

  test.each(['UNASKED', 'ELSEWHERE', 'never heard of'])(
    '%s, which manifest and policy do not both name, is denied',
    async (name) => {
      const { outcome, error, output } = await callGuest(acme, 'signer/get', [name]);
      expect([outcome, error?.kind, output.length]).toEqual([Outcome.DENIED, 'NOT_GRANTED', 0]);
      for (const part of ['"secrets"', `"${name}"`, '"acme"', '"acme-signers"', '"signer"']) {
        expect(error?.message).toContain(part);
      }
    },
  );

  test('is kept out of log lines, progress and errors of the run that has read it', async () => {
    const events: ExecutionEvent[] = [];
    const request = { plugin: 'signer', function: 'say', input: Buffer.from('in.file') };
    for await (const { event } of acme.executions.executeStream(request)) if (event) events.push(event);
    const said = events.map(({ event }) => {
      if (event.case === 'log' || event.case === 'progress') return event.value.message;
      return event.case === 'outcome' ? event.value.error?.message : undefined;
    });
    expect(said.filter((text) => text !== undefined)).toEqual(['[redacted]', '[redacted]', '[redacted]']);
  });

  test('whose source cannot be read is a fault of the server, which tells nobody what it is', async () => {
    const error = await rejection(callGuest(acme, 'signer/get', ['bad']));
    expect(error).toMatchObject({ codeName: 'INTERNAL' });
    expect((error as CallError).message).not.toContain(policy.directory);
  });

  test('is in nothing that the server has logged', () => {
    for (const value of Object.values(secrets)) expect(server.log()).not.toContain(value);
    expect(server.log().length).toBeGreaterThan(0);
  });
});

describe('Publishing', () => {
  const manifest = (fields: object) => JSON.stringify({ name: 'asks', version: '1.0.0', ...fields });
  const kvModule = wat(capabilityGuest(['kv'], kvGuest.body));

  test('is refused for a capability that the manifest does not ask for, with the line to add', async () => {
    const upload = uploadOf({ manifest: manifest({ capabilities: ['log'] }), module: kvModule });
    expect(await rejection(acme.plugins.publishPlugin(upload))).toMatchObject({
      codeName: 'INVALID_ARGUMENT',
      reason: 'CAPABILITY_NOT_GRANTED',
      message: expect.stringContaining('"capabilities": ["log", "kv"]'),
      metadata: { manifest_line: '"capabilities": ["log", "kv"]' },
    });
  });

  test('is refused for a capability that the policy does not allow the tenant, with the line to add', async () => {
    const upload = () => uploadOf({ manifest: manifest({ capabilities: ['kv'] }), module: kvModule });
    const error = (await rejection(clients.plugins.publishPlugin(upload()))) as CallError;
    expect(error).toMatchObject({ codeName: 'INVALID_ARGUMENT', reason: 'CAPABILITY_NOT_GRANTED' });
    expect(error.message).toContain('(rules that match: "everybody")');
    expect(error.message).toContain('add "kv" to "capabilities" of a rule for tenant "default" and plugin "asks"');
    const { report } = await clients.plugins.validatePlugin(upload());
    expect(report?.problems.map(({ reason }) => reason)).toContain('CAPABILITY_NOT_GRANTED');
    expect((await acme.plugins.publishPlugin(upload())).created).toBe(true);
  });

  test('is refused for a capability that nothing uses, too', async () => {
    const upload = uploadOf({ manifest: manifest({ name: 'idle', capabilities: ['wasi'] }), module: wat(nop) });
    expect(await rejection(acme.plugins.publishPlugin(upload))).toMatchObject({ reason: 'CAPABILITY_NOT_GRANTED' });
  });
});

describe('A run', () => {
  test('is denied before it begins where the policy does not allow the tenant what the manifest asks for', async () => {
    const execution = await callGuest(clients, 'signer/get', ['VARIABLE']);
    expect([execution.outcome, execution.error?.kind]).toEqual([Outcome.DENIED, 'NOT_GRANTED']);
    expect(execution.error?.message).toContain('"signer@1.0.0" cannot run for the tenant "default"');
    expect(execution.error?.message).toContain('add "secrets" to "capabilities" of a rule for tenant "default"');
    expect(execution.usage?.hostCalls).toBe(0n);
    const { execution: remembered } = await clients.executions.getExecution({ id: execution.id });
    expect(remembered?.outcome).toBe(Outcome.DENIED);
  });

  test('gets no more than the policy’s limits, whoever asks', async () => {
    const limits = { timeout: { seconds: 20n } };
    const capped = await run(acme, { plugin: 'signer-spin', function: 'run', limits });
    expect([Outcome.FUEL_EXHAUSTED, Outcome.TIMED_OUT]).toContain(capped.outcome);
    expect(capped.error?.message).toMatch(/limits\.(fuel, 5000000|timeout, 0\.4)/);
    const free = await run(acme, { plugin: 'spin', function: 'run', limits: { timeout: { seconds: 1n } } });
    expect(free.error?.message).toContain('limits.timeout, 1 s');
  });
});

describe('caisson plugin explain', () => {
  const explain = async (name: string, tenant: string): Promise<{ code: number; text: string }> =>
    new Promise((resolve) => {
      const words = ['src/main.ts', '--tenant', tenant, 'plugin', 'explain', name, '--policy', policy.path];
      execFile(process.execPath, [...words, '--address', server.address], { cwd: root }, (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code) : 0, text: stdout + stderr });
      });
    });

  test('says of a published plugin what the server says', async () => {
    const { code, text } = await explain('signer', 'default');
    expect(code).toBe(20);
    expect(text).toContain('add "secrets" to "capabilities" of a rule for tenant "default" and plugin "signer"');
    const granted = await explain('signer', 'acme');
    expect(granted.code).toBe(0);
    expect(granted.text).toContain('environment variable TEST_SECRET_ONE');
    expect(granted.text).toContain('"ELSEWHERE": {"env": "VARIABLE"}');
    for (const value of Object.values(secrets)) expect(granted.text).not.toContain(value);
  });

  test('says of a file what publishing would say', async () => {
    const path = join(folder, 'fetch.wasm');
    writeFileSync(path, wat(capabilityGuest(httpGuest.capabilities, httpGuest.body)));
    const asked = {
      name: 'fetch',
      version: '1.0.0',
      capabilities: httpGuest.capabilities,
      allowed_hosts: ['a.example'],
    };
    writeFileSync(join(folder, 'fetch.json'), JSON.stringify(asked));
    const refused = await explain(path, 'default');
    expect([refused.code, refused.text]).toEqual([20, expect.stringContaining('add "http" to "capabilities"')]);
    const granted = await explain(path, 'acme');
    expect([granted.code, granted.text]).toEqual([
      0,
      expect.stringContaining('add {"host": "a.example"} to "http.targets"'),
    ]);
  });
});

test('A policy that allows less than when a plugin was published denies its runs, and a wider one lets them be again', async () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'caisson-policies-'));
  try {
    const outcomes: string[] = [];
    for (const capabilities of [['kv'], ['log'], ['kv']]) {
      using narrow = writePolicy(() => [{ ...everybody, capabilities }]);
      await using other = await startServer({ examples: false, dataDirectory, arguments: ['--policy', narrow.path] });
      using guests = clientsOf(other.address);
      if (outcomes.length === 0) await publishGuest(guests, 'store', kvGuest);
      const { outcome, error } = await callGuest(guests, 'store/list');
      outcomes.push(outcome === Outcome.OK ? 'OK' : (error?.message ?? ''));
    }
    expect(outcomes).toEqual(['OK', expect.stringContaining('add "kv" to "capabilities"'), 'OK']);
  } finally {
    rmSync(dataDirectory, { recursive: true, force: true });
  }
});

test('A policy with mistakes keeps the server from starting, which names each with its place', async () => {
  using bad = writePolicy(() => [
    { ...everybody, capabilities: ['kvv'] },
    { name: 'second', tenant: ['*'] },
  ]);
  const error = (await rejection(startServer({ examples: false, arguments: ['--policy', bad.path] }))) as Error;
  for (const part of ['rules[0].capabilities[0]', 'rules[1].tenant', 'rules[1].plugins']) {
    expect(error.message).toContain(part);
  }
});

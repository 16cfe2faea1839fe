/** Every bad input gets the right status, a reason, and a message that says what to do; and the server serves on. */

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CallError } from '../../src/client/call-error.ts';
import { createClient } from '../../src/client/client.ts';
import { Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import { Health, HealthCheckResponse_ServingStatus } from '../../src/gen/grpc/health/v1/health_pb.ts';
import { hello, nop } from '../helpers/guests.ts';
import { type Clients, clientsOf, publishWat, run, type Upload, uploadOf } from '../helpers/plugins.ts';
import { startServer, type TestServer } from '../helpers/server.ts';
import { wat } from '../helpers/wat.ts';

let server: TestServer;
let clients: Clients;

beforeAll(async () => {
  server = await startServer({ examples: false });
  clients = clientsOf(server.address);
  await publishWat(clients, 'hello', hello);
  await publishWat(
    clients,
    'typed',
    '(module (func (export "takes") (param i32)) (func (export "gives") (result i64) (i64.const 0)) (func (export "run")))',
  );
});

afterAll(async () => {
  clients[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

async function expectServing(): Promise<void> {
  using health = createClient(Health, server.address);
  expect((await health.check({})).status).toBe(HealthCheckResponse_ServingStatus.SERVING);
  const execution = await run(clients, { plugin: 'hello', function: 'run' });
  expect(Buffer.from(execution.output).toString()).toBe('hello');
}

interface Refused {
  readonly code: CallError['codeName'];
  readonly reason: string;
  readonly message: RegExp;
}

async function expectRefusal(call: Promise<unknown>, expected: Refused): Promise<CallError> {
  const error = await call.then(
    (value) =>
      expect.fail(`accepted: ${JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v))}`),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(CallError);
  const refusal = error as CallError;
  expect({ code: refusal.codeName, reason: refusal.reason, message: refusal.message }).toEqual({
    code: expected.code,
    reason: expected.reason,
    message: expect.stringMatching(expected.message),
  });
  await expectServing();
  return refusal;
}

const manifest = JSON.stringify({ name: 'fresh', version: '1.0.0' });
const module = wat(nop);
const publish = (upload: Upload): Promise<unknown> => clients.plugins.publishPlugin(uploadOf(upload));

describe('An upload', () => {
  test.each<[string, Upload, Refused]>([
    [
      'that is not Wasm',
      { manifest, module: Buffer.from('#!/bin/sh\necho hello\n') },
      { code: 'INVALID_ARGUMENT', reason: 'WASM_NOT_WASM', message: /00 61 73 6d/ },
    ],
    [
      'of a truncated module',
      { manifest, module: module.slice(0, module.length - 3) },
      { code: 'INVALID_ARGUMENT', reason: 'WASM_TRUNCATED', message: /ends/i },
    ],
    [
      'of a component',
      { manifest, module: Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0) },
      { code: 'INVALID_ARGUMENT', reason: 'WASM_COMPONENT', message: /component/i },
    ],
    [
      'of a module that does not validate',
      {
        manifest,
        module: Uint8Array.of(
          0,
          0x61,
          0x73,
          0x6d,
          1,
          0,
          0,
          0,
          1,
          4,
          1,
          0x60,
          0,
          0,
          3,
          2,
          1,
          0,
          10,
          5,
          1,
          3,
          0,
          0x6a,
          0x0b,
        ),
      },
      { code: 'INVALID_ARGUMENT', reason: 'WASM_INVALID', message: /./ },
    ],
    [
      'with a 64-bit memory',
      { manifest, module: wat('(module (memory i64 1) (func (export "run")))') },
      { code: 'INVALID_ARGUMENT', reason: 'WASM_FEATURE_NOT_ALLOWED', message: /memory64/ },
    ],
    [
      'with a shared memory',
      { manifest, module: wat('(module (memory 1 2 shared) (func (export "run")))') },
      { code: 'INVALID_ARGUMENT', reason: 'WASM_FEATURE_NOT_ALLOWED', message: /shared/ },
    ],
    [
      'with an import that nobody provides',
      { manifest, module: wat('(module (import "env" "system" (func (param i32))) (func (export "run")))') },
      { code: 'INVALID_ARGUMENT', reason: 'IMPORT_UNKNOWN', message: /env.*system/ },
    ],
    [
      'with a capability that the manifest does not ask for',
      {
        manifest,
        module: wat('(module (import "extism:host/env" "log_info" (func (param i64))) (func (export "run")))'),
      },
      { code: 'INVALID_ARGUMENT', reason: 'CAPABILITY_NOT_GRANTED', message: /"capabilities": \["log"\]/ },
    ],
    [
      'with another SHA-256',
      { manifest, module, sha256: createHash('sha256').update('other').digest('hex') },
      { code: 'INVALID_ARGUMENT', reason: 'DIGEST_MISMATCH', message: /sha-?256/i },
    ],
    [
      'larger than announced',
      { manifest, module, sizeBytes: module.length - 1 },
      { code: 'INVALID_ARGUMENT', reason: 'UPLOAD_TOO_LARGE', message: /announce/ },
    ],
    [
      'announced larger than the limit',
      { manifest, module, sizeBytes: 1 << 30 },
      { code: 'INVALID_ARGUMENT', reason: 'UPLOAD_TOO_LARGE', message: /16777216|16 MiB/ },
    ],
    [
      'that stops short',
      { manifest, module, sizeBytes: module.length + 1 },
      { code: 'INVALID_ARGUMENT', reason: 'UPLOAD_INCOMPLETE', message: /announce/ },
    ],
    [
      'with a manifest that is not JSON',
      { manifest: '{"name": ', module },
      { code: 'INVALID_ARGUMENT', reason: 'MANIFEST_INVALID', message: /JSON/ },
    ],
    [
      'with an unknown key in its manifest',
      { manifest: JSON.stringify({ name: 'fresh', version: '1.0.0', limits: { output_byte: 1 } }), module },
      { code: 'INVALID_ARGUMENT', reason: 'MANIFEST_INVALID', message: /limits\.output_byte/ },
    ],
    [
      'with a limit over the maximum in its manifest',
      { manifest: JSON.stringify({ name: 'fresh', version: '1.0.0', timeout_ms: 300_001 }), module },
      { code: 'INVALID_ARGUMENT', reason: 'MANIFEST_INVALID', message: /timeout_ms/ },
    ],
    [
      'that begins with more memory than its limit',
      {
        manifest: JSON.stringify({ name: 'fresh', version: '1.0.0', memory: { max_pages: 1 } }),
        module: wat('(module (memory 2) (func (export "run")))'),
      },
      { code: 'INVALID_ARGUMENT', reason: 'MEMORY_OVER_LIMIT', message: /page/ },
    ],
  ])('%s is refused', async (_, upload, expected) => {
    await expectRefusal(publish(upload), expected);
    const { plugins } = await clients.plugins.listPlugins({ name: 'fresh' });
    expect(plugins).toEqual([]);
  });

  test('that breaks off half-way leaves nothing behind', async () => {
    await expect(
      publish({ manifest, module: Buffer.concat([module, Buffer.alloc(8)]), chunkBytes: 16, breakAfterChunks: 1 }),
    ).rejects.toThrow('broke off');
    const { plugins } = await clients.plugins.listPlugins({ name: 'fresh' });
    expect(plugins).toEqual([]);
    await expectServing();
  });

  test('of other bytes under a name@version that is taken is refused', async () => {
    await expectRefusal(publishWat(clients, 'hello', nop), {
      code: 'ALREADY_EXISTS',
      reason: 'PLUGIN_EXISTS',
      message: /hello@1\.0\.0/,
    });
  });

  test('of the very same bytes and manifest answers with the version that is there', async () => {
    const { created, plugin } = await publishWat(clients, 'hello', hello);
    expect({ created, name: plugin?.name, version: plugin?.version }).toEqual({
      created: false,
      name: 'hello',
      version: '1.0.0',
    });
  });
});

describe('A request to execute', () => {
  const text = (length: number): string => 'x'.repeat(length);
  test.each<[string, Parameters<Clients['executions']['execute']>[0], Refused]>([
    [
      'an unknown plugin',
      { plugin: 'nowhere', function: 'run' },
      { code: 'NOT_FOUND', reason: 'PLUGIN_NOT_FOUND', message: /nowhere/ },
    ],
    [
      'an unknown version',
      { plugin: 'hello@2.0.0', function: 'run' },
      { code: 'NOT_FOUND', reason: 'PLUGIN_VERSION_NOT_FOUND', message: /hello.*2\.0\.0/ },
    ],
    [
      'an unknown digest',
      { plugin: `sha256:${'0'.repeat(64)}`, function: 'run' },
      { code: 'NOT_FOUND', reason: 'PLUGIN_NOT_FOUND', message: /sha256/ },
    ],
    [
      'an unknown function',
      { plugin: 'hello', function: 'walk' },
      { code: 'NOT_FOUND', reason: 'FUNCTION_NOT_FOUND', message: /"?run"?/ },
    ],
    [
      'a function that takes parameters',
      { plugin: 'typed', function: 'takes' },
      { code: 'INVALID_ARGUMENT', reason: 'FUNCTION_NOT_EXECUTABLE', message: /takes/ },
    ],
    [
      'a function that returns what is no code',
      { plugin: 'typed', function: 'gives' },
      { code: 'INVALID_ARGUMENT', reason: 'FUNCTION_NOT_EXECUTABLE', message: /gives/ },
    ],
    [
      'input over the cap',
      { plugin: 'hello', function: 'run', input: new Uint8Array(4 * 1_048_576 + 1) },
      { code: 'INVALID_ARGUMENT', reason: 'INPUT_TOO_LARGE', message: /4194304/ },
    ],
    [
      'a timeout over the maximum',
      { plugin: 'hello', function: 'run', limits: { timeout: { seconds: 301n } } },
      { code: 'INVALID_ARGUMENT', reason: 'LIMIT_OUT_OF_RANGE', message: /limits\.timeout/ },
    ],
    [
      'a negative timeout',
      { plugin: 'hello', function: 'run', limits: { timeout: { seconds: -1n } } },
      { code: 'INVALID_ARGUMENT', reason: 'LIMIT_OUT_OF_RANGE', message: /limits\.timeout/ },
    ],
    [
      'a negative limit of memory',
      { plugin: 'hello', function: 'run', limits: { memoryBytes: -1n } },
      { code: 'INVALID_ARGUMENT', reason: 'LIMIT_OUT_OF_RANGE', message: /limits\.memory_bytes/ },
    ],
    [
      'a limit of output over the maximum',
      { plugin: 'hello', function: 'run', limits: { outputBytes: 16n * 1_048_576n + 1n } },
      { code: 'INVALID_ARGUMENT', reason: 'LIMIT_OUT_OF_RANGE', message: /limits\.output_bytes/ },
    ],
    [
      'a limit of fuel over the maximum',
      { plugin: 'hello', function: 'run', limits: { fuel: 10n ** 13n + 1n } },
      { code: 'INVALID_ARGUMENT', reason: 'LIMIT_OUT_OF_RANGE', message: /limits\.fuel/ },
    ],
    [
      'a label with a control character',
      { plugin: 'hello', function: 'run', labels: { team: 'a\u0007b' } },
      { code: 'INVALID_ARGUMENT', reason: 'REQUEST_INVALID', message: /labels/ },
    ],
    [
      'a label that is too long',
      { plugin: 'hello', function: 'run', labels: { team: text(256) } },
      { code: 'INVALID_ARGUMENT', reason: 'REQUEST_INVALID', message: /labels/ },
    ],
    [
      'a request_id that is not printable',
      { plugin: 'hello', function: 'run', requestId: 'é' },
      { code: 'INVALID_ARGUMENT', reason: 'REQUEST_INVALID', message: /request_id/ },
    ],
    ['no plugin', { function: 'run' }, { code: 'INVALID_ARGUMENT', reason: 'REQUEST_INVALID', message: /plugin/ }],
  ])('with %s is refused', async (_, request, expected) => {
    await expectRefusal(clients.executions.execute(request), expected);
  });

  test('names all fields that are wrong at once', async () => {
    const refusal = await expectRefusal(
      clients.executions.execute({ plugin: '', function: '', requestId: '\n', labels: { '': 'x' } }),
      {
        code: 'INVALID_ARGUMENT',
        reason: 'REQUEST_INVALID',
        message: /./,
      },
    );
    const fields = refusal.violations.map((violation) => violation.field);
    expect(fields).toEqual(expect.arrayContaining(['plugin', 'function', 'request_id']));
    expect(fields.length).toBeGreaterThanOrEqual(4);
  });

  test('just under and just over the limit of output is told apart', async () => {
    const { outputOf } = await import('../helpers/guests.ts');
    await publishWat(clients, 'exact', outputOf(1_000));
    const under = await run(clients, { plugin: 'exact', function: 'run', limits: { outputBytes: 1_000n } });
    const over = await run(clients, { plugin: 'exact', function: 'run', limits: { outputBytes: 999n } });
    expect([under.outcome, under.output.length]).toEqual([Outcome.OK, 1_000]);
    expect([over.outcome, over.error?.kind]).toEqual([Outcome.OUTPUT_TOO_LARGE, 'OUTPUT_TOO_LARGE']);
  });

  test('whose deadline has passed is answered DEADLINE_EXCEEDED', async () => {
    await expect(
      clients.executions.execute({ plugin: 'hello', function: 'run' }, { timeoutMs: 0 }),
    ).rejects.toMatchObject({ codeName: 'DEADLINE_EXCEEDED' });
    await expectServing();
  });
});

describe('An execution that', () => {
  test('is not known is NOT_FOUND, whatever is asked of it', async () => {
    const id = '01890000-0000-7000-8000-000000000000';
    const expected: Refused = { code: 'NOT_FOUND', reason: 'EXECUTION_NOT_FOUND', message: new RegExp(id) };
    await expectRefusal(clients.executions.getExecution({ id }), expected);
    await expectRefusal(clients.executions.cancelExecution({ id }), expected);
    await expectRefusal(clients.executions.attachExecution({ id }).next(), expected);
  });

  test('has ended can be attached to twice, and each reader gets all of it', async () => {
    const { id } = await run(clients, { plugin: 'hello', function: 'run' });
    for (let reader = 0; reader < 2; reader++) {
      const sequences: bigint[] = [];
      let last = '';
      for await (const { event } of clients.executions.attachExecution({ id })) {
        sequences.push(event?.sequence ?? 0n);
        last = event?.event.case ?? '';
      }
      expect([sequences, last]).toEqual([[1n, 2n, 3n], 'outcome']);
    }
    await expectRefusal(clients.executions.attachExecution({ id, afterSequence: 4n }).next(), {
      code: 'OUT_OF_RANGE',
      reason: 'SEQUENCE_OUT_OF_RANGE',
      message: /3/,
    });
  });
});

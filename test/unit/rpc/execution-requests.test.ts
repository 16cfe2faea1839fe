import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Metadata } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { ExecuteRequestSchema } from '../../../src/gen/caisson/v1/execution_pb.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import { actionOf } from '../../../src/rpc/execution-requests.ts';

type Init = Exclude<MessageInitShape<typeof ExecuteRequestSchema>, { $typeName: string }>;

const valid: Init = { plugin: 'greet', function: 'hi' };
const digest = `sha256:${'a'.repeat(64)}`;

function convert(init: Init): ReturnType<typeof actionOf> {
  return actionOf(create(ExecuteRequestSchema, { ...valid, ...init }), new Metadata());
}

function refusal(init: Init): ExecError {
  try {
    convert(init);
  } catch (error) {
    if (error instanceof ExecError) return error;
    throw error;
  }
  throw new Error('Expected a refusal');
}

function fieldsOf(init: Init): readonly string[] {
  return refusal(init).violations.map(({ field }) => field);
}

function entries(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, 'v']));
}

describe('actionOf', () => {
  test.each<Init>([
    {},
    { plugin: 'greet@1.2.3-rc.1+build' },
    { plugin: digest },
    { function: 'ü'.repeat(127) },
    { requestId: 'a ~'.padEnd(128, 'x') },
    { labels: entries(32) },
    { labels: { ['☺'.repeat(63)]: '☺'.repeat(255) } },
    { config: entries(64) },
    { config: { ['k'.repeat(128)]: 'v'.repeat(16_384) } },
    { config: { key: '\u0000\n' } },
    { limits: {} },
    { limits: { timeout: { seconds: 300n }, memoryBytes: 536_870_912n, outputBytes: 16_777_216n } },
    { limits: { timeout: { nanos: 1 } } },
    { limits: { hostCalls: 1_000_000_000n } },
    { randomSeed: new Uint8Array(64) },
    { sessionId: 'a ~'.padEnd(128, 'x') },
  ])('takes a valid request, case %#', (init) => {
    expect(convert(init).plugin).toBe(init.plugin ?? 'greet');
  });

  test.each<[Init, string]>([
    [{ plugin: '' }, 'plugin'],
    [{ plugin: 'Greet' }, 'plugin'],
    [{ plugin: 'a\u0000b' }, 'plugin'],
    [{ plugin: 'greet@' }, 'plugin'],
    [{ plugin: 'greet@1' }, 'plugin'],
    [{ plugin: 'sha256:abc' }, 'plugin'],
    [{ function: '' }, 'function'],
    [{ function: 'f'.repeat(256) }, 'function'],
    [{ function: 'ü'.repeat(128) }, 'function'],
    [{ function: 'a\nb' }, 'function'],
    [{ function: 'a\u0085b' }, 'function'],
    [{ randomSeed: new Uint8Array(65) }, 'random_seed'],
    [{ sessionId: 'x'.repeat(129) }, 'session_id'],
    [{ sessionId: 'ä' }, 'session_id'],
    [{ sessionId: 'a\nb' }, 'session_id'],
    [{ requestId: 'x'.repeat(129) }, 'request_id'],
    [{ requestId: 'ä' }, 'request_id'],
    [{ requestId: 'a\tb' }, 'request_id'],
    [{ labels: entries(33) }, 'labels'],
    [{ labels: { '': 'v' } }, 'labels[""]'],
    [{ labels: { ['k'.repeat(64)]: 'v' } }, `labels["${'k'.repeat(64)}"]`],
    [{ labels: { k: 'v'.repeat(256) } }, 'labels["k"]'],
    [{ labels: { 'k\u007f': 'v' } }, 'labels["k\\u007f"]'],
    [{ labels: { k: 'a\u0000' } }, 'labels["k"]'],
    [{ config: entries(65) }, 'config'],
    [{ config: { '': 'v' } }, 'config[""]'],
    [{ config: { ['ü'.repeat(65)]: 'v' } }, `config["${'ü'.repeat(30)}…"]`],
    [{ config: { k: 'v'.repeat(16_385) } }, 'config["k"]'],
    [{ limits: { timeout: { seconds: 1n, nanos: -1 } } }, 'limits.timeout'],
    [{ limits: { timeout: { nanos: 1_000_000_000 } } }, 'limits.timeout'],
  ])('refuses a wrong field as REQUEST_INVALID, case %#', (init, field) => {
    const error = refusal(init);
    expect(error.reason).toBe('REQUEST_INVALID');
    expect(error.violations.map((violation) => violation.field)).toEqual([field]);
    expect(error.message.startsWith(`${field}: `)).toBe(true);
  });

  test.each<[Init, string]>([
    [{ limits: { timeout: { seconds: 300n, nanos: 1 } } }, 'limits.timeout'],
    [{ limits: { timeout: { seconds: -1n } } }, 'limits.timeout'],
    [{ limits: { timeout: { nanos: -1 } } }, 'limits.timeout'],
    [{ limits: { memoryBytes: -1n } }, 'limits.memory_bytes'],
    [{ limits: { memoryBytes: 536_870_913n } }, 'limits.memory_bytes'],
    [{ limits: { memoryBytes: 2n ** 63n - 1n } }, 'limits.memory_bytes'],
    [{ limits: { outputBytes: 16_777_217n } }, 'limits.output_bytes'],
    [{ limits: { fuel: -1n } }, 'limits.fuel'],
    [{ limits: { hostCalls: -1n } }, 'limits.host_calls'],
    [{ limits: { hostCalls: 1_000_000_001n } }, 'limits.host_calls'],
  ])('refuses a limit out of range, case %#', (init, field) => {
    const error = refusal(init);
    expect(error.reason).toBe('LIMIT_OUT_OF_RANGE');
    expect(error.violations.map((violation) => violation.field)).toEqual([field]);
  });

  test('takes a limit of fuel, 0 meaning the default', () => {
    expect(convert({ limits: { fuel: 1n } }).limits).toEqual({ fuel: 1 });
    expect(convert({ limits: { fuel: 0n } }).limits).toEqual({});
  });

  test('takes what randomness and session there are, by themselves', () => {
    const received = new Uint8Array(64).fill(7);
    const { randomSeed, sessionId, limits } = convert({
      randomSeed: received.subarray(8, 12),
      sessionId: 's-1',
      limits: { hostCalls: 5n },
    });
    received.fill(0);
    expect([[...randomSeed], sessionId, limits]).toEqual([[7, 7, 7, 7], 's-1', { hostCalls: 5 }]);
    expect(convert({})).toMatchObject({ randomSeed: new Uint8Array(), sessionId: '', tenant: 'default' });
  });

  test('names a wrong tenant among the wrong fields', () => {
    const metadata = new Metadata();
    metadata.set('caisson-tenant', 'No');
    expect(() => actionOf(create(ExecuteRequestSchema, { ...valid, function: '' }), metadata)).toThrow(
      expect.objectContaining({
        reason: 'REQUEST_INVALID',
        violations: [
          expect.objectContaining({ field: 'caisson-tenant' }),
          expect.objectContaining({ field: 'function' }),
        ],
      }),
    );
  });

  test('tells of all wrong fields at once', () => {
    const limits = { timeout: { seconds: 301n }, memoryBytes: -5n, fuel: -1n };
    const wrong = { plugin: '', function: '', config: { '': '' }, labels: { '': '' }, requestId: 'ä', limits };
    expect(fieldsOf(wrong)).toEqual([
      'plugin',
      'function',
      'config[""]',
      'request_id',
      'labels[""]',
      'limits.timeout',
      'limits.fuel',
      'limits.memory_bytes',
    ]);
    expect(refusal(wrong).message).toContain('and 7 more');
    expect(refusal(wrong).reason).toBe('REQUEST_INVALID');
  });

  test('names a bounded number of wrong fields', () => {
    const config = Object.fromEntries(Array.from({ length: 64 }, (_, index) => ['k'.repeat(129 + index), 'v']));
    expect(refusal({ config }).violations).toHaveLength(32);
  });

  test('asks for a request_id only where one is required', () => {
    const request = create(ExecuteRequestSchema, valid);
    expect(actionOf(request, new Metadata()).requestId).toBe('');
    expect(() => actionOf(request, new Metadata(), { requestIdRequired: true })).toThrow('request_id: is required');
  });

  test('copies the input out of the receive buffer', () => {
    const received = new Uint8Array(64).fill(7);
    const { input } = convert({ input: received.subarray(8, 12) });
    expect(input.buffer.byteLength).toBe(4);
    received.fill(0);
    expect([...input]).toEqual([7, 7, 7, 7]);
  });
});

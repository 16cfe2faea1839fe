import { fromBinary } from '@bufbuild/protobuf';
import { anyUnpack } from '@bufbuild/protobuf/wkt';
import { describe, expect, test } from 'vitest';
import {
  BadRequestSchema,
  ErrorInfoSchema,
  PreconditionFailureSchema,
  QuotaFailureSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from '../../../src/gen/google/rpc/error_details_pb.ts';
import { StatusSchema } from '../../../src/gen/google/rpc/status_pb.ts';
import { AbortReason, type StopKind } from '../../../src/model/abort-reason.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import { type Reason, reasons } from '../../../src/model/reasons.ts';
import { detailsBytesMax } from '../../../src/rpc/details.ts';
import { statusFor, statusText, statusTextBytesMax, type WireStatus } from '../../../src/rpc/status.ts';
import { ManualClock } from '../base/manual-clock.ts';
import { type LogLine, recordingLog } from '../../helpers/grpc.ts';

function statusOf(thrown: unknown, request?: object): { readonly status: WireStatus; readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const status = statusFor(thrown, { path: '/p.S/M', request }, { clock: new ManualClock(), log: recordingLog(lines) });
  return { status, lines };
}

function detailBytes(status: WireStatus): Buffer {
  const [bytes] = status.metadata.get('grpc-status-details-bin');
  if (!(bytes instanceof Buffer)) throw new Error('There are no details');
  return bytes;
}

function detailsOf(status: WireStatus) {
  const decoded = fromBinary(StatusSchema, detailBytes(status));
  const find = <Result>(unpack: (index: number) => Result | undefined): Result | undefined =>
    decoded.details.map((_, index) => unpack(index)).find((found) => found !== undefined);
  const any = (index: number) =>
    decoded.details[index] ?? { $typeName: 'google.protobuf.Any', typeUrl: '', value: new Uint8Array() };
  return {
    code: decoded.code,
    message: decoded.message,
    info: find((index) => anyUnpack(any(index), ErrorInfoSchema)),
    retry: find((index) => anyUnpack(any(index), RetryInfoSchema)),
    badRequest: find((index) => anyUnpack(any(index), BadRequestSchema)),
    resource: find((index) => anyUnpack(any(index), ResourceInfoSchema)),
    quota: find((index) => anyUnpack(any(index), QuotaFailureSchema)),
    precondition: find((index) => anyUnpack(any(index), PreconditionFailureSchema)),
  };
}

describe('statusFor', () => {
  test.each(Object.keys(reasons) as Reason[])(
    'gives %s an ErrorInfo, and RetryInfo with pushback exactly if it is retryable',
    (reason) => {
      const { status } = statusOf(new ExecError(reason, 'text', { metadata: { key: 'value' } }));
      const details = detailsOf(status);
      expect(details.code).toBe(status.code);
      expect(details.info).toMatchObject({ reason, domain: 'caisson', metadata: { key: 'value' } });
      expect(details.retry !== undefined).toBe(reasons[reason].retryable);
      expect(status.metadata.get('grpc-retry-pushback-ms')).toEqual(reasons[reason].retryable ? ['1000'] : []);
    },
  );

  test('names the resource, the precondition or the quota where they fit', () => {
    const request = { plugin: 'greet@1.0.0', function: 'hi', id: '' };
    expect(detailsOf(statusOf(new ExecError('PLUGIN_NOT_FOUND', 'No'), request).status).resource).toMatchObject({
      resourceType: 'plugin',
      resourceName: 'greet@1.0.0',
    });
    expect(detailsOf(statusOf(new ExecError('FUNCTION_NOT_FOUND', 'No'), request).status).resource).toMatchObject({
      resourceType: 'function',
      resourceName: 'hi',
    });
    expect(
      detailsOf(statusOf(new ExecError('EXECUTION_NOT_FOUND', 'No'), { id: 'e-1' }).status).resource,
    ).toMatchObject({
      resourceType: 'execution',
      resourceName: 'e-1',
    });
    const stopped = detailsOf(statusOf(new ExecError('PLUGIN_NOT_RUNNING', 'It is stopped'), request).status);
    expect(stopped.precondition?.violations).toMatchObject([
      { type: 'PLUGIN_NOT_RUNNING', subject: 'greet@1.0.0', description: 'It is stopped' },
    ]);
    const full = detailsOf(statusOf(new ExecError('QUEUE_FULL', 'Full'), request).status);
    expect(full.quota?.violations).toMatchObject([{ subject: 'server', description: 'Full' }]);
  });

  test('keeps retry delays exact', () => {
    const { status } = statusOf(new ExecError('QUEUE_FULL', 'Full', { retryDelayMs: 1_250.5 }));
    expect(detailsOf(status).retry?.retryDelay).toMatchObject({ seconds: 1n, nanos: 250_500_000 });
    expect(status.metadata.get('grpc-retry-pushback-ms')).toEqual(['1251']);
  });

  test('keeps details and text small, whatever is in them', () => {
    const hostile = '\uD800☺\u0000"%\n'.repeat(5_000);
    const violations = Array.from({ length: 500 }, (_, index) => ({
      field: `f${index}${hostile}`,
      description: hostile,
    }));
    const metadata = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}${hostile}`, hostile]));
    for (const reason of ['REQUEST_INVALID', 'QUEUE_FULL', 'PLUGIN_NOT_RUNNING', 'PLUGIN_NOT_FOUND'] as const) {
      const error = new ExecError(reason, hostile, { violations, metadata });
      const { status } = statusOf(error, { plugin: hostile });
      expect(detailBytes(status).length).toBeLessThanOrEqual(detailsBytesMax);
      expect(encodeURI(status.details).length).toBeLessThanOrEqual(statusTextBytesMax);
      expect(detailsOf(status).info?.reason).toBe(reason);
    }
  });

  test('fills the room for violations, the first ones first', () => {
    const violations = Array.from({ length: 32 }, (_, index) => ({
      field: `field_${index}`,
      description: 'must be less',
    }));
    const { status } = statusOf(new ExecError('REQUEST_INVALID', 'Wrong', { violations }));
    expect(detailsOf(status).badRequest?.fieldViolations).toMatchObject(violations);
    const long = violations.map(({ field }) => ({ field, description: 'x'.repeat(200) }));
    const cut = statusOf(new ExecError('REQUEST_INVALID', 'Wrong', { violations: long })).status;
    const kept = detailsOf(cut).badRequest?.fieldViolations ?? [];
    expect(kept.length).toBeGreaterThan(10);
    expect(kept).toMatchObject(long.slice(0, kept.length));
  });

  test.each([
    ['DEADLINE', 4, 'DEADLINE_EXCEEDED'],
    ['SHUTDOWN', 14, 'SHUTTING_DOWN'],
    ['CANCELED', 1, 'CANCELED'],
    ['DISCONNECTED', 1, 'CANCELED'],
    ['TIMEOUT', 13, 'INTERNAL'],
  ] as const)('makes of the abort reason %s the code %i', (kind: StopKind, code, reason) => {
    const { status } = statusOf(new AbortReason(kind));
    expect(status.code).toBe(code);
    expect(detailsOf(status).info?.reason).toBe(reason);
  });

  test('logs faults of the server under the id that the caller sees, and nothing else', () => {
    const cause = new Error('disk on fire');
    const { status, lines } = statusOf(new ExecError('STORAGE_FAILED', 'The store failed', { cause }));
    const id = /^The store failed \(id ([0-9a-f-]{36})\)$/.exec(status.details)?.[1];
    expect(detailsOf(status).info?.metadata).toEqual({ error_id: id });
    const fields = { method: '/p.S/M', reason: 'STORAGE_FAILED', error: cause, error_id: id };
    expect(lines).toEqual([{ level: 'error', fields, text: 'A call failed' }]);
    expect(statusOf(new ExecError('QUEUE_FULL', 'Full')).lines).toEqual([]);
    const refused = statusOf(new ExecError('SANDBOX_UNAVAILABLE', 'None', { cause }));
    expect(refused.lines.map(({ level }) => level)).toEqual(['warn']);
    expect(refused.status.details).toBe(`None. ${reasons.SANDBOX_UNAVAILABLE.help}`);
  });

  test('never cuts the id off', () => {
    const { status } = statusOf(new ExecError('STORAGE_FAILED', '\u0000'.repeat(9_000)));
    expect(status.details).toMatch(/ \(id [0-9a-f-]{36}\)$/);
  });

  test.each([undefined, null, 'text', 7, { code: 5, details: 'x' }, new Error('secret')])(
    'says nothing of %o',
    (thrown) => {
      const { status, lines } = statusOf(thrown);
      expect(status.code).toBe(13);
      expect(status.details).toMatch(/^internal error \(id [0-9a-f-]{36}\)$/);
      expect(lines).toHaveLength(1);
    },
  );
});

describe('statusText', () => {
  test.each(['', 'plain', 'ä\n☺%', 'x'.repeat(2_048)])('leaves short text as it is', (text) => {
    expect(statusText(text)).toBe(text);
  });

  test('cuts what would be long once percent-encoded', () => {
    for (const text of ['x'.repeat(2_049), ' '.repeat(2_000), '☺'.repeat(680), '\u0000'.repeat(10_000)]) {
      const cut = statusText(text);
      expect(encodeURI(cut).length).toBeLessThanOrEqual(statusTextBytesMax);
      expect(encodeURI(cut).length).toBeGreaterThan(statusTextBytesMax / 2);
      expect(cut.endsWith('…')).toBe(true);
    }
  });
});

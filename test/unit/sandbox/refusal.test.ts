import { describe, expect, test } from 'vitest';
import { AbortReason, type StopKind } from '../../../src/model/abort-reason.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import type { Reason } from '../../../src/model/reasons.ts';
import { abortRefusal, errorData, errorFrom } from '../../../src/sandbox/refusal.ts';

describe('abortRefusal', () => {
  test.each([
    ['DEADLINE', 'DEADLINE_EXCEEDED'],
    ['TIMEOUT', 'DEADLINE_EXCEEDED'],
    ['CANCELED', 'CANCELED'],
    ['DISCONNECTED', 'CANCELED'],
    ['SHUTDOWN', 'SHUTTING_DOWN'],
  ] as const satisfies readonly (readonly [StopKind, Reason])[])('of %s is %s', (kind, reason) => {
    const error = abortRefusal(AbortSignal.abort(new AbortReason(kind, 'because')), 'a sandbox');
    expect(error).toMatchObject({ reason, message: 'Stopped waiting for a sandbox: because' });
  });

  test('takes an abort without a reason of ours for a cancel', () => {
    expect(abortRefusal(AbortSignal.abort(), 'it').reason).toBe('CANCELED');
  });
});

describe('errorData and errorFrom', () => {
  test('bring an error over as it was, with its cause as text', () => {
    const cause = new TypeError('inner');
    const data = structuredClone(errorData(new ExecError('WASM_INVALID', 'outer', { cause })));
    const error = errorFrom(data);
    expect(error).toBeInstanceOf(ExecError);
    expect(error).toMatchObject({ reason: 'WASM_INVALID', message: 'outer' });
    expect(error.cause).toContain('TypeError: inner');
  });

  test('hide what an unknown error says from callers, and keep it for the log', () => {
    const data = errorData(new Error('secret'));
    expect(data).toMatchObject({ reason: 'INTERNAL', message: 'internal error' });
    expect(data.cause).toContain('secret');
    expect(errorData('text').cause).toBe('text');
    expect('cause' in errorData(new ExecError('INTERNAL', 'without'))).toBe(false);
  });
});

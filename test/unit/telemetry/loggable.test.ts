import { describe, expect, test } from 'vitest';
import { ExecError } from '../../../src/model/exec-error.ts';
import { loggable } from '../../../src/telemetry/loggable.ts';

describe('loggable', () => {
  test('masks what has the name of a secret, at every depth, and nothing else', () => {
    const fields = {
      authorization: 'Bearer x',
      user: { Password: 'x', name: 'ada' },
      list: [{ apiKey: 'x', api_key: 'x', id: 7 }],
      headers: new Map([
        ['set-cookie', 'x'],
        ['accept', '*'],
      ]),
    };
    expect(loggable(fields)).toEqual({
      authorization: '[redacted]',
      user: { Password: '[redacted]', name: 'ada' },
      list: [{ apiKey: '[redacted]', api_key: '[redacted]', id: 7 }],
      headers: { 'set-cookie': '[redacted]', accept: '*' },
    });
    expect(fields.authorization).toBe('Bearer x');
  });

  test('spells out an error with its own fields, its stack and its causes', () => {
    const root = Object.assign(new Error('disk full'), { code: 'ENOSPC', token: 'x' });
    const { error } = loggable({ error: new ExecError('STORAGE_FAILED', 'Could not write', { cause: root }) });
    expect(error).toMatchObject({
      name: 'ExecError',
      message: 'Could not write',
      reason: 'STORAGE_FAILED',
      stack: expect.stringContaining('loggable.test.ts'),
      cause: { name: 'Error', message: 'disk full', code: 'ENOSPC', token: '[redacted]' },
    });
  });

  test('shows every half of errors that hold several', () => {
    const suppressed = new SuppressedError(new Error('while closing'), new Error('while working'));
    const aggregate = new AggregateError([new Error('one'), new Error('two')]);
    expect(loggable({ suppressed, aggregate })).toMatchObject({
      suppressed: { error: { message: 'while closing' }, suppressed: { message: 'while working' } },
      aggregate: { errors: [{ message: 'one' }, { message: 'two' }] },
    });
  });

  test('ends at cycles and cuts what is too wide or too long', () => {
    const cycle: Record<string, unknown> = { text: 'x'.repeat(10_000), list: Array.from({ length: 100 }, () => 1) };
    cycle['self'] = cycle;
    const line = JSON.stringify(loggable(cycle));
    expect(line).toContain('[too deep]');
    const fields = loggable(cycle) as { text: string; list: number[] };
    expect(Buffer.byteLength(fields.text)).toBe(8_192);
    expect(fields.list).toHaveLength(64);
    expect(Object.keys(loggable(Object.fromEntries(Array.from({ length: 100 }, (_, at) => [at, at]))))).toHaveLength(
      64,
    );
  });

  test('writes what JSON cannot hold', () => {
    expect(loggable({ big: 1n, bytes: new Uint8Array(5), none: null, gone: undefined })).toEqual({
      big: '1',
      bytes: '[5 bytes]',
      none: null,
      gone: undefined,
    });
  });
});

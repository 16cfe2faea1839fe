import { describe, expect, test } from 'vitest';
import { prepareAction } from '../../../src/execution/prepared-action.ts';
import { action, permit, version } from './fakes.ts';

describe('prepareAction', () => {
  test('keeps the action and its input, and adds the version', () => {
    const asked = action({ input: new Uint8Array([1]), requestId: 'r', labels: new Map([['k', 'v']]) });
    const running = version();
    const prepared = prepareAction(asked, running, permit());
    expect(prepared.input).toBe(asked.input);
    expect(prepared).toMatchObject({ requestId: 'r', labels: asked.labels, version: running });
  });

  test('resolves limits: the request before the manifest before the default', () => {
    const prepared = prepareAction(
      action({ limits: { timeoutMs: 5 } }),
      version({ limits: { timeoutMs: 7, outputBytes: 9 } }),
      permit(),
    );
    expect(prepared.limits).toMatchObject({ timeoutMs: 5, outputBytes: 9, inputBytes: 4 * 1_048_576 });
  });

  test('lays the configuration of the request over that of the manifest', () => {
    const prepared = prepareAction(
      action({ config: new Map([['b', 'request']]) }),
      version({ config: { a: 'manifest', b: 'manifest' } }),
      permit(),
    );
    expect([...prepared.config]).toEqual([
      ['a', 'manifest'],
      ['b', 'request'],
    ]);
  });

  test('refuses a function that there is not, and lists those that there are', () => {
    expect(() => prepareAction(action({ function: 'ech\no' }), version(), permit())).toThrow(
      expect.objectContaining({
        reason: 'FUNCTION_NOT_FOUND',
        message: 'echo@1.0.0 has no function "ech\\u000ao"; to execute, it has "echo", "fail"',
      }),
    );
  });

  test('tells a function that cannot be executed from one that there is not', () => {
    expect(() => prepareAction(action({ function: 'takes-parameters' }), version(), permit())).toThrow(
      expect.objectContaining({
        reason: 'FUNCTION_NOT_EXECUTABLE',
        message:
          'echo@1.0.0 exports, but not as an executable function, "takes-parameters"; to execute, it has "echo", "fail"',
      }),
    );
  });

  test('lists no more than twenty functions, and says so when there is none', () => {
    const many = Array.from({ length: 25 }, (_, at) => `f${at}`);
    expect(() => prepareAction(action(), version({ functions: many }), permit())).toThrow(/"f19" and 5 more$/);
    expect(() => prepareAction(action(), version({ functions: [] }), permit())).toThrow(/to execute, it has none$/);
  });

  test('refuses a limit over its maximum', () => {
    expect(() => prepareAction(action({ limits: { timeoutMs: 300_001 } }), version(), permit())).toThrow(
      expect.objectContaining({ reason: 'LIMIT_OUT_OF_RANGE' }),
    );
  });

  test('takes an input of just the limit and refuses one byte more', () => {
    const bounded = version({ limits: { inputBytes: 10 } });
    expect(prepareAction(action({ input: new Uint8Array(10) }), bounded, permit()).limits.inputBytes).toBe(10);
    expect(() => prepareAction(action({ input: new Uint8Array(11) }), bounded, permit())).toThrow(
      expect.objectContaining({ reason: 'INPUT_TOO_LARGE', violations: [expect.objectContaining({ field: 'input' })] }),
    );
  });

  test('brings limits down to what the policy caps them at, also the limit of input', () => {
    const caps = permit({ fuel: { max: 5, rule: 'small' }, inputBytes: { max: 2, rule: 'small' } });
    const two = action({ input: new Uint8Array(2), limits: { fuel: 9 } });
    const prepared = prepareAction(two, version(), caps);
    expect(prepared.limits).toMatchObject({ fuel: 5, inputBytes: 2, timeoutMs: 30_000 });
    expect(prepared.grant).toBe(caps.grant);
    expect(() => prepareAction(action({ input: new Uint8Array(3) }), version(), caps)).toThrow(
      expect.objectContaining({ reason: 'INPUT_TOO_LARGE' }),
    );
  });

  test('wants a session for plugins that have sessions, and none for others', () => {
    const inSessions = version({ instance: { mode: 'session', warm: 0 } });
    expect(prepareAction(action({ sessionId: 's' }), inSessions, permit()).sessionId).toBe('s');
    const refusal = (description: string): object =>
      expect.objectContaining({
        reason: 'REQUEST_INVALID',
        message: `session_id: ${description}`,
        violations: [{ field: 'session_id', description }],
      });
    expect(() => prepareAction(action(), inSessions, permit())).toThrow(
      refusal('is required: echo@1.0.0 has instance mode "session"'),
    );
    for (const mode of ['fresh', 'reuse'] as const) {
      const other = version({ instance: { mode, warm: 0 } });
      expect(() => prepareAction(action({ sessionId: 's' }), other, permit())).toThrow(
        refusal(`must be empty: echo@1.0.0 has instance mode "${mode}", and only "session" has sessions`),
      );
    }
  });
});

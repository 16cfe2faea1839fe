import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ExecError } from '../../../src/model/exec-error.ts';
import { answerCodes, type HostAnswer } from '../../../src/model/operation.ts';
import type { Sandbox } from '../../../src/sandbox/sandbox.ts';
import { expectSound, guest, kindOf, outputText, runIn, SandboxSet } from '../../helpers/sandbox.ts';

/** Puts out what "secret_get" answers for "name", as often as the input has bytes. */
const asking = guest(`(data (i32.const 0) "name")
  (func (export "run") (local $i i64) (local $block i64)
    (loop $next
      (if (i64.lt_u (local.get $i) (call $input_length))
        (then
          (local.set $block (call $secret_get (call $block (i32.const 0) (i32.const 4))))
          (local.set $i (i64.add (local.get $i) (i64.const 1)))
          (br $next))))
    (call $output (local.get $block)))
  (func (export "once")
    (drop (call $secret_get (call $block (i32.const 0) (i32.const 4)))))
  (data (i32.const 16) "{\\22url\\22:\\22http://a/\\22}")
  (func (export "request")
    (call $output (call $http_request (call $block (i32.const 16) (i32.const 19)) (i64.const 0))))
  (func (export "catching")
    (try (do (drop (call $secret_get (call $block (i32.const 0) (i32.const 4))))) (catch_all))
    (loop (br 0)))`).replace(
  '(import "extism:host/user" "progress"',
  `(import "extism:host/user" "secret_get" (func $secret_get (param i64) (result i64)))
   (import "extism:host/env" "http_request" (func $http_request (param i64 i64) (result i64))) (import "extism:host/user" "progress"`,
);

const grant = { secrets: ['name'] };
const found = (value: string): HostAnswer => ({ code: 0, payload: Buffer.from(value) });

describe('A host call that the main thread answers', () => {
  let set: SandboxSet;
  let sandbox: Sandbox;

  beforeEach(async () => {
    set = new SandboxSet();
    sandbox = await set.start();
  });

  afterEach(() => set[Symbol.asyncDispose]());

  test('is handed over with its request and the fuel left, and its answer comes back', async () => {
    const asked: { operation: string; request: string; fuelLeft: number }[] = [];
    const { outcome } = await runIn(sandbox, asking, {
      input: '123',
      grant,
      limits: { fuel: 10_000_000 },
      answer: async (operation, request, fuelLeft) => {
        asked.push({ operation, request: Buffer.from(request).toString(), fuelLeft });
        return found(`answer ${asked.length}`);
      },
    });
    expect(outputText(outcome)).toBe('answer 3');
    expect(asked.map(({ operation }) => operation)).toEqual(['secrets.get', 'secrets.get', 'secrets.get']);
    expect(asked[0]?.request).toContain('name');
    expect(asked[0]?.fuelLeft).toBeLessThan(10_000_000);
    expect(asked[2]?.fuelLeft).toBeLessThan(asked[1]?.fuelLeft ?? 0);
    expect(outcome.usage).toMatchObject({ hostCalls: 3, hostCallsByCapability: { secrets: 3 } });
  });

  test('charges the fuel that answering took, whenever it was answered', async () => {
    const used = async (fuel: number): Promise<number> =>
      (await runIn(sandbox, asking, { input: '1', grant, answer: async () => ({ ...found('x'), fuel }) })).outcome.usage
        .fuel;
    expect((await used(5_000_000)) - (await used(0))).toBe(5_000_000);
  });

  test('that is denied ends the run with the reason given, which the guest cannot catch', async () => {
    for (const functionName of ['run', 'catching']) {
      const { outcome } = await runIn(sandbox, asking, {
        input: '1',
        functionName,
        grant,
        answer: async () => ({ code: answerCodes.denied, payload: Buffer.from('Rule "r" does not allow it') }),
      });
      expect(outcome).toMatchObject({
        name: 'DENIED',
        error: { kind: 'NOT_GRANTED', message: 'Rule "r" does not allow it' },
      });
    }
    await expectSound(sandbox);
  });

  test('whose service fails is a failure of the host, and the thread lives on', async () => {
    const answer = (): Promise<HostAnswer> => Promise.reject(new ExecError('INTERNAL', 'the service broke'));
    await expect(runIn(sandbox, asking, { input: '1', grant, answer })).rejects.toMatchObject({ reason: 'INTERNAL' });
    await expect(runIn(sandbox, asking, { input: '1', grant })).rejects.toMatchObject({ reason: 'INTERNAL' });
    await expectSound(sandbox);
  });

  test('that is never answered ends with the run, and the thread lives on', async () => {
    const { outcome } = await runIn(sandbox, asking, {
      input: '1',
      grant,
      stopAfterMs: 30,
      answer: () => new Promise(() => {}),
    });
    expect(kindOf(outcome)).toBe('TIMEOUT');
    expect(outcome.usage.hostCalls).toBe(1);
    expect(sandbox.state).toBe('idle');
    await expectSound(sandbox);
  });

  test('that is cut short ends the run as it was stopped, even if the guest does nothing more', async () => {
    for (const functionName of ['once', 'request']) {
      const { outcome } = await runIn(sandbox, asking, {
        functionName,
        grant,
        stopAfterMs: 20,
        answer: () => new Promise(() => {}),
      });
      expect(kindOf(outcome)).toBe('TIMEOUT');
      expect(sandbox.state).toBe('idle');
      await expectSound(sandbox);
    }
  });

  test('that is answered too late does not answer the next one', async () => {
    const late = Promise.withResolvers<HostAnswer>();
    const { outcome } = await runIn(sandbox, asking, {
      input: '1',
      grant,
      stopAfterMs: 20,
      answer: () => late.promise,
    });
    expect(kindOf(outcome)).toBe('TIMEOUT');
    let calls = 0;
    const next = await runIn(sandbox, asking, {
      input: '12',
      grant,
      answer: async () => {
        late.resolve(found('late'));
        await late.promise;
        return found(`in time ${++calls}`);
      },
    });
    expect(outputText(next.outcome)).toBe('in time 2');
  });

  test('carries as much as a value may have', async () => {
    const value = 'x'.repeat(60_000);
    const { outcome } = await runIn(sandbox, asking, { input: '1', grant, answer: async () => found(value) });
    expect(outputText(outcome)).toBe(value);
  });
});

import { describe, expect, test } from 'vitest';
import { writeInvoke } from '../../../../src/capabilities/invoke-requests.ts';
import { type Invoker, type InvokeRequest, InvokeService } from '../../../../src/capabilities/services/invoke.ts';
import type { AskingRun } from '../../../../src/capabilities/services/service.ts';
import { AbortReason } from '../../../../src/model/abort-reason.ts';
import { ExecError } from '../../../../src/model/exec-error.ts';
import { fixedLimits } from '../../../../src/model/limits.ts';
import { answerCodes } from '../../../../src/model/operation.ts';
import { emptyUsage, failedOutcome, type Outcome } from '../../../../src/model/outcome.ts';
import { askingRun } from './asking-run.ts';

const output = Buffer.from('output');
const good: Outcome = { name: 'OK', output, usage: { ...emptyUsage, fuel: 77 } };

function setUp(execute: Invoker['execute'] = () => Promise.resolve(good)) {
  const executed: InvokeRequest[] = [];
  const invoker: Invoker = {
    execute: (request, run) => {
      executed.push(request);
      return execute(request, run);
    },
  };
  const service = new InvokeService(invoker, () => ['some rule']);
  const invoke = (plugin: string, run: AskingRun = granting('*')) =>
    service.answer('invoke.call', writeInvoke({ plugin, function: 'run', input: Buffer.from('input') }), run);
  const failure = async (plugin: string, run?: AskingRun): Promise<unknown> => {
    const { code, payload } = await invoke(plugin, run);
    expect(code).toBe(1);
    return JSON.parse(Buffer.from(payload).toString());
  };
  return { executed, service, invoke, failure };
}

function granting(...plugins: readonly string[]): AskingRun {
  return askingRun({ granted: { invoke: { plugins, depthMax: 3 } } });
}

describe('The service of invoke', () => {
  test('has the call carried out with the fuel that is left, and answers with output and fuel used', async () => {
    const { executed, invoke } = setUp();
    expect(await invoke('other@1.0.0')).toEqual({ code: 0, payload: output, fuel: 77 });
    expect(executed).toEqual([
      { plugin: 'other@1.0.0', function: 'run', input: new Uint8Array(Buffer.from('input')), fuelMax: 1_000_000 },
    ]);
  });

  test('hands on the run that asks', async () => {
    const run = granting('*');
    let asking: AskingRun | undefined;
    const { invoke } = setUp((_request, run) => {
      asking = run;
      return Promise.resolve(good);
    });
    await invoke('other', run);
    expect(asking).toBe(run);
  });

  test.each([
    [['other'], 'other', true],
    [['other'], 'other@2.0.0', true],
    [['other'], 'other-one', false],
    [['other'], 'othe', false],
    [['other*'], 'other-one@1.0.0', true],
    [['other*'], 'other', true],
    [['other*'], 'another', false],
    [['*'], 'anything', true],
    [['a', 'b'], 'b', true],
    [['o*r'], 'other', false],
    [['other@1.0.0'], 'other@1.0.0', false],
    [[], 'other', false],
  ])('with %j granted lets %s be called: %s', async (plugins, plugin, isGranted) => {
    const { executed, invoke } = setUp();
    const { code } = await invoke(plugin, granting(...plugins));
    expect(code).toBe(isGranted ? 0 : answerCodes.denied);
    expect(executed).toHaveLength(isGranted ? 1 : 0);
  });

  test('says in a denial which rule and which line', async () => {
    const { payload } = await setUp().invoke('secret-plugin@1.0.0', granting('other'));
    const text = Buffer.from(payload).toString();
    for (const part of [
      'Capability "invoke"',
      'call plugin "secret-plugin"',
      '"some rule"',
      '"secret-plugin" in "invoke.plugins"',
    ]) {
      expect(text).toContain(part);
    }
  });

  test('refuses digests, under which a plugin could hide', async () => {
    const { executed, failure } = setUp();
    expect(await failure(`sha256:${'0'.repeat(64)}`)).toMatchObject({ outcome: 'REFUSED', kind: 'REQUEST_INVALID' });
    expect(executed).toEqual([]);
  });

  test('refuses what names no plugin, whatever is granted', async () => {
    const { service } = setUp();
    for (const request of [new Uint8Array(), writeInvoke({ plugin: '', function: 'run', input: output })]) {
      expect(await service.answer('invoke.call', request, granting('*'))).toMatchObject({ code: 1 });
    }
    expect(await setUp().invoke('@1.0.0', granting('other'))).toMatchObject({ code: answerCodes.denied });
  });

  test('lets calls nest to the depth of the grant, and no deeper', async () => {
    const { executed, invoke, failure } = setUp();
    const at = (...chain: string[]): AskingRun => ({ ...granting('*'), chain });
    expect(await invoke('d', at('a@1.0.0', 'b@1.0.0', 'c@1.0.0'))).toMatchObject({ code: 0 });
    expect(await failure('e', at('a@1.0.0', 'b@1.0.0', 'c@1.0.0', 'd@1.0.0'))).toEqual({
      outcome: 'REFUSED',
      kind: 'INVOKE_DEPTH',
      message: 'Calls nest at most 3 deep, and this one would be at depth 4',
    });
    expect(executed).toHaveLength(1);
  });

  test('lets a plugin be in the chain twice, of whatever version, and not three times', async () => {
    const { executed, invoke, failure } = setUp();
    const at = (...chain: string[]): AskingRun => ({ ...granting('*'), chain });
    expect(await invoke('a', at('a@1.0.0', 'b@1.0.0'))).toMatchObject({ code: 0 });
    expect(await failure('a@3.0.0', at('a@1.0.0', 'b@1.0.0', 'a@2.0.0'))).toMatchObject({
      outcome: 'REFUSED',
      kind: 'INVOKE_CYCLE',
      message: 'Plugin "a" is in the chain of calls 2 times already',
    });
    expect(await invoke('a', at('aa@1.0.0', 'aa@1.0.0'))).toMatchObject({ code: 0 });
    expect(executed).toHaveLength(2);
  });

  test('carries out no call without fuel: a limit of 0 would be the default', async () => {
    const { executed, invoke, failure } = setUp();
    const withFuel = (fuelLeft: number): AskingRun => ({ ...granting('*'), fuelLeft });
    for (const fuelLeft of [0, -5, 0.9]) {
      expect(await failure('other', withFuel(fuelLeft))).toMatchObject({ outcome: 'FUEL_EXHAUSTED', kind: 'FUEL' });
    }
    expect(executed).toEqual([]);
    await invoke('other', withFuel(1.5));
    expect(executed).toMatchObject([{ fuelMax: 1 }]);
  });

  test('charges no more fuel than there is', async () => {
    const { invoke } = setUp();
    expect(await invoke('other', { ...granting('*'), fuelLeft: 76 })).toMatchObject({ fuel: 76 });
    expect(await invoke('other', { ...granting('*'), fuelLeft: 78 })).toMatchObject({ fuel: 77 });
  });

  test('answers a call that failed with how it failed, and what it used', async () => {
    const outcome = failedOutcome('UNREACHABLE', 'It trapped', { ...emptyUsage, fuel: 12 });
    const { invoke, failure } = setUp(() => Promise.resolve(outcome));
    expect(await failure('other')).toEqual({ outcome: 'TRAP', kind: 'UNREACHABLE', message: 'It trapped' });
    expect(await invoke('other')).toMatchObject({ code: 1, fuel: 12 });
  });

  test.each([
    [new ExecError('PLUGIN_NOT_FOUND', 'No plugin "other"'), 'PLUGIN_NOT_FOUND', 'No plugin "other"'],
    [new ExecError('QUEUE_FULL', 'The line is full'), 'QUEUE_FULL', 'The line is full'],
  ])('answers what the platform refuses with its reason, case %#', async (thrown, kind, message) => {
    const { failure } = setUp(() => Promise.reject(thrown));
    expect(await failure('other')).toEqual({ outcome: 'REFUSED', kind, message });
  });

  test('fails where whoever carries it out is at fault', async () => {
    const fault = new TypeError('internals');
    await expect(setUp(() => Promise.reject(fault)).invoke('other')).rejects.toBe(fault);
  });

  test('cuts messages to their bound', async () => {
    const bound = fixedLimits.errorMessageBytes;
    const messageOf = async (length: number): Promise<unknown> => {
      const outcome = failedOutcome('GUEST_ERROR', 'x'.repeat(length), emptyUsage);
      return (await setUp(() => Promise.resolve(outcome)).failure('other')) as { message: string };
    };
    expect(await messageOf(bound)).toMatchObject({ message: 'x'.repeat(bound) });
    expect(await messageOf(bound + 1)).toMatchObject({ message: `${'x'.repeat(bound - 3)}…` });
  });

  test('rejects with the reason of a run that is stopped: before, meanwhile, and when the call was stopped with it', async () => {
    const reason = new AbortReason('TIMEOUT');
    const { executed, invoke } = setUp();
    await expect(invoke('other', { ...granting('*'), signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(executed).toEqual([]);
    const endings: readonly Invoker['execute'][] = [
      () => new Promise(() => {}),
      () => Promise.resolve(failedOutcome('TIMEOUT', 'Stopped', emptyUsage)),
      () => Promise.reject(new ExecError('CANCELED', 'Stopped')),
    ];
    for (const ending of endings) {
      const controller = new AbortController();
      const { invoke } = setUp((request, run) => {
        controller.abort(reason);
        return ending(request, run);
      });
      await expect(invoke('other', { ...granting('*'), signal: controller.signal })).rejects.toBe(reason);
    }
  });

  test('answers no operation of another capability', async () => {
    const { service } = setUp();
    await expect(service.answer('kv.get', output, granting('*'))).rejects.toThrow('no operation of invoke');
  });
});

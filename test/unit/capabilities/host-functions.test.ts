import { describe, expect, test } from 'vitest';
import { CallFamilies, linkedFunctions } from '../../../src/capabilities/host-functions.ts';
import { capabilities, capabilityNames, kernelModule, userModule } from '../../../src/model/capability.ts';
import { type CallContext, RunStopped } from '../../../src/capabilities/call-context.ts';
import type { CapabilityName } from '../../../src/model/capability.ts';
import { callHost, fakeCall, fakeGrant, textAt } from './fakes.ts';

/** All host functions, serving one call. */
function callFunctions(call: CallContext, granted: readonly CapabilityName[]) {
  const families = new CallFamilies({ ...call, grant: { ...fakeGrant, capabilities: granted } });
  return { modules: linkedFunctions(() => families), flush: () => families.flush() };
}

describe('linkedFunctions', () => {
  test('gives every function of every capability, granted or not', () => {
    for (const granted of [[], capabilityNames]) {
      const { modules } = callFunctions(fakeCall(), granted);
      const named = Object.entries(modules).flatMap(([module, functions]) =>
        Object.keys(functions).map((name) => `${module}.${name}`),
      );
      const expected = Object.values(capabilities).flatMap(({ module, functions }) =>
        Object.keys(functions).map((name) => `${module}.${name}`),
      );
      expect(named.toSorted()).toEqual(expected.toSorted());
    }
  });

  test('counts every call of a granted function', () => {
    const call = fakeCall({ config: { key: 'value' } });
    const { modules } = callFunctions(call, capabilityNames);
    const kernel = modules[kernelModule] ?? {};
    expect(textAt(call, callHost(kernel, 'config_get', call.block('key')))).toBe('value');
    callHost(kernel, 'get_log_level');
    callHost(modules[userModule] ?? {}, 'progress', 0, 0n, 0n);
    expect(call.meters.hostCalls).toBe(3);
    expect(call.meters.calls).toMatchObject({ config: 1, log: 1, progress: 1, vars: 0 });
  });

  test('stops a guest that makes more calls than its limit', () => {
    const call = fakeCall({ limits: { hostCalls: 2 } });
    const kernel = callFunctions(call, capabilityNames).modules[kernelModule] ?? {};
    expect([1, 2].map(() => callHost(kernel, 'get_log_level'))).toEqual([0, 0]);
    expect(call.stops).toEqual([]);
    expect(callHost(kernel, 'get_log_level')).toBe(-1);
    expect(call.stops).toMatchObject([{ kind: 'HOST_CALLS' }]);
  });

  test('answers without a word when the run was stopped while the host function waited', () => {
    const call = fakeCall({
      answer: () => {
        throw new RunStopped();
      },
    });
    const { modules } = callFunctions(call, capabilityNames);
    expect(callHost(modules[userModule] ?? {}, 'clock_now')).toBe(0n);
    expect(call.faults).toEqual([]);
  });

  test('makes families that were not granted inert', () => {
    const call = fakeCall({ config: { key: 'value' } });
    const { modules, flush } = callFunctions(call, ['vars']);
    const kernel = modules[kernelModule] ?? {};
    expect(callHost(kernel, 'config_get', call.block('key'))).toBe(0n);
    expect(callHost(kernel, 'get_log_level')).toBe(0x7fffffff);
    callHost(kernel, 'log_info', call.block('line'));
    callHost(modules[userModule] ?? {}, 'progress', 0, 0n, 0n);
    flush();
    expect(call.sent).toEqual([]);
    expect(call.meters).toMatchObject({ hostCalls: 0, progressEvents: 0, logBytes: 0 });
    expect(callHost(kernel, 'var_set', call.block('name'), call.block('value'))).toBe(0);
    expect(call.meters.hostCalls).toBe(1);
  });

  test('lets the end of the stack through, which no guest can catch', () => {
    const call = fakeCall();
    const deep = (): never => deep();
    const { modules } = callFunctions({ ...call, blocks: { ...call.blocks, view: deep } }, capabilityNames);
    expect(() => callHost(modules[kernelModule] ?? {}, 'log_info', 8n)).toThrow(RangeError);
    expect(call.faults).toEqual([]);
  });

  test('turns a fault of the host into an answer that stops the guest', () => {
    const call = fakeCall();
    const broken = new Error('broken');
    const { modules } = callFunctions(
      {
        ...call,
        blocks: {
          ...call.blocks,
          view: () => {
            throw broken;
          },
        },
      },
      capabilityNames,
    );
    const kernel = modules[kernelModule] ?? {};
    expect(callHost(kernel, 'var_get', 8n)).toBe(-1n);
    expect(callHost(kernel, 'var_set', 8n, 8n)).toBe(-1);
    expect(() => callHost(kernel, 'log_info', 8n)).not.toThrow();
    expect(call.faults).toEqual([broken, broken, broken]);
  });
});

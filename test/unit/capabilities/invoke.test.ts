import { describe, expect, test } from 'vitest';
import { RunStopped } from '../../../src/capabilities/call-context.ts';
import { invokeFamily } from '../../../src/capabilities/invoke.ts';
import {
  invokedFunctionBytesMax,
  invokedReferenceBytesMax,
  readInvoke,
  writeInvoke,
} from '../../../src/capabilities/invoke-requests.ts';
import { runLimitRanges } from '../../../src/model/limits.ts';
import type { HostAnswer } from '../../../src/model/operation.ts';
import { callHost, fakeCall, textAt } from './fakes.ts';

const none = 99_999n;
const notText = Uint8Array.of(0xc0);
const failure = '{"outcome":"TRAP","kind":"UNREACHABLE","message":"it trapped"}';

function setUp(...answers: readonly HostAnswer[]) {
  const left = [...answers];
  const call = fakeCall({ answer: () => left.shift() ?? { code: 0, payload: Buffer.from('output') } });
  const { functions } = invokeFamily(call);
  const address = (value: string | Uint8Array | bigint): bigint =>
    typeof value === 'bigint' ? value : call.block(value);
  const invoke = (
    plugin: string | Uint8Array | bigint,
    functionName: string | Uint8Array | bigint = 'run',
    input: string | Uint8Array | bigint = 'input',
  ): unknown => callHost(functions, 'invoke', address(plugin), address(functionName), address(input));
  const error = (): string | undefined => textAt(call, callHost(functions, 'invoke_error'));
  return { call, functions, invoke, error };
}

describe('invoke', () => {
  test('sends plugin, function and input, gives the output, frees what it was given, and charges for all of it', () => {
    const { call, invoke } = setUp();
    expect(textAt(call, invoke('other@1.0.0'))).toBe('output');
    expect(call.asked[0]?.operation).toBe('invoke.call');
    expect(readInvoke(call.asked[0]?.request ?? notText)).toEqual({
      plugin: 'other@1.0.0',
      function: 'run',
      input: new Uint8Array(Buffer.from('input')),
    });
    expect([call.held.size, call.chargedBytes]).toEqual([1, 11 + 3 + 5 + 6]);
  });

  test('takes no input, and gives 0 without an error for an output of nothing', () => {
    const { call, invoke, error } = setUp({ code: 0, payload: new Uint8Array() });
    expect(invoke('other', 'run', 0n)).toBe(0n);
    expect(readInvoke(call.asked[0]?.request ?? notText)?.input).toHaveLength(0);
    expect(error()).toBeUndefined();
  });

  test('gives 0 for a call that failed, and tells how until the next call', () => {
    const { call, functions, invoke, error } = setUp({ code: 1, payload: Buffer.from(failure) });
    expect(callHost(functions, 'invoke_error')).toBe(0n);
    expect(invoke('other')).toBe(0n);
    const before = call.chargedBytes;
    expect([error(), error()]).toEqual([failure, failure]);
    expect(call.chargedBytes - before).toBe(2 * failure.length);
    invoke('other');
    expect(callHost(functions, 'invoke_error')).toBe(0n);
  });

  test.each([
    ['no block', none],
    ['no text', notText],
    ['empty', 0n],
    ['too long', 'x'.repeat(256)],
  ])('tells of a plugin or a function that is %s, and asks nobody', (_what, bad) => {
    const { call, invoke, error } = setUp();
    expect(invoke(bad)).toBe(0n);
    const expected = { outcome: 'REFUSED', kind: 'REQUEST_INVALID' };
    expect(JSON.parse(error() ?? '')).toEqual({
      ...expected,
      message: 'plugin: must be a block of 1 to 255 bytes of UTF-8',
    });
    expect(invoke('other', bad)).toBe(0n);
    expect(JSON.parse(error() ?? '')).toEqual({
      ...expected,
      message: 'function: must be a block of 1 to 255 bytes of UTF-8',
    });
    expect(call.asked).toEqual([]);
  });

  test('takes names as long as their bounds', () => {
    const { call, invoke } = setUp();
    invoke('p'.repeat(invokedReferenceBytesMax), 'f'.repeat(invokedFunctionBytesMax));
    expect(call.asked).toHaveLength(1);
  });

  test('takes an input as long as any may be, and tells of one that is longer or no block', () => {
    const { call, invoke, error } = setUp();
    const { max } = runLimitRanges.inputBytes;
    invoke('other', 'run', new Uint8Array(max));
    expect(call.asked).toHaveLength(1);
    for (const input of [new Uint8Array(max + 1), none]) {
      expect(invoke('other', 'run', input)).toBe(0n);
      expect(JSON.parse(error() ?? '')).toMatchObject({ outcome: 'REFUSED', kind: 'INPUT_TOO_LARGE' });
    }
    expect(call.asked).toHaveLength(1);
  });

  test('stops the guest when the kernel has no room for output or error', () => {
    const good = setUp();
    const blocks = ['other', 'run', 'input'].map((text) => good.call.block(text));
    good.call.hasRoom = false;
    expect(callHost(good.functions, 'invoke', ...blocks)).toBe(-1n);
    expect(good.call.stops).toMatchObject([{ kind: 'KERNEL_MEMORY' }]);
    const bad = setUp({ code: 1, payload: Buffer.from(failure) });
    bad.invoke('other');
    bad.call.hasRoom = false;
    expect(callHost(bad.functions, 'invoke_error')).toBe(-1n);
    expect(bad.call.stops).toMatchObject([{ kind: 'KERNEL_MEMORY' }]);
  });

  test('lets the end of the run pass', () => {
    const call = fakeCall({
      answer: () => {
        throw new RunStopped();
      },
    });
    const { functions } = invokeFamily(call);
    expect(() => callHost(functions, 'invoke', call.block('a'), call.block('b'), 0n)).toThrow(RunStopped);
  });
});

test('A request of invoke is read only if it is whole', () => {
  const whole = { plugin: 'p', function: 'f', input: new Uint8Array() };
  expect(readInvoke(writeInvoke(whole))).toEqual(whole);
  expect(readInvoke(new Uint8Array())).toBeUndefined();
  expect(readInvoke(writeInvoke({ ...whole, plugin: '' }))).toBeUndefined();
  expect(readInvoke(writeInvoke({ ...whole, function: '' }))).toBeUndefined();
});

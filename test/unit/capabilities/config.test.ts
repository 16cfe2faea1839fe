import { describe, expect, test } from 'vitest';
import { configFunctions } from '../../../src/capabilities/config.ts';
import { callHost, fakeCall, textAt } from './fakes.ts';

describe('config_get', () => {
  test('answers with a new block of the value, and frees the key', () => {
    const call = fakeCall({ config: { greeting: 'grüß dich' } });
    const functions = configFunctions(call);
    const answer = callHost(functions, 'config_get', call.block('greeting'));
    expect(textAt(call, answer)).toBe('grüß dich');
    expect(call.held.size).toBe(1);
  });

  test.each(['absent', 'constructor', '__proto__', 'toString', '', 'greeting\0'])('answers 0 for the key %j', (key) => {
    const call = fakeCall({ config: { greeting: 'hello' } });
    expect(callHost(configFunctions(call), 'config_get', call.block(key))).toBe(0n);
    expect(call.held.size).toBe(0);
  });

  test('answers 0 for an empty value, as for none', () => {
    const call = fakeCall({ config: { empty: '' } });
    expect(callHost(configFunctions(call), 'config_get', call.block('empty'))).toBe(0n);
  });

  test('answers 0 for a key that is no block, not UTF-8, or longer than any key', () => {
    const call = fakeCall({
      config: { '\ufffd': 'replacement', ['k'.repeat(129)]: 'long', ['k'.repeat(128)]: 'just' },
    });
    const functions = configFunctions(call);
    expect(callHost(functions, 'config_get', 12_345n)).toBe(0n);
    expect(callHost(functions, 'config_get', call.block(Uint8Array.of(0xff)))).toBe(0n);
    expect(callHost(functions, 'config_get', call.block('k'.repeat(129)))).toBe(0n);
    expect(textAt(call, callHost(functions, 'config_get', call.block('k'.repeat(128))))).toBe('just');
  });

  test('charges for the bytes of key and value, and for none of a key that is too long', () => {
    const call = fakeCall({ config: { greeting: 'grüß dich' } });
    const functions = configFunctions(call);
    callHost(functions, 'config_get', call.block('greeting'));
    expect(call.chargedBytes).toBe(8 + 11);
    callHost(functions, 'config_get', call.block('absent'));
    expect(call.chargedBytes).toBe(8 + 11 + 6);
    callHost(functions, 'config_get', call.block('k'.repeat(129)));
    expect(call.chargedBytes).toBe(8 + 11 + 6);
  });

  test('stops the guest when the kernel has no room for the value', () => {
    const call = fakeCall({ config: { greeting: 'hello' } });
    const key = call.block('greeting');
    call.hasRoom = false;
    expect(callHost(configFunctions(call), 'config_get', key)).toBe(-1n);
    expect(call.stops).toMatchObject([{ kind: 'KERNEL_MEMORY' }]);
  });
});

import { describe, expect, test } from 'vitest';
import { varsFunctions } from '../../../src/capabilities/vars.ts';
import { callHost, type FakeCall, fakeCall, textAt } from './fakes.ts';

function setUp(varBytes?: number) {
  const call = fakeCall({ limits: varBytes === undefined ? {} : { varBytes } });
  const functions = varsFunctions(call);
  const set = (name: string, value: string | Uint8Array | 0n): unknown =>
    callHost(functions, 'var_set', call.block(name), value === 0n ? value : call.block(value));
  const get = (name: string): string | undefined => textAt(call, callHost(functions, 'var_get', call.block(name)));
  return { call, functions, set, get };
}

function heldBytes(call: FakeCall): number {
  return [...call.held.values()].reduce((sum, bytes) => sum + bytes.length, 0);
}

describe('var_set and var_get', () => {
  test('keep a value, replace it and forget it', () => {
    const { set, get } = setUp();
    expect(get('name')).toBeUndefined();
    expect(set('name', 'one')).toBe(0);
    expect(get('name')).toBe('one');
    set('name', 'another');
    expect(get('name')).toBe('another');
    set('name', 0n);
    expect(get('name')).toBeUndefined();
  });

  test('keep values apart from the blocks that they came from and went to', () => {
    const { call, functions, get } = setUp();
    const value = call.block('one');
    const bytes = call.held.get(value);
    callHost(functions, 'var_set', call.block('name'), value);
    bytes?.fill(0);
    call.held.get(callHost(functions, 'var_get', call.block('name')) as bigint)?.fill(0);
    expect(get('name')).toBe('one');
  });

  test('free what they are given', () => {
    const { call, set, functions } = setUp();
    set('name', 'value');
    expect(heldBytes(call)).toBe(0);
    callHost(functions, 'var_get', call.block('absent'));
    expect(heldBytes(call)).toBe(0);
  });

  test('take names like those of object members for names', () => {
    const { set, get } = setUp();
    expect(get('constructor')).toBeUndefined();
    set('__proto__', 'one');
    expect([get('__proto__'), get('constructor')]).toEqual(['one', undefined]);
  });

  test('of two calls are apart', () => {
    const first = setUp();
    first.set('name', 'value');
    expect(setUp().get('name')).toBeUndefined();
  });

  test('keep to the limit to the byte, names included, and count a replaced value no longer', () => {
    const { call, set, get } = setUp(10);
    expect(set('name', '123456')).toBe(0);
    expect(set('name', 'abcdef')).toBe(0);
    expect(call.stops).toEqual([]);
    expect(set('name', '1234567')).toBe(-1);
    expect(call.stops).toEqual([{ kind: 'GUEST_ERROR', message: 'Variable store is full: it holds at most 10 bytes' }]);
    expect(get('name')).toBe('abcdef');
  });

  test('have the room of a forgotten value again', () => {
    const { call, set } = setUp(10);
    for (let round = 0; round < 5; round++) {
      expect(set('name', '123456')).toBe(0);
      set('name', 0n);
      set('name', 0n);
    }
    expect(set('x', '123456789')).toBe(0);
    expect(call.stops).toEqual([]);
  });

  test('charge for the bytes of name and value, however often they are read and written', () => {
    const { call, set, get } = setUp(10);
    set('name', '123456');
    expect(call.chargedBytes).toBe(4 + 6);
    get('name');
    expect(call.chargedBytes).toBe(2 * (4 + 6));
    get('a');
    set('name', 0n);
    expect(call.chargedBytes).toBe(2 * (4 + 6) + 1 + 4);
    set('name', '1234567');
    expect(call.chargedBytes).toBe(2 * (4 + 6) + 1 + 4 + 4);
  });

  test('stop a guest whose name or value would be lost', () => {
    for (const [name, value] of [
      [99_999n, 'block'],
      ['not text', 'block'],
      ['name', 99_999n],
    ] as const) {
      const { call, functions } = setUp();
      const nameBlock =
        name === 'not text' ? call.block(Uint8Array.of(0xc0)) : typeof name === 'bigint' ? name : call.block(name);
      const valueBlock = typeof value === 'bigint' ? value : call.block(value);
      expect(callHost(functions, 'var_set', nameBlock, valueBlock)).toBe(-1);
      expect(call.stops).toMatchObject([{ kind: 'TRAP' }]);
      expect(heldBytes(call)).toBe(0);
    }
  });

  test('answer 0 for a name that is no block or not UTF-8', () => {
    const { call, functions } = setUp();
    expect(callHost(functions, 'var_get', 99_999n)).toBe(0n);
    expect(callHost(functions, 'var_get', call.block(Uint8Array.of(0xff)))).toBe(0n);
  });

  test('stop the guest when the kernel has no room for the value', () => {
    const { call, set, functions } = setUp();
    set('name', 'value');
    const name = call.block('name');
    call.hasRoom = false;
    expect(callHost(functions, 'var_get', name)).toBe(-1n);
    expect(call.stops).toMatchObject([{ kind: 'KERNEL_MEMORY' }]);
  });
});

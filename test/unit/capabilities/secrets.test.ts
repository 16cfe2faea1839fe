import { describe, expect, test } from 'vitest';
import { RunStopped } from '../../../src/capabilities/call-context.ts';
import { secretNameBytesMax } from '../../../src/capabilities/secret-bounds.ts';
import { secretsFamily } from '../../../src/capabilities/secrets.ts';
import { textWithoutSecrets } from '../../../src/capabilities/secrets-read.ts';
import type { HostAnswer } from '../../../src/model/operation.ts';
import { callHost, fakeCall, textAt } from './fakes.ts';

function setUp(answer: () => HostAnswer = () => ({ code: 0, payload: Buffer.from('hunter22') })) {
  const call = fakeCall({ answer });
  const { functions } = secretsFamily(call);
  const get = (name: string | Uint8Array | bigint): unknown =>
    callHost(functions, 'secret_get', typeof name === 'bigint' ? name : call.block(name));
  return { call, get };
}

describe('secret_get', () => {
  test('gives the value in a new block, frees the name, and charges for both', () => {
    const { call, get } = setUp();
    expect(textAt(call, get('API_KEY'))).toBe('hunter22');
    expect(call.asked).toEqual([{ operation: 'secrets.get', request: new Uint8Array(Buffer.from('API_KEY')) }]);
    expect([call.held.size, call.chargedBytes]).toEqual([1, 7 + 8]);
  });

  test('has the call remember the value', () => {
    const { call, get } = setUp();
    expect(textWithoutSecrets(call, 'hunter22')).toBe('hunter22');
    get('API_KEY');
    expect(textWithoutSecrets(call, 'hunter22')).toBe('[redacted]');
  });

  test('remembers the value even if the guest has no room for it', () => {
    const { call, get } = setUp();
    const name = call.block('API_KEY');
    call.hasRoom = false;
    expect(get(name)).toBe(-1n);
    expect(call.stops).toEqual([
      { kind: 'KERNEL_MEMORY', message: 'No kernel memory is left for the value of a secret' },
    ]);
    expect(textWithoutSecrets(call, 'hunter22')).toBe('[redacted]');
  });

  test('gives 0 where the operator has set none, or an empty one', () => {
    const none = setUp(() => ({ code: 1, payload: new Uint8Array() }));
    expect(none.get('API_KEY')).toBe(0n);
    expect(none.call.held.size).toBe(0);
    expect(setUp(() => ({ code: 0, payload: new Uint8Array() })).get('API_KEY')).toBe(0n);
  });

  test('asks for names as long as the bound, and gives 0 for what can be no name without asking', () => {
    const { call, get } = setUp();
    get('n'.repeat(secretNameBytesMax));
    expect(call.asked).toHaveLength(1);
    for (const name of ['n'.repeat(secretNameBytesMax + 1), Uint8Array.of(0xff), 99_999n]) expect(get(name)).toBe(0n);
    expect([call.asked.length, call.held.size]).toEqual([1, 1]);
  });

  test('lets the end of the run pass when the name is not granted', () => {
    const { get } = setUp(() => {
      throw new RunStopped();
    });
    expect(() => get('OTHER')).toThrow(RunStopped);
  });
});

import { describe, expect, test } from 'vitest';
import { fixedLimits } from '../../../../src/model/limits.ts';
import { MemoryGuest, memoryBytes } from './guest.ts';

/** The strings that a pair of functions gives, args or environ. */
function strings(guest: MemoryGuest, what: 'args' | 'environ'): readonly string[] {
  guest.do(`${what}_sizes_get`, 0, 4);
  const [count, bytes] = [guest.data.getUint32(0, true), guest.data.getUint32(4, true)];
  guest.do(`${what}_get`, 100, 500);
  const at = Array.from({ length: count }, (_, index) => guest.data.getUint32(100 + index * 4, true));
  const text = Buffer.from(guest.bytes(500, bytes)).toString();
  expect(text.split('\0').length - 1).toBe(count);
  return at.map((pointer) => {
    const rest = Buffer.from(guest.memory.subarray(pointer, 500 + bytes)).toString();
    return rest.slice(0, rest.indexOf('\0'));
  });
}

describe('Arguments', () => {
  test('are the function’s name alone when there is no configuration', () => {
    expect(strings(new MemoryGuest({ functionName: 'main' }), 'args')).toEqual(['main']);
  });

  test('follow the function’s name as the configuration has them', () => {
    const guest = new MemoryGuest({ functionName: '_start', config: { args: '["-v", "", "ä b"]' } });
    expect(strings(guest, 'args')).toEqual(['_start', '-v', '', 'ä b']);
  });

  test.each(['', 'x', '{}', '"a"', '[1]', '["a", null]', '["a\\u0000b"]'])('stop the guest if they are %j', (args) => {
    const guest = new MemoryGuest({ config: { args } });
    expect(guest.errno('args_sizes_get', 0, 4)).toBe(28);
    expect(guest.call.stops[0]).toMatchObject({ kind: 'TRAP', message: expect.stringContaining('"args"') });
  });

  test('are refused where there is no room for them, and nothing is written', () => {
    const guest = new MemoryGuest({ functionName: 'run' });
    expect(guest.errno('args_sizes_get', memoryBytes - 3, 0)).toBe(21);
    expect(guest.errno('args_sizes_get', 0, memoryBytes - 3)).toBe(21);
    expect(guest.errno('args_get', memoryBytes - 3, 0)).toBe(21);
    expect(guest.errno('args_get', 0, memoryBytes - 3)).toBe(21);
    expect(guest.memory.every((byte) => byte === 0)).toBe(true);
    expect(guest.errno('args_get', 0, memoryBytes - 4)).toBe(0);
  });
});

describe('The environment', () => {
  test('has the variables of the configuration by their names', () => {
    const config = { 'env.PATH': '/bin', other: 'x', 'env.HOME': '/', 'env.A': 'x=y', 'env.EMPTY': '' };
    expect(strings(new MemoryGuest({ config }), 'environ')).toEqual(['A=x=y', 'EMPTY=', 'HOME=/', 'PATH=/bin']);
  });

  test('leaves out what cannot be a variable', () => {
    const config = { 'env.': 'x', 'env.A=B': 'x', 'env.C': 'a\0b', env: 'x' };
    expect(strings(new MemoryGuest({ config }), 'environ')).toEqual([]);
  });
});

describe('random_get', () => {
  test('fills a buffer from the run’s stream, in pieces', () => {
    const memory = new Uint8Array(200_000);
    const guest = new MemoryGuest();
    guest.call.memory = memory;
    const length = fixedLimits.randomBytes + 10;
    guest.do('random_get', 100, length);
    expect(guest.call.asked.map(({ request }) => Buffer.from(request).readUInt32LE())).toEqual([
      fixedLimits.randomBytes,
      10,
    ]);
    expect(memory.subarray(0, 100).every((byte) => byte === 0)).toBe(true);
    expect(memory.subarray(100, 100 + length).filter((byte) => byte === 0).length).toBeLessThan(length / 100);
    expect(memory.subarray(100 + length).every((byte) => byte === 0)).toBe(true);
    expect(guest.call.chargedBytes).toBe(length);
  });

  test('asks once for exactly as many bytes as can be asked for', () => {
    const guest = new MemoryGuest();
    guest.call.memory = new Uint8Array(fixedLimits.randomBytes);
    guest.do('random_get', 0, fixedLimits.randomBytes);
    expect(guest.call.asked).toHaveLength(1);
  });

  test('asks nobody for bytes that it cannot put anywhere', () => {
    const guest = new MemoryGuest();
    expect(guest.errno('random_get', 1, memoryBytes)).toBe(21);
    expect(guest.errno('random_get', -1, -1)).toBe(21);
    expect(guest.call.asked).toEqual([]);
  });
});

describe('The end of a program', () => {
  test('by proc_exit has its code, without a sign', () => {
    const guest = new MemoryGuest();
    guest.errno('proc_exit', 7);
    guest.errno('proc_exit', -1);
    expect(guest.call.exits).toEqual([7, 4_294_967_295]);
  });

  test('by a signal is a trap that names it', () => {
    const guest = new MemoryGuest();
    guest.errno('proc_raise', 6);
    expect(guest.call.stops).toEqual([{ kind: 'TRAP', message: 'The guest raised signal 6' }]);
  });

  test('is not by signals that there are none of', () => {
    const guest = new MemoryGuest();
    expect([0, 31, -1].map((signal) => guest.errno('proc_raise', signal))).toEqual([28, 28, 28]);
    expect(guest.call.stops).toEqual([]);
  });
});

test('sched_yield does nothing, and sockets are not supported', () => {
  const guest = new MemoryGuest();
  expect(guest.errno('sched_yield')).toBe(0);
  expect(guest.errno('sock_accept', 0, 0, 0)).toBe(58);
  expect(guest.errno('sock_recv', 0, 0, 0, 0, 0, 0)).toBe(58);
  expect(guest.errno('sock_send', 0, 0, 0, 0, 0)).toBe(58);
  expect(guest.errno('sock_shutdown', 0, 0)).toBe(58);
});

test('Functions that need memory answer FAULT to a guest that has none', () => {
  const guest = new MemoryGuest();
  guest.call.memory = undefined;
  expect(guest.errno('args_sizes_get', 0, 0)).toBe(21);
  expect(guest.errno('random_get', 0, 0)).toBe(21);
  expect(guest.errno('fd_write', 1, 0, 0, 0)).toBe(21);
  expect(guest.errno('sched_yield')).toBe(0);
});

import { describe, expect, test } from 'vitest';
import { randomFamily } from '../../../src/capabilities/random.ts';
import { randomAnswers, randomStream } from '../../../src/capabilities/local/random.ts';
import { fixedLimits } from '../../../src/model/limits.ts';
import { callHost, fakeCall } from './fakes.ts';

function setUp(seed = 'seed') {
  const answers = randomAnswers(randomStream(Buffer.from(seed)));
  const call = fakeCall({ answer: (_operation, request) => answers['random.bytes'](request) });
  const { functions } = randomFamily(call);
  const bytes = (length: bigint): Uint8Array | undefined =>
    call.held.get(callHost(functions, 'random_bytes', length) as bigint);
  return { call, functions, bytes };
}

describe('random_bytes', () => {
  test('yields a block of so many bytes, charged for', () => {
    const { call, bytes } = setUp();
    expect(bytes(1n)).toHaveLength(1);
    expect(bytes(33n)).toHaveLength(33);
    expect(call.chargedBytes).toBe(34);
    expect(call.asked.map(({ operation }) => operation)).toEqual(['random.bytes', 'random.bytes']);
  });

  test('goes on in the stream of the run', () => {
    const [one, other] = [setUp(), setUp()];
    const pieces = Buffer.concat(
      [one.bytes(5n), one.bytes(11n), one.bytes(16n)].map((bytes) => bytes ?? Buffer.alloc(0)),
    );
    expect(pieces).toEqual(Buffer.from(other.bytes(32n) ?? []));
  });

  test('asks nobody for no bytes', () => {
    const { call, functions } = setUp();
    expect(callHost(functions, 'random_bytes', 0n)).toBe(0n);
    expect([call.asked, call.stops, call.chargedBytes]).toEqual([[], [], 0]);
  });

  test('yields as many bytes as the bound, and stops a guest that wants one more', () => {
    const { call, functions, bytes } = setUp();
    const bound = fixedLimits.randomBytes;
    expect(bytes(BigInt(bound))).toHaveLength(bound);
    expect(call.stops).toEqual([]);
    expect(callHost(functions, 'random_bytes', BigInt(bound + 1))).toBe(-1n);
    expect(call.stops).toEqual([
      {
        kind: 'TRAP',
        message: 'The guest asked for 65537 random bytes: ask for at least 0 and at most 65536 at once',
      },
    ]);
    expect(call.asked).toHaveLength(1);
  });

  test.each([-1n, -(2n ** 63n), 2n ** 63n - 1n])('stops a guest that wants %d bytes', (length) => {
    const { call, functions } = setUp();
    expect(callHost(functions, 'random_bytes', length)).toBe(-1n);
    expect(call.stops).toMatchObject([{ kind: 'TRAP' }]);
    expect(call.asked).toEqual([]);
  });

  test('stops the guest when the kernel has no room', () => {
    const { call, functions } = setUp();
    call.hasRoom = false;
    expect(callHost(functions, 'random_bytes', 8n)).toBe(-1n);
    expect(call.stops).toMatchObject([{ kind: 'KERNEL_MEMORY' }]);
  });
});

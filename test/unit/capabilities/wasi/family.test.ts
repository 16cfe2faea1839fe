import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RunStopped } from '../../../../src/capabilities/call-context.ts';
import { wasiFamily } from '../../../../src/capabilities/wasi/family.ts';
import { capabilities, type HostFunctionType } from '../../../../src/model/capability.ts';
import { callHost, fakeCall } from '../fakes.ts';
import { MemoryGuest, root, wasiGrant } from './guest.ts';
import { mountedAnswer } from './mounted.ts';

const types: Readonly<Record<string, HostFunctionType>> = capabilities.wasi.functions;
const names = Object.keys(types);
const errnoMax = 76;

test('The family has exactly the functions of WASI preview 1', () => {
  expect(Object.keys(wasiFamily(fakeCall()).functions).toSorted()).toEqual(names.toSorted());
});

test('One call sees nothing of another', () => {
  const one = new MemoryGuest();
  one.file('secret', 'x');
  one.write(1, 'half a line');
  const other = new MemoryGuest();
  expect(other.names()).toEqual(['.', '..']);
  other.family.flush?.();
  expect(other.call.sent).toEqual([]);
});

test('Nothing is asked and nothing charged before a guest does something', () => {
  const call = fakeCall();
  const family = wasiFamily(call);
  family.flush?.();
  expect(family.output?.()).toBeUndefined();
  expect([call.asked, call.sent, call.chargedBytes]).toEqual([[], [], 0]);
});

/** The guest's memory lies between bytes that nobody may touch. */
const guardBytes = 4_096;
const memoryBytes = 65_536;

interface HostileCall {
  readonly name: string;
  readonly parameters: readonly (number | bigint)[];
}

const i32 = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: 0, max: 12 }) },
  { weight: 3, arbitrary: fc.integer({ min: 0, max: memoryBytes }) },
  { weight: 2, arbitrary: fc.integer({ min: memoryBytes - 80, max: memoryBytes + 80 }) },
  { weight: 1, arbitrary: fc.constantFrom(-1, -8, 0x7fff_ffff, -0x8000_0000, 1_024, 1_025, 256, 257) },
  { weight: 1, arbitrary: fc.integer() },
);
const i64 = fc.oneof(
  { weight: 3, arbitrary: fc.bigInt({ min: 0n, max: 40n }) },
  { weight: 1, arbitrary: fc.constantFrom(-1n, 2n ** 63n - 1n, -(2n ** 63n), 2n ** 32n, 2n ** 53n) },
  { weight: 1, arbitrary: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) },
);

const hostileCall: fc.Arbitrary<HostileCall> = fc.constantFrom(...names).chain((name) => {
  const parameters = types[name]?.parameters.map((type): fc.Arbitrary<number | bigint> => (type === 'i64' ? i64 : i32));
  return fc.tuple(...(parameters ?? [])).map((given) => ({ name, parameters: given }));
});

/** Memory with things in it that make sense to some function: paths, pieces, subscriptions. */
const hostileMemory = fc
  .array(fc.oneof(fc.constantFrom('a', 'b', '.', '..', '/', 'a/b', '\0'), fc.uint8Array({ maxLength: 24 })), {
    maxLength: 60,
    size: 'max',
  })
  .map((parts) => Buffer.concat(parts.map((part) => Buffer.from(part as string))));

function hostileGuest(content: Uint8Array): { memory: Uint8Array; around: Uint8Array; guest: MemoryGuest } {
  const around = new Uint8Array(memoryBytes + 2 * guardBytes).fill(0xa5);
  const memory = around.subarray(guardBytes, guardBytes + memoryBytes);
  for (let at = 0; at < memory.length && content.length > 0; at += content.length) {
    memory.set(content.subarray(0, memory.length - at), at);
  }
  const guest = new MemoryGuest({
    ...wasiGrant({ mounts: [{ guestPath: '/data', name: 'data' }], fileBytesMax: 100_000 }),
    input: Buffer.from('input'),
    answer: mountedAnswer({ data: { a: { b: 'content' }, b: 'x' } }),
  });
  guest.file('a', 'some content');
  guest.mkdir('b');
  guest.open('a');
  guest.open('b');
  guest.call.memory = memory;
  guest.call.sleep = () => {
    throw new RunStopped();
  };
  return { memory, around, guest };
}

function answerOf(guest: MemoryGuest, { name, parameters }: HostileCall): unknown {
  try {
    return callHost(guest.family.functions, name, ...parameters);
  } catch (error) {
    expect(error).toBeInstanceOf(RunStopped);
    return 0;
  }
}

describe('Whatever a guest calls with', () => {
  test('every function answers an errno, and touches nothing outside its memory', () => {
    const numRuns = process.env['CAISSON_TEST_FULL'] === '1' ? 3_000 : 300;
    fc.assert(
      fc.property(
        hostileMemory,
        fc.array(hostileCall, { minLength: 1, maxLength: 40, size: 'max' }),
        (content, calls) => {
          const { around, guest } = hostileGuest(content);
          for (const call of calls) {
            const answer = answerOf(guest, call);
            if (call.name === 'proc_exit') continue;
            expect(Number.isInteger(answer) && Number(answer) >= 0 && Number(answer) <= errnoMax, call.name).toBe(true);
          }
          guest.family.flush?.();
          const guards = [around.subarray(0, guardBytes), around.subarray(guardBytes + memoryBytes)];
          expect(guards.every((guard) => guard.every((byte) => byte === 0xa5))).toBe(true);
          expect(guest.call.faults).toEqual([]);
        },
      ),
      { numRuns },
    );
  });

  test.each(names)('%s refuses pointers far outside', (name) => {
    const { guest } = hostileGuest(new Uint8Array());
    const parameters = types[name]?.parameters ?? [];
    for (const value of [-1, 0x7fff_ffff, memoryBytes, memoryBytes - 1]) {
      const given = parameters.map((type, index) => (type === 'i64' ? BigInt(value) : index === 0 ? root : value));
      const answer = answerOf(guest, { name, parameters: given });
      if (name !== 'proc_exit') expect(answer).toBeLessThanOrEqual(errnoMax);
    }
  });

  test('a guest without memory gets an errno from every function', () => {
    const { guest } = hostileGuest(new Uint8Array());
    guest.call.memory = undefined;
    for (const name of names.filter((name) => name !== 'proc_exit')) {
      const given = types[name]?.parameters.map((type) => (type === 'i64' ? 0n : 0)) ?? [];
      const answer = answerOf(guest, { name, parameters: given });
      expect(Number.isInteger(answer), name).toBe(true);
    }
  });

  test('memory that grew is seen', () => {
    const guest = new MemoryGuest();
    guest.call.memory = new Uint8Array(10);
    expect(guest.errno('clock_res_get', 0, 8)).toBe(21);
    guest.call.memory = new Uint8Array(16);
    expect(guest.errno('clock_res_get', 0, 8)).toBe(0);
  });
});

test('What is asked and throws to stop the run passes through every function', () => {
  const guest = new MemoryGuest({
    answer: () => {
      throw new RunStopped();
    },
  });
  expect(() => guest.errno('clock_time_get', 0, 0n, 0)).toThrow(RunStopped);
  expect(() => guest.errno('random_get', 0, 1)).toThrow(RunStopped);
  expect(() => guest.stat('.')).toThrow(RunStopped);
});

/**
 * Modules of any size for the cases that load many or large ones: functions with
 * loops, branches, memory and arithmetic, all different, which the exported "run"
 * never needs more than a handful of. The same size and seed give the same bytes.
 */

import { varint } from '../wire/protobuf.ts';

const magic = Buffer.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
const i32 = 0x7f;
const end = 0x0b;
/** Steps of one function's body. */
const stepsPerFunction = 12;
/** Operations of one step, between junctions. */
const operationsPerStep = 5;
/** Functions that "run" calls. */
const functionsCalled = 4;

/** A module of about so many bytes. */
export function generatedModule(bytes: number, seed: number): Uint8Array<ArrayBuffer> {
  const random = randomNumbers(seed);
  const bodies: Buffer[] = [];
  for (let size = 0; size < bytes; size += (bodies.at(-1)?.length ?? 0) + 1) bodies.push(functionBody(random));
  const runIndex = bodies.length;
  bodies.push(runBody(runIndex));
  const binary = (): Buffer => Buffer.of(0x60, 2, i32, i32, 1, i32);
  const nullary = Buffer.of(0x60, 0, 1, i32);
  return new Uint8Array(
    Buffer.concat([
      magic,
      section(1, vector([binary(), nullary])),
      section(3, vector(bodies.map((_, index) => Buffer.of(index === runIndex ? 1 : 0)))),
      section(5, vector([Buffer.of(0, 1)])),
      section(7, vector([Buffer.concat([varint(3), Buffer.from('run'), Buffer.of(0), varint(runIndex)])])),
      section(10, vector(bodies)),
    ]),
  );
}

/** The same module with a custom section, so that it is another one to whoever goes by its bytes. */
export function markedModule(module: Uint8Array, mark: number): Uint8Array {
  const content = Buffer.concat([varint(4), Buffer.from('mark'), varint(mark)]);
  return Buffer.concat([module, section(0, content)]);
}

function section(id: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.of(id), varint(content.length), content]);
}

function vector(items: readonly Buffer[]): Buffer {
  return Buffer.concat([varint(items.length), ...items]);
}

function body(locals: Buffer, code: readonly Buffer[]): Buffer {
  const content = Buffer.concat([locals, ...code, Buffer.of(end)]);
  return Buffer.concat([varint(content.length), content]);
}

/** Calls some functions and returns 0, which stands for success. */
function runBody(functions: number): Buffer {
  const calls = Array.from({ length: functionsCalled }, (_, index) => {
    const called = Math.floor((index * functions) / functionsCalled);
    // i32.const, i32.const, call, drop
    return Buffer.concat([Buffer.of(0x41, index, 0x41, 7, 0x10), varint(called), Buffer.of(0x1a)]);
  });
  return body(vector([]), [...calls, Buffer.of(0x41, 0)]);
}

type Random = () => number;

/** Two parameters and one more local, through which the steps work. */
function functionBody(random: Random): Buffer {
  const steps = Array.from({ length: stepsPerFunction }, () => step(random));
  return body(vector([Buffer.of(1, i32)]), [...steps, Buffer.of(0x20, 2)]);
}

function step(random: Random): Buffer {
  const compute = computation(random);
  switch (random() % 4) {
    case 0:
      // A loop that ends as soon as local 1 is 0.
      return Buffer.concat([Buffer.of(0x03, 0x40), compute, Buffer.of(0x20, 1, 0x41, 1, 0x76, 0x22, 1, 0x0d, 0, end)]);
    case 1:
      return Buffer.concat([Buffer.of(0x20, 0, 0x41, random() % 64, 0x4a, 0x04, 0x40), compute, Buffer.of(end)]);
    case 2:
      // memory[constant] = local 2
      return Buffer.concat([compute, Buffer.of(0x41), signed(random() % 65_000), Buffer.of(0x20, 2, 0x36, 2, 0)]);
    default:
      return compute;
  }
}

/** Assigns to local 2 what comes of a local and some constants: code without a junction, of which modules mostly are. */
function computation(random: Random): Buffer {
  const operations = Array.from({ length: operationsPerStep }, () => {
    const operation = [0x6a, 0x6b, 0x6c, 0x71, 0x72, 0x73, 0x74, 0x76][random() % 8] ?? 0x6a;
    return Buffer.concat([Buffer.of(0x41), signed(random() % 1_000_000), Buffer.of(operation)]);
  });
  return Buffer.concat([Buffer.of(0x20, random() % 3), ...operations, Buffer.of(0x21, 2)]);
}

/** A whole number of 0 or more in the signed form. */
function signed(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 64; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.of(...bytes, rest);
}

/** xorshift: not random, but different. */
function randomNumbers(seed: number): Random {
  let state = (Math.imul(seed + 1, 0x9e3779b1) >>> 0) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>>= 0);
  };
}

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GuestFrame } from '../../../../src/model/outcome.ts';
import { fixedLimits } from '../../../../src/model/limits.ts';
import { guestStackOf, keepStackFrames } from '../../../../src/sandbox/thread/guest-stack.ts';
import { meteredGuest } from '../../../helpers/metered.ts';
import { wat, watWithNames } from '../../../helpers/wat.ts';

/** Adds a name section that names function 0. All lengths must be below 128. */
function withFunctionName(module: Uint8Array, name: string): Uint8Array<ArrayBuffer> {
  const text = [...Buffer.from(name)];
  const functionNames = [1, 0, text.length, ...text];
  const content = [4, ...Buffer.from('name'), 1, functionNames.length, ...functionNames];
  return Uint8Array.of(...module, 0, content.length, ...content);
}

function stackOf(
  module: string | Uint8Array<ArrayBuffer>,
  imports: WebAssembly.Imports = {},
  kernel?: Uint8Array,
): readonly GuestFrame[] {
  const bytes = typeof module === 'string' ? watWithNames(module) : module;
  const { exports, offsets } = meteredGuest(bytes, imports, kernel);
  try {
    (exports['run'] as () => void)();
  } catch (error) {
    return guestStackOf(error as Error, offsets);
  }
  throw new Error('The guest did not throw');
}

let frames: number;
beforeEach(() => {
  frames = Error.stackTraceLimit;
  keepStackFrames();
});
afterEach(() => {
  Error.stackTraceLimit = frames;
});

describe('guestStackOf', () => {
  test('has at most as many frames as an outcome may hold', () => {
    const stack = stackOf('(module (func $f (export "run") (call $f)))');
    expect(stack).toHaveLength(fixedLimits.guestStackFrames);
    expect(stack.every((frame) => frame.function === 'f' && frame.functionIndex === 0)).toBe(true);
  });

  test('leaves out frames of the host and of the kernel', () => {
    const kernel = watWithNames('(module (func $helper unreachable) (func $alloc (export "alloc") (call $helper)))');
    const guest = '(module $g (import "kernel" "alloc" (func $a)) (func $go (export "run") (call $a)))';
    expect(stackOf(guest, {}, kernel)).toMatchObject([{ function: 'go', functionIndex: 1 }]);
  });

  test('takes names for names, however they are written', () => {
    const name = 'x (wasm://wasm/other:wasm-function[9]:0x1)\n    at y (wasm://wasm/other:wasm-function[8]:0x2)';
    const bytes = withFunctionName(wat('(module (func (export "run") unreachable))'), name);
    expect(stackOf(bytes)).toMatchObject([{ function: name.replace('\n', '\\u000a'), functionIndex: 0 }]);
  });

  test('cuts long names', () => {
    const stack = stackOf(`(module (func $${'n'.repeat(2_000)} (export "run") unreachable))`);
    expect(Buffer.byteLength(stack[0]?.function ?? '')).toBe(256);
  });

  test('has no names where the module has none, and restores how traces are written', () => {
    const prepare = Error.prepareStackTrace;
    const stack = stackOf('(module (func (export "run") unreachable))');
    expect(stack).toMatchObject([{ functionIndex: 0 }]);
    expect(Error.prepareStackTrace).toBe(prepare);
  });

  test('gives positions as they are in the module as published', () => {
    const bytes = wat('(module (func (export "run") (local i32) (loop (local.set 0 (i32.const 7))) unreachable))');
    const [frame] = stackOf(bytes);
    expect(bytes[frame?.offset ?? 0]).toBe(0x00);
    expect(bytes.indexOf(0x0b, frame?.offset)).toBe((frame?.offset ?? 0) + 1);
  });

  test('of an error without guest frames is empty', () => {
    expect(guestStackOf(new Error('host'), meteredGuest(wat('(module)')).offsets)).toEqual([]);
  });
});

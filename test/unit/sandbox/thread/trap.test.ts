import { describe, expect, test } from 'vitest';
import type { OutcomeKind } from '../../../../src/model/outcome.ts';
import { type Trap, trapOf } from '../../../../src/sandbox/thread/trap.ts';
import { meteredGuest } from '../../../helpers/metered.ts';
import { wat, watWithNames } from '../../../helpers/wat.ts';

const { offsets } = meteredGuest(wat('(module)'));

function trapIn(body: string): Trap | undefined {
  const { exports, offsets } = meteredGuest(watWithNames(`(module $guest ${body})`));
  try {
    (exports['run'] as () => void)();
  } catch (error) {
    return trapOf(error, offsets);
  }
  throw new Error('The guest did not trap');
}

const run = (code: string): string => `(func $run (export "run") ${code})`;
const call = '(call_indirect (type $t) (i32.const';

const traps: readonly (readonly [string, OutcomeKind, string])[] = [
  ['unreachable', 'UNREACHABLE', run('unreachable')],
  ['a load beyond the memory', 'OUT_OF_BOUNDS', `(memory 1) ${run('(drop (i32.load (i32.const 65533)))')}`],
  [
    'a bulk copy beyond the memory',
    'OUT_OF_BOUNDS',
    `(memory 1) ${run('(memory.fill (i32.const 65536) (i32.const 0) (i32.const 1))')}`,
  ],
  [
    'a passive segment that is too short',
    'OUT_OF_BOUNDS',
    `(memory 1) (data $d "x") ${run('(memory.init $d (i32.const 0) (i32.const 0) (i32.const 2))')}`,
  ],
  ['a table element beyond the table', 'OUT_OF_BOUNDS', `(table 1 funcref) ${run('(drop (table.get (i32.const 1)))')}`],
  ['an indirect call beyond the table', 'OUT_OF_BOUNDS', `(type $t (func)) (table 1 funcref) ${run(`${call} 5))`)}`],
  ['an indirect call of null', 'INDIRECT_CALL', `(type $t (func)) (table 1 funcref) ${run(`${call} 0))`)}`],
  [
    'an indirect call of another type',
    'INDIRECT_CALL',
    `(type $t (func)) (table funcref (elem $f)) (func $f (param i32)) ${run(`${call} 0))`)}`,
  ],
  ['a division by zero', 'ARITHMETIC', run('(drop (i32.div_s (i32.const 1) (i32.const 0)))')],
  ['a remainder by zero', 'ARITHMETIC', run('(drop (i64.rem_u (i64.const 1) (i64.const 0)))')],
  ['a quotient that overflows', 'ARITHMETIC', run('(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))')],
  ['a float that is no integer', 'ARITHMETIC', run('(drop (i32.trunc_f64_s (f64.const nan)))')],
  ['calls that nest too deeply', 'STACK_OVERFLOW', run('(call $run)')],
  ['an exception that nobody catches', 'UNCAUGHT_EXCEPTION', `(tag $e) ${run('(throw $e)')}`],
];

describe('trapOf', () => {
  test.each(traps)('takes %s for %s', (_what, kind, body) => {
    expect(trapIn(body)?.kind).toBe(kind);
  });

  test('says what V8 says, on one line and bounded', () => {
    expect(trapOf(new WebAssembly.RuntimeError('odd\nnews'), offsets)).toMatchObject({
      kind: 'TRAP',
      message: 'The guest trapped: odd\\u000anews',
    });
    const long = trapOf(new WebAssembly.RuntimeError('x'.repeat(5_000)), offsets)?.message ?? '';
    expect(long.length).toBeGreaterThan(100);
    expect(Buffer.byteLength(long)).toBeLessThan(600);
  });

  test('leaves errors of the host alone', () => {
    expect(trapOf(new TypeError('unreachable'), offsets)).toBeUndefined();
    expect(trapOf(new RangeError('Out of memory'), offsets)).toBeUndefined();
    expect(trapOf(undefined, offsets)).toBeUndefined();
  });

  test('names the guest’s frames, innermost first', () => {
    const trap = trapIn(`(func $inner unreachable) ${run('(call $inner)')}`);
    expect(trap?.guestStack).toMatchObject([
      { function: 'inner', functionIndex: 0 },
      { function: 'run', functionIndex: 1 },
    ]);
    expect(trap?.guestStack.every(({ offset }) => offset > 8)).toBe(true);
  });

  test('leaves out the functions that metering added', () => {
    const body = `(memory 0) (table 1 funcref) ${run('(table.grow (ref.null func) (i32.const 1)) drop (call $run)')}`;
    const stack = trapIn(body)?.guestStack ?? [];
    expect(stack.length).toBeGreaterThan(0);
    expect(stack.every((frame) => frame.function === 'run' && frame.functionIndex === 0)).toBe(true);
  });
});

import { describe, expect, test } from 'vitest';
import { Profiler } from '../../../../src/sandbox/thread/profiler.ts';
import { meteredGuest } from '../../../helpers/metered.ts';
import { watWithNames } from '../../../helpers/wat.ts';

const guest = watWithNames(`(module (import "host" "look" (func $look))
  (func $leaf (call $look))
  (func $nest (param i32) (if (local.get 0) (then (call $nest (i32.sub (local.get 0) (i32.const 1)))) (else (call $leaf))))
  (func $run (export "run") (call $leaf) (call $leaf) (call $nest (i32.const 3)) (call $look)))`);

function profileOf(): Profiler['profile'] {
  let profiler: Profiler | undefined;
  const { exports, offsets } = meteredGuest(guest, { host: { look: () => profiler?.look() } });
  profiler = new Profiler(offsets);
  (exports['run'] as () => void)();
  return profiler.profile;
}

describe('Profiler', () => {
  test('counts who was innermost, and once each who was on the stack', () => {
    const { slices, functions } = profileOf();
    expect(slices).toBe(4);
    expect(functions).toEqual([
      { function: 'leaf', functionIndex: 1, selfSlices: 3, totalSlices: 3 },
      { function: 'run', functionIndex: 3, selfSlices: 1, totalSlices: 4 },
      { function: 'nest', functionIndex: 2, selfSlices: 0, totalSlices: 1 },
    ]);
  });

  test('sees the same in every run', () => {
    expect(profileOf()).toEqual(profileOf());
  });

  test('counts nothing when no guest is on the stack', () => {
    const profiler = new Profiler(meteredGuest(guest, { host: { look: () => {} } }).offsets);
    profiler.look();
    expect(profiler.profile).toMatchObject({ slices: 0, functions: [] });
  });
});

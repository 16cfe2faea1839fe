/** Valid modules that between them use everything that the decoder knows. */

import { wat, watWithNames } from '../../helpers/wat.ts';
import { body, bytesOf, moduleOf, section } from './bytes.ts';

const everyday = watWithNames(`(module
  (import "env" "log" (func $log (param i32 i64) (result f32 f64)))
  (import "env" "memory" (memory 1 4))
  (import "env" "table" (table $t 3 9 funcref))
  (import "env" "base" (global $base i32))
  (import "env" "count" (global $count (mut i64)))
  (table $u 2 externref)
  (global $mine (export "mine") (mut i32) (i32.const -5))
  (global $sum i32 (i32.add (global.get $base) (i32.const 3)))
  (func $twice (export "twice") (param $x i32) (result i32)
    (local $unused f64) (local $vector v128)
    (local.set $vector (v128.const i32x4 1 2 3 4))
    (i32.add (local.get $x) (i32x4.extract_lane 0 (i8x16.swizzle (local.get $vector) (local.get $vector)))))
  (func $switch (export "switch") (param i32) (result i32)
    (block $a (block $b (block $c (br_table $a $b $c (local.get 0))))) 
    (i32.trunc_sat_f64_s (f64.const 1.5)) (i32.extend8_s))
  (func $bulk (export "bulk")
    (memory.init $d (i32.const 0) (i32.const 0) (i32.const 2)) (data.drop $d)
    (memory.copy (i32.const 0) (i32.const 8) (i32.const 4)) (memory.fill (i32.const 0) (i32.const 1) (i32.const 9))
    (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)) (elem.drop $e)
    (drop (table.grow $u (ref.null extern) (i32.const 1))) (table.set $u (i32.const 0) (ref.null extern)))
  (func $tail (export "tail") (param i32) (result i32) (return_call $twice (local.get 0)))
  (func (export "atomics") (param i32) (result i32) (i32.atomic.rmw.add (local.get 0) (i32.const 1)) (atomic.fence))
  (elem (table $t) (i32.const 1) func $twice $tail)
  (elem $e func $bulk)
  (elem declare func $switch)
  (data (i32.const 16) "data")
  (data $d "passive")
  (func $begin (export "_initialize"))
  (start $begin))`);

/** The data section is written by hand: wabt leaves out the memory index. */
const memories = bytesOf(
  wat(`(module
  (import "a" "f" (func $f (result i32)))
  (import "a" "m0" (memory $m0 1 3))
  (import "a" "t0" (table $t0 2 funcref))
  (import "a" "g" (func $g (param i32)))
  (import "a" "m1" (memory $m1 i64 1))
  (import "a" "t1" (table $t1 1 8 externref))
  (memory $m2 2)
  (table $t2 4 4 funcref)
  (func (export "read") (param i32) (result i32)
    (i32.add (i32.load8_u $m0 (local.get 0))
      (i32.add (i32.load8_u $m1 (i64.extend_i32_u (local.get 0))) (i32.load8_u $m2 offset=70000 (local.get 0)))))
  (func (export "grow0") (param i32) (result i32) (memory.grow $m0 (local.get 0)))
  (func (export "grow1") (param i64) (result i64) (memory.grow $m1 (local.get 0)))
  (func (export "grow2") (param i32) (result i32) (memory.grow $m2 (local.get 0)))
  (func $seven (result i32) (i32.const 7))
  (func (export "seven") (param i32) (result i32) (call_indirect $t2 (result i32) (local.get 0)))
  (func (export "imported") (param i32) (result i32) (call_indirect $t0 (result i32) (local.get 0)))
  (elem (table $t0) (i32.const 1) func $f)
  (elem (table $t2) (i32.const 3) func $seven))`),
  section(
    'data',
    3,
    [0, [0x41, 0, 0x0b], [1, 0x01]],
    [2, 1, [0x42, 0, 0x0b], [1, 0x02]],
    [2, 2, [0x41, [0xf0, 0xa2, 0x04], 0x0b], [1, 0x04]],
  ),
);

const legacyExceptions = wat(`(module
  (tag $t (export "tag") (param i32))
  (func (export "f") (result i32)
    (try (result i32)
      (do (try (result i32) (do (throw $t (i32.const 3))) (delegate 0)))
      (catch $t)
      (catch_all (rethrow 0)))))`);

const exceptions = wat(`(module
  (import "env" "tag" (tag $i (param i64)))
  (tag $t (param i32))
  (func (export "f") (result i32)
    (block $caught (result i32)
      (try_table (catch $t $caught) (throw $t (i32.const 3)))
      (i32.const 0))))`);

/** Groups, subtypes, structs, packed arrays, typed tables with initialisers, casts: all by hand. */
const garbageCollected = moduleOf(
  section(
    'type',
    6,
    [0x4e, 2, [0x50, 0, 0x5f, 2, 0x7f, 1, 0x63, 1, 0], [0x4f, 1, 0, 0x5f, 3, 0x7f, 1, 0x63, 1, 0, 0x78, 1]],
    [0x5e, 0x77, 1],
    [0x60, 0, 1, 0x7f],
    [0x60, 1, 0x6e, 1, 0x64, 0x6c],
    [0x50, 0, 0x60, 0, 0],
    [0x4e, 0],
  ),
  section('function', 3, 3, 4, 5),
  section('table', 2, [0x40, 0, 0x64, 0x6c, 0, 2, 0x41, 5, 0xfb, 28, 0x0b], [0x63, 0, 1, 1, 3]),
  section('global', 1, [0x63, 0, 0, 0x41, 1, 0xd0, 1, 0xfb, 0, 0, 0x0b]),
  section('export', 2, ['size', 0, 0], ['cast', 0, 1]),
  section(
    'code',
    3,
    body([0x41, 8, 0xfb, 7, 2], [0xfb, 15]),
    body([0x02, 0x64, 0x6c], [0x20, 0, 0xfb, 24, 1, 0, 0x6e, 0x6c, 0x1a], [0x41, 1, 0xfb, 28], 0x0b),
    body(0x01),
  ),
);

/** Limits of 64 bits in a table, sizes and indices padded to their full length, odd custom sections. */
const padded = moduleOf(
  section('custom', 'sourceMappingURL', 'https://example.invalid/a.map'),
  section('type', [0x81, 0x80, 0x80, 0x80, 0x00], [0x60, 0, 0]),
  section('custom', '', 1, 2, 3),
  Uint8Array.of(3, 0x83, 0x80, 0x80, 0x80, 0x00, 1, 0x80, 0x00),
  section('table', 1, [0x70, 5, 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]]),
  section('custom', 'name', 9, 9, 9),
  // Two locals groups, one of them empty; an empty block type in two bytes; a padded sub-opcode and a padded index.
  section(
    'code',
    1,
    [0x94, 0x80, 0x80, 0x80, 0x00],
    [2, 0, 0x7f, 1, 0x7e],
    [0x02, 0xc0, 0x7f, 0x0b, 0xd0, 0xf0, 0x7f, 0x1a, 0xfc, 0x90, 0x00, 0x80, 0x00, 0x1a],
    0x0b,
  ),
  section('custom', '.debug_info', 1, 2, 3),
);

export const fixtures: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
  everyday,
  memories,
  legacyExceptions,
  exceptions,
  garbageCollected,
  padded,
  empty: moduleOf(),
};

export function fixture(name: string): Uint8Array<ArrayBuffer> {
  const bytes = fixtures[name];
  if (bytes === undefined) throw new Error(`No fixture is called "${name}"`);
  return bytes;
}

/** Small guests in the text format, each for one behaviour. */

/** Never ends. */
export const spin = '(module (func (export "run") (loop (br 0))))';

/** Never ends in its start function. */
export const spinAtStart = '(module (func $s (loop (br 0))) (start $s) (func (export "run")))';

/** Grows its memory until it is refused, touching each page, then traps. */
export const hungry = `(module (memory (export "memory") 0)
  (func (export "run")
    (loop
      (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
      (memory.fill (i32.mul (i32.sub (memory.size) (i32.const 16)) (i32.const 65536)) (i32.const 1) (i32.const 1048576))
      (br 0))))`;

/** Nests its calls without end. */
export const recursive = '(module (func $f (export "run") (call $f)))';

/** Does nothing. */
export const nop = '(module (func (export "run")))';

/** Gives the constant text "hello". */
export const hello = `(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (memory 1) (data (i32.const 0) "hello")
  (func (export "run") (result i32) (local $at i64) (local $i i32)
    (local.set $at (call $alloc (i64.const 5)))
    (loop
      (call $store (i64.add (local.get $at) (i64.extend_i32_u (local.get $i))) (i32.load8_u (local.get $i)))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5))))
    (call $output (local.get $at) (i64.const 5))
    (i32.const 0)))`;

/** Reports progress \`count\` times, then ends, or spins on if told to. */
export function progressing(count: number, then: 'end' | 'spin' = 'end'): string {
  return `(module
  (import "extism:host/user" "progress" (func $progress (param f64 i64 i64)))
  (func (export "run") (local $i i32)
    (loop
      (call $progress (f64.div (f64.convert_i32_u (local.get $i)) (f64.const ${count})) (i64.const 0) (i64.const 0))
      (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const ${count}))))
    ${then === 'spin' ? '(loop (br 0))' : ''}))`;
}

/** Gives an output of so many bytes. */
export function outputOf(bytes: number): string {
  return `(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (func (export "run") (call $output (call $alloc (i64.const ${bytes})) (i64.const ${bytes}))))`;
}

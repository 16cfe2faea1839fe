;; Three functions that do next to nothing: what is left is the cost of a call.
(module
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))

  ;; Output = input.
  (func (export "echo") (result i32)
    (local $length i64) (local $words i64) (local $block i64) (local $i i64)
    (local.set $length (call $input_length))
    (local.set $words (i64.and (local.get $length) (i64.const -8)))
    (local.set $block (call $alloc (local.get $length)))
    (block $moved
      (loop $move
        (br_if $moved (i64.eq (local.get $i) (local.get $words)))
        (call $store_u64 (i64.add (local.get $block) (local.get $i)) (call $input_load_u64 (local.get $i)))
        (local.set $i (i64.add (local.get $i) (i64.const 8)))
        (br $move)))
    (block $done
      (loop $tail
        (br_if $done (i64.eq (local.get $i) (local.get $length)))
        (call $store_u8 (i64.add (local.get $block) (local.get $i)) (call $input_load_u8 (local.get $i)))
        (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (br $tail)))
    (call $output_set (local.get $block) (local.get $length))
    (i32.const 0))

  ;; Output = the bytes of the input from the last to the first.
  (func (export "reverse") (result i32)
    (local $length i64) (local $words i64) (local $block i64) (local $i i64)
    (local.set $length (call $input_length))
    (local.set $words (i64.and (local.get $length) (i64.const -8)))
    (local.set $block (call $alloc (local.get $length)))
    (block $moved
      (loop $move
        (br_if $moved (i64.eq (local.get $i) (local.get $words)))
        (call $store_u64
          (i64.add (local.get $block) (i64.sub (i64.sub (local.get $length) (local.get $i)) (i64.const 8)))
          (call $swap (call $input_load_u64 (local.get $i))))
        (local.set $i (i64.add (local.get $i) (i64.const 8)))
        (br $move)))
    (block $done
      (loop $tail
        (br_if $done (i64.eq (local.get $i) (local.get $length)))
        (call $store_u8
          (i64.add (local.get $block) (i64.sub (i64.sub (local.get $length) (local.get $i)) (i64.const 1)))
          (call $input_load_u8 (local.get $i)))
        (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (br $tail)))
    (call $output_set (local.get $block) (local.get $length))
    (i32.const 0))

  ;; Nothing at all.
  (func (export "nop"))

  ;; The eight bytes in reverse order.
  (func $swap (param $word i64) (result i64)
    (local.set $word
      (i64.or
        (i64.shl (i64.and (local.get $word) (i64.const 0x00ff00ff00ff00ff)) (i64.const 8))
        (i64.and (i64.shr_u (local.get $word) (i64.const 8)) (i64.const 0x00ff00ff00ff00ff))))
    (local.set $word
      (i64.or
        (i64.shl (i64.and (local.get $word) (i64.const 0x0000ffff0000ffff)) (i64.const 16))
        (i64.and (i64.shr_u (local.get $word) (i64.const 16)) (i64.const 0x0000ffff0000ffff))))
    (i64.rotl (local.get $word) (i64.const 32))))

;; Variables hold within a run and are gone in the next.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "load_u8" (func $load_u8 (param i64) (result i32)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "var_get" (func $var_get (param i64) (result i64)))
  (import "extism:host/env" "var_set" (func $var_set (param i64 i64)))

  (func $byte (param $value i32) (result i64)
    (local $block i64)
    (local.set $block (call $alloc (i64.const 1)))
    (call $store_u8 (local.get $block) (local.get $value))
    (local.get $block))

  (func $output_byte (param $value i32)
    (call $output_set (call $byte (local.get $value)) (i64.const 1)))

  ;; The variable "k": "0" if there is none, else its first byte.
  (func $get (result i32)
    (local $value i64)
    (local.set $value (call $var_get (call $byte (i32.const 107))))
    (if (result i32) (i64.eqz (local.get $value))
      (then (i32.const 48))
      (else (call $load_u8 (local.get $value)))))

  (func $set (param $value i32) (call $var_set (call $byte (i32.const 107)) (call $byte (local.get $value))))

  (func (export "count")
    (call $set (i32.add (call $get) (i32.const 1)))
    (call $output_byte (call $get)))
  (func (export "count_thrice")
    (call $set (i32.add (call $get) (i32.const 1)))
    (call $set (i32.add (call $get) (i32.const 1)))
    (call $set (i32.add (call $get) (i32.const 1)))
    (call $output_byte (call $get)))
  (func (export "delete")
    (call $set (i32.const 57))
    (call $var_set (call $byte (i32.const 107)) (i64.const 0))
    (call $output_byte (call $get)))
  ;; A block that var_get gave is a copy: writing to it does not change the variable.
  (func (export "write_to_copy")
    (call $set (i32.const 49))
    (call $store_u8 (call $var_get (call $byte (i32.const 107))) (i32.const 50))
    (call $output_byte (call $get))))

;; Output = the value of the key that the input names, or "none".
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "length" (func $length (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "config_get" (func $config_get (param i64) (result i64)))

  (func $input_block (result i64)
    (local $block i64) (local $i i64)
    (local.set $block (call $alloc (call $input_length)))
    (block $done
      (loop $next
        (br_if $done (i64.eq (local.get $i) (call $input_length)))
        (call $store_u8 (i64.add (local.get $block) (local.get $i)) (call $input_load_u8 (local.get $i)))
        (local.set $i (i64.add (local.get $i) (i64.const 1)))
        (br $next)))
    (local.get $block))

  (func (export "get")
    (local $value i64)
    (local.set $value (call $config_get (call $input_block)))
    (if (i64.eqz (local.get $value))
      (then
        (local.set $value (call $alloc (i64.const 8)))
        (call $store_u64 (local.get $value) (i64.const 0x656e6f6e))
        (call $output_set (local.get $value) (i64.const 4)))
      (else (call $output_set (local.get $value) (call $length (local.get $value)))))))

;; How a guest says that it failed.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "error_set" (func $error_set (param i64)))
  (import "extism:host/env" "error_get" (func $error_get (result i64)))

  ;; A block that holds the eight bytes of the word.
  (func $word (param $word i64) (result i64)
    (local $block i64)
    (local.set $block (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $block) (local.get $word))
    (local.get $block))

  ;; "too late", little-endian
  (func $set_error (call $error_set (call $word (i64.const 0x6574616c206f6f74))))

  (func (export "error_and_code") (result i32) (call $set_error) (i32.const 1))
  (func (export "error_and_zero") (result i32) (call $set_error) (i32.const 0))
  (func (export "error_and_no_result") (call $set_error))
  (func (export "code_alone") (result i32) (i32.const 7))
  (func (export "error_cleared") (result i32)
    (call $set_error)
    (call $error_set (i64.const 0))
    (i32.ne (i32.wrap_i64 (call $error_get)) (i32.const 0)))
  (func (export "error_and_output") (result i32)
    (call $output_set (call $word (i64.const 0x3132333435363738)) (i64.const 8))
    (call $set_error)
    (i32.const 0))
  (func (export "error_and_trap") (result i32) (call $set_error) (unreachable)))

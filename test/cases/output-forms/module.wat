;; What counts as the output.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))

  ;; "abcdefgh", little-endian
  (func $letters (result i64)
    (local $block i64)
    (local.set $block (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $block) (i64.const 0x6867666564636261))
    (local.get $block))

  (func (export "middle_of_a_block") (call $output_set (i64.add (call $letters) (i64.const 2)) (i64.const 3)))
  (func (export "set_twice")
    (call $output_set (call $letters) (i64.const 8))
    (call $output_set (call $letters) (i64.const 1)))
  (func (export "set_to_nothing")
    (call $output_set (call $letters) (i64.const 8))
    (call $output_set (i64.const 0) (i64.const 0)))
  (func (export "never_set"))
  (func (export "input_itself") (call $output_set (call $input_offset) (call $input_length)))
  (func (export "written_after_set")
    (local $block i64)
    (local.set $block (call $letters))
    (call $output_set (local.get $block) (i64.const 8))
    (call $store_u64 (local.get $block) (i64.const 0x4847464544434241))))

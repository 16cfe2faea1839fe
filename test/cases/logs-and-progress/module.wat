;; What a guest reports while it runs.
(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "store_u64" (func $store_u64 (param i64 i64)))
  (import "extism:host/env" "log_debug" (func $log_debug (param i64)))
  (import "extism:host/env" "log_info" (func $log_info (param i64)))
  (import "extism:host/env" "log_warn" (func $log_warn (param i64)))
  (import "extism:host/env" "log_error" (func $log_error (param i64)))
  (import "extism:host/user" "progress" (func $progress (param f64 i64 i64)))

  (func $word (param $word i64) (result i64)
    (local $block i64)
    (local.set $block (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $block) (local.get $word))
    (local.get $block))

  (func (export "levels")
    (call $log_debug (call $word (i64.const 0x2020206775626564)))
    (call $log_info (call $word (i64.const 0x202020206f666e69)))
    (call $log_warn (call $word (i64.const 0x202020206e726177)))
    (call $log_error (call $word (i64.const 0x202020726f727265))))
  ;; ff fe "aaaaaa": no UTF-8
  (func (export "bad_text") (call $log_info (call $word (i64.const 0x616161616161feff))))
  (func (export "half") (call $progress (f64.const 0.5) (call $word (i64.const 0x79617720666c6168)) (i64.const 0)))
  (func (export "unknown") (call $progress (f64.const nan) (call $word (i64.const 0x202020206f666e69)) (i64.const 0)))
  (func (export "no_message") (call $progress (f64.const 0.25) (i64.const 0) (i64.const 0)))
  (func (export "too_far") (call $progress (f64.const 7) (i64.const 0) (i64.const 0))))

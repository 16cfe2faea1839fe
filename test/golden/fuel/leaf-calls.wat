;; Calls of functions that never touch the counter.
(module
  (func $twice (param i32) (result i32) (i32.add (local.get 0) (local.get 0)))
  (func $four (param i32) (result i32) (call $twice (call $twice (local.get 0))))
  (func (export "run") (result i32) (local $turn i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.xor (local.get $sum) (call $four (local.get $turn))))
      (br_if $again (i32.ne (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 30))))
    (local.get $sum)))

;; Two results, blocks that yield values, and a select.
(module
  (func $divide (param i32 i32) (result i32 i32)
    (i32.div_u (local.get 0) (local.get 1))
    (i32.rem_u (local.get 0) (local.get 1)))
  (func (export "run") (result i32) (local $turn i32) (local $sum i32)
    (loop $again
      (call $divide (i32.mul (local.get $turn) (i32.const 17)) (i32.const 5))
      (local.set $sum (i32.add (select (local.get $sum) (i32.const 1) (local.get $turn))))
      (local.set $sum (i32.add (local.get $sum)))
      (br_if $again (i32.ne (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 12))))
    (block $out (result i32)
      (drop (br_if $out (local.get $sum) (i32.gt_u (local.get $sum) (i32.const 100))))
      (i32.const 0))))

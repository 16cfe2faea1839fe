;; A function with locals of its own that returns from many places.
(module
  (func $classify (param i32) (result i32) (local $half i32)
    (if (i32.eqz (local.get 0)) (then (return (i32.const 7))))
    (local.set $half (i32.shr_u (local.get 0) (i32.const 1)))
    (loop $again
      (if (i32.eq (local.get $half) (i32.const 3)) (then (return (local.get $half))))
      (br_if $again (local.tee $half (i32.shr_u (local.get $half) (i32.const 1)))))
    (i32.const 1))
  (func (export "run") (result i32) (local $turn i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (call $classify (local.get $turn))))
      (br_if $again (i32.ne (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 40))))
    (local.get $sum)))

;; Arms of different costs, of which each turn takes another.
(module
  (func (export "run") (result i32) (local $turn i32) (local $sum i32)
    (loop $again
      (if (i32.and (local.get $turn) (i32.const 1))
        (then (local.set $sum (i32.add (local.get $sum) (i32.const 3))))
        (else
          (local.set $sum (i32.mul (local.get $sum) (i32.const 2)))
          (local.set $sum (i32.sub (local.get $sum) (i32.const 1)))))
      (br_if $again (i32.lt_s (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 9))))
    (local.get $sum)))

;; A br_table inside a loop, with labels inside and outside of it.
(module
  (func (export "run") (result i32) (local $turn i32) (local $sum i32)
    (block $out
      (loop $again
        (local.set $turn (i32.add (local.get $turn) (i32.const 1)))
        (block $add
          (block $double
            (br_table $add $double $again $out (i32.rem_u (local.get $turn) (i32.const 5))))
          (local.set $sum (i32.shl (local.get $sum) (i32.const 1)))
          (br $again))
        (local.set $sum (i32.add (local.get $sum) (local.get $turn)))
        (br_if $again (i32.lt_u (local.get $turn) (i32.const 50)))))
    (local.get $sum)))

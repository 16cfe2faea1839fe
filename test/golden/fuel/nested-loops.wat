;; A loop in a loop, both left by branches.
(module
  (func (export "run") (result i32) (local $i i32) (local $j i32) (local $sum i32)
    (block $done
      (loop $outer
        (br_if $done (i32.ge_u (local.get $i) (i32.const 20)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (local.set $j (i32.const 0))
        (loop $inner
          (br_if $outer (i32.gt_u (local.get $j) (local.get $i)))
          (local.set $sum (i32.add (local.get $sum) (local.get $j)))
          (local.set $j (i32.add (local.get $j) (i32.const 2)))
          (br $inner))))
    (local.get $sum)))

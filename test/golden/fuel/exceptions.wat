;; Exceptions thrown in a call and caught around it.
(module
  (tag $odd (param i32))
  (func $check (param i32)
    (if (i32.and (local.get 0) (i32.const 1)) (then (throw $odd (local.get 0)))))
  (func (export "run") (result i32) (local $turn i32) (local $sum i32)
    (loop $again
      (try
        (do (call $check (local.get $turn)))
        (catch $odd (local.set $sum (i32.add (local.get $sum)))))
      (br_if $again (i32.ne (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 10))))
    (local.get $sum)))

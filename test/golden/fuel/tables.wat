;; Table instructions, which cost by the element.
(module
  (table $t 20 100 funcref)
  (elem $e func $f $f $f)
  (func $f)
  (func (export "run")
    (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 3))
    (table.copy $t $t (i32.const 5) (i32.const 0) (i32.const 3))
    (table.fill $t (i32.const 10) (ref.null func) (i32.const 8))
    (table.set $t (i32.const 1) (table.get $t (i32.const 5)))
    (drop (table.grow $t (ref.null func) (i32.const 4)))))

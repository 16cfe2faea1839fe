;; Bulk operations, which cost by the byte.
(module
  (memory 2)
  (data $words "sixteen bytes of")
  (func (export "run")
    (memory.init $words (i32.const 0) (i32.const 0) (i32.const 16))
    (memory.fill (i32.const 100) (i32.const 7) (i32.const 1000))
    (memory.copy (i32.const 2000) (i32.const 100) (i32.const 60000))
    (memory.copy (i32.const 0) (i32.const 16) (i32.const 0))))

;; Growth that is granted and growth that is not.
(module
  (memory 1 4)
  (func (export "run") (result i32)
    (drop (memory.grow (i32.const 2)))
    (drop (memory.grow (i32.const 0)))
    (drop (memory.grow (i32.const 60000)))
    (memory.size)))

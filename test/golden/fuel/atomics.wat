;; Atomic instructions on a memory of one's own.
(module
  (memory 1 1)
  (func (export "run") (result i32)
    (i32.atomic.store (i32.const 8) (i32.const 5))
    (drop (i32.atomic.rmw.add (i32.const 8) (i32.const 3)))
    (drop (i32.atomic.rmw.cmpxchg (i32.const 8) (i32.const 8) (i32.const 9)))
    (drop (memory.atomic.notify (i32.const 8) (i32.const 1)))
    (atomic.fence)
    (i32.atomic.load (i32.const 8))))

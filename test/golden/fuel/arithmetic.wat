;; Integer arithmetic, divisions, and conversions.
(module
  (func (export "run") (result i64)
    (i64.add
      (i64.div_u (i64.const 1000) (i64.const 7))
      (i64.extend_i32_s (i32.rem_s (i32.mul (i32.const 13) (i32.const 5)) (i32.const 11))))))

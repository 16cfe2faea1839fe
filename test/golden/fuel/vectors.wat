;; Instructions on vectors, with a division and a square root.
(module
  (func (export "run") (result i32)
    (i32x4.extract_lane 2
      (i32x4.trunc_sat_f32x4_s
        (f32x4.sqrt
          (f32x4.div
            (f32x4.mul (f32x4.splat (f32.const 12)) (v128.const f32x4 1 2 3 4))
            (f32x4.splat (f32.const 1))))))))

;; Float division and square roots.
(module
  (func (export "run") (result f64)
    (f64.sqrt (f64.div (f64.promote_f32 (f32.sqrt (f32.const 9))) (f64.const 4)))))

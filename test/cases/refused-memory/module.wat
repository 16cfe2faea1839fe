(module
  (memory 9)
  (func (export "run")))

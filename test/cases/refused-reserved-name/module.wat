(module
  (func (export "run"))
  (func (export "caisson:start")))

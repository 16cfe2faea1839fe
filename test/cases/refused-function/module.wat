(module
  (func (export "takes_a_parameter") (param i32)))

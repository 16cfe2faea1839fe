;; Never ends.
(module
  (func (export "spin") (loop $again (br $again)))
  (func (export "return_at_once")))

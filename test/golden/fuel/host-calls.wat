;; Calls of the host, one of which has a price by its operand.
(module
  (import "host" "plain" (func $plain))
  (import "host" "priced" (func $priced (param i64)))
  (func (export "run")
    (call $plain)
    (call $priced (i64.const 0))
    (call $priced (i64.const 1600))
    (call $plain)))

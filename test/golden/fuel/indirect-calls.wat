;; Calls through a table: what is called pays for itself.
(module
  (type $operation (func (param i32) (result i32)))
  (table funcref (elem $increment $negate $shift))
  (func $increment (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $negate (param i32) (result i32) (i32.sub (i32.const 0) (local.get 0)))
  (func $shift (param i32) (result i32) (i32.xor (local.get 0) (i32.shl (local.get 0) (i32.const 3))))
  (func (export "run") (result i32) (local $turn i32) (local $value i32)
    (loop $again
      (local.set $value
        (call_indirect (type $operation) (local.get $value) (i32.rem_u (local.get $turn) (i32.const 3))))
      (br_if $again (i32.ne (local.tee $turn (i32.add (local.get $turn) (i32.const 1))) (i32.const 33))))
    (local.get $value)))

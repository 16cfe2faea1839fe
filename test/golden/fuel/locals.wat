;; Entries of functions with many locals.
(module
  (func $many (local i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i64 i64 i64 i64 i64 i64 f64))
  (func $few (local i32 i32 i32 i32 i32 i32 i32))
  (func (export "run") (call $many) (call $few) (call $many)))

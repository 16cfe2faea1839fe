;; The kernel: stands for the module "extism:host/env" beside every guest. It
;; owns the memory blocks of the Extism ABI, the input, the output and the
;; error, so that a guest's loads and stores are calls from Wasm to Wasm. It does
;; not know what config, variables and logs mean: those are host imports, handed
;; on.
;;
;; Memory, from the bottom:
;;   0 .. 1024     out of a guest's reach: the heads of the free lists
;;   1024 .. top   in its reach; from 1040 the heap, one block after the other,
;;                 each a header of 8 bytes, then its bytes, a multiple of 8
;;   top .. mark   was heap once, is not zero
;;
;; Header of a block in use: length         | 0x43415355 << 32
;; Header of a free block:   next of class  | (0x43414600 + class) << 32
;;
;; Classes are 8, 16, 24 and 32 bytes, then four to each doubling; the capacity
;; of a block follows from its length. A freed block goes to the list of its
;; class, or, if it is the last of the heap, back to the space above the heap. Its
;; bytes stay as they are until it is taken again and zeroed. So a loop that
;; allocates and frees takes no more room than one round of it, and a heap cannot
;; break into ever smaller pieces.
;;
;; A guest can write anywhere in its reach, headers included, with store_u8 and
;; store_u64. What it forges is not believed: every address read from the heap is
;; checked to be a header inside the heap before use, nothing walks a list, and
;; list heads, top, mark and limit are out of reach. The worst that forging can do
;; is to make two of the guest's own blocks overlap, and the memory dies with the
;; instance.
;;
;; Addresses are u64, as the ABI has them. What lies out of reach, 2^32 and beyond
;; included, reads as 0 and ignores writes.
(module $caisson-kernel
  (import "caisson:host" "kernel_exhausted" (func $kernel_exhausted))
  ;; These answer -1 to have the guest stopped here, where it cannot catch it.
  (import "caisson:host" "config_get" (func $host_config_get (param i64) (result i64)))
  (import "caisson:host" "var_get" (func $host_var_get (param i64) (result i64)))
  (import "caisson:host" "var_set" (func $host_var_set (param i64 i64) (result i32)))
  (import "caisson:host" "http_request" (func $host_http_request (param i64 i64) (result i64)))
  (import "caisson:host" "http_headers" (func $host_http_headers (result i64)))
  (import "caisson:host" "http_status_code" (func $http_status_code (result i32)))
  (import "caisson:host" "log_trace" (func $log_trace (param i64)))
  (import "caisson:host" "log_debug" (func $log_debug (param i64)))
  (import "caisson:host" "log_info" (func $log_info (param i64)))
  (import "caisson:host" "log_warn" (func $log_warn (param i64)))
  (import "caisson:host" "log_error" (func $log_error (param i64)))
  (import "caisson:host" "get_log_level" (func $get_log_level (result i32)))

  ;; For guests.
  (export "log_trace" (func $log_trace))
  (export "log_debug" (func $log_debug))
  (export "log_info" (func $log_info))
  (export "log_warn" (func $log_warn))
  (export "log_error" (func $log_error))
  (export "get_log_level" (func $get_log_level))
  (export "http_status_code" (func $http_status_code))

  ;; For the host alone; admission refuses guests that import them.
  (memory (export "memory") 2 2048)
  (global $limit (export "limit") (mut i64) (i64.const 0))
  (global $output_offset (export "output_offset") (mut i64) (i64.const 0))
  (global $output_length (export "output_length") (mut i64) (i64.const 0))
  (global $error_offset (export "error_offset") (mut i64) (i64.const 0))
  (global $error_length (export "error_length") (mut i64) (i64.const 0))

  (global $input_offset (mut i64) (i64.const 0))
  (global $input_length (mut i64) (i64.const 0))
  ;; End of the heap.
  (global $top (mut i64) (i64.const 1040))
  ;; Nothing at or above it was ever written.
  (global $mark (mut i64) (i64.const 1040))

  ;; Capacity of a block of $length bytes, 1 or more.
  (func $capacity (param $length i32) (result i32)
    (local $step i32)
    (local.set $step (i32.const 8))
    (if (i32.gt_u (local.get $length) (i32.const 32))
      (then
        (local.set $step
          (i32.shl (i32.const 1)
            (i32.sub (i32.const 29) (i32.clz (i32.sub (local.get $length) (i32.const 1))))))))
    (i32.and
      (i32.add (local.get $length) (i32.sub (local.get $step) (i32.const 1)))
      (i32.sub (i32.const 0) (local.get $step))))

  ;; Class of a capacity: 1 to 4 for 8 to 32, then four to each doubling.
  (func $class (param $capacity i32) (result i32)
    (local $power i32)
    (if (i32.le_u (local.get $capacity) (i32.const 32))
      (then (return (i32.shr_u (local.get $capacity) (i32.const 3)))))
    (local.set $power (i32.sub (i32.const 31) (i32.clz (i32.sub (local.get $capacity) (i32.const 1)))))
    (i32.add
      (i32.shl (i32.sub (local.get $power) (i32.const 4)) (i32.const 2))
      (i32.shr_u
        (i32.sub (local.get $capacity) (i32.shl (i32.const 1) (local.get $power)))
        (i32.sub (local.get $power) (i32.const 2)))))

  ;; The upper half of the header before $address; 0 if no header can be there.
  (func $tag (param $address i64) (result i32)
    (if (result i32)
      (i32.and
        (i64.eqz (i64.and (local.get $address) (i64.const 7)))
        (i64.lt_u (i64.sub (local.get $address) (i64.const 1040)) (i64.sub (global.get $top) (i64.const 1040))))
      (then (i32.load (i32.sub (i32.wrap_i64 (local.get $address)) (i32.const 4))))
      (else (i32.const 0))))

  ;; Length of the block in use that begins at $address, all of it inside the heap; else 0.
  (func $length (export "length") (export "length_unsafe") (param $address i64) (result i64)
    (local $length i64)
    (if (i32.ne (call $tag (local.get $address)) (i32.const 0x43415355))
      (then (return (i64.const 0))))
    (local.set $length (i64.load32_u (i32.sub (i32.wrap_i64 (local.get $address)) (i32.const 8))))
    (select
      (local.get $length)
      (i64.const 0)
      (i64.le_u (local.get $length) (i64.sub (global.get $top) (local.get $address)))))

  ;; Takes the first block of the list of a class; 0 if the list is empty. A list
  ;; that does not begin with a free block, because the guest wrote over it, is
  ;; given up.
  (func $reuse (param $class i32) (param $capacity i32) (result i32)
    (local $head i32) (local $block i32)
    (local.set $head (i32.shl (local.get $class) (i32.const 2)))
    (local.set $block (i32.load (local.get $head)))
    (if (i32.eqz (local.get $block)) (then (return (i32.const 0))))
    (if (i32.eqz (call $is_free (local.get $block) (local.get $class) (local.get $capacity)))
      (then
        (i32.store (local.get $head) (i32.const 0))
        (return (i32.const 0))))
    (i32.store (local.get $head) (i32.load (i32.sub (local.get $block) (i32.const 8))))
    (local.get $block))

  ;; Whether a free block of the class begins at $block and ends inside the heap.
  (func $is_free (param $block i32) (param $class i32) (param $capacity i32) (result i32)
    (local $address i64)
    (local.set $address (i64.extend_i32_u (local.get $block)))
    (i32.and
      (i32.eq (call $tag (local.get $address)) (i32.add (i32.const 0x43414600) (local.get $class)))
      (i64.le_u (i64.add (local.get $address) (i64.extend_i32_u (local.get $capacity))) (global.get $top))))

  ;; Takes $size bytes above the heap; 0 if limit or memory does not allow it.
  (func $extend (param $size i64) (result i32)
    (local $block i64) (local $end i64) (local $missing i64)
    (local.set $block (i64.add (global.get $top) (i64.const 8)))
    (local.set $end (i64.add (local.get $block) (local.get $size)))
    (if (i64.gt_u (i64.sub (local.get $end) (i64.const 1040)) (global.get $limit))
      (then (return (i32.const 0))))
    (local.set $missing (i64.sub (local.get $end) (i64.shl (i64.extend_i32_u (memory.size)) (i64.const 16))))
    (if (i64.gt_s (local.get $missing) (i64.const 0))
      (then
        ;; At least 1 MiB at a time: growing is slow.
        (if (i32.eq (i32.const -1)
              (memory.grow (i32.wrap_i64 (i64.shl
                (i64.shr_u (i64.add (local.get $missing) (i64.const 1048575)) (i64.const 20))
                (i64.const 4)))))
          (then (return (i32.const 0))))))
    (global.set $top (local.get $end))
    (i32.wrap_i64 (local.get $block)))

  ;; A zeroed block of $length bytes, or 0 if there is no room. Never traps.
  (func $try_alloc (export "try_alloc") (param $length i64) (result i64)
    (local $capacity i32) (local $block i32)
    ;; The limit is far below 2^31: past this check nothing can overflow.
    (if (i32.or
          (i64.eqz (local.get $length))
          (i64.gt_u (local.get $length) (global.get $limit)))
      (then (return (i64.const 0))))
    (local.set $capacity (call $capacity (i32.wrap_i64 (local.get $length))))
    (local.set $block (call $reuse (call $class (local.get $capacity)) (local.get $capacity)))
    (if (i32.eqz (local.get $block))
      (then
        (local.set $block (call $extend (i64.extend_i32_u (local.get $capacity))))
        (if (i32.eqz (local.get $block)) (then (return (i64.const 0))))))
    (call $zero (i64.extend_i32_u (local.get $block)) (i64.extend_i32_u (local.get $capacity)))
    (i64.store
      (i32.sub (local.get $block) (i32.const 8))
      (i64.or (local.get $length) (i64.const 0x4341535500000000)))
    (i64.extend_i32_u (local.get $block)))

  ;; Zeroes what may not be zero in the $size bytes at $from, and moves the mark past them.
  (func $zero (param $from i64) (param $size i64)
    (local $end i64)
    (local.set $end (i64.add (local.get $from) (local.get $size)))
    (if (i64.gt_u (global.get $mark) (local.get $from))
      (then
        (memory.fill
          (i32.wrap_i64 (local.get $from))
          (i32.const 0)
          (i32.wrap_i64 (i64.sub
            (select (local.get $end) (global.get $mark) (i64.lt_u (local.get $end) (global.get $mark)))
            (local.get $from))))))
    (if (i64.gt_u (local.get $end) (global.get $mark))
      (then (global.set $mark (local.get $end)))))

  (func (export "alloc") (param $length i64) (result i64)
    (local $block i64)
    (if (i64.eqz (local.get $length)) (then (return (i64.const 0))))
    (local.set $block (call $try_alloc (local.get $length)))
    (if (i64.eqz (local.get $block))
      (then (call $kernel_exhausted) (unreachable)))
    (local.get $block))

  ;; Whatever is not a block in use is left alone, a block freed twice included.
  (func (export "free") (param $address i64)
    (local $length i64) (local $capacity i32) (local $class i32) (local $head i32) (local $block i32)
    (local.set $length (call $length (local.get $address)))
    (if (i64.eqz (local.get $length)) (then (return)))
    (local.set $block (i32.wrap_i64 (local.get $address)))
    (local.set $capacity (call $capacity (i32.wrap_i64 (local.get $length))))
    (if (i64.ge_u (i64.add (local.get $address) (i64.extend_i32_u (local.get $capacity))) (global.get $top))
      (then
        (global.set $top (i64.sub (local.get $address) (i64.const 8)))
        (return)))
    (local.set $class (call $class (local.get $capacity)))
    (local.set $head (i32.shl (local.get $class) (i32.const 2)))
    (i32.store (i32.sub (local.get $block) (i32.const 8)) (i32.load (local.get $head)))
    (i32.store (i32.sub (local.get $block) (i32.const 4)) (i32.add (i32.const 0x43414600) (local.get $class)))
    (i32.store (local.get $head) (local.get $block)))

  (func (export "load_u8") (param $address i64) (result i32)
    (if (result i32)
      (i64.lt_u (i64.sub (local.get $address) (i64.const 1024)) (i64.sub (global.get $top) (i64.const 1024)))
      (then (i32.load8_u (i32.wrap_i64 (local.get $address))))
      (else (i32.const 0))))

  (func (export "load_u64") (param $address i64) (result i64)
    (if (result i64)
      (i64.lt_u (i64.sub (local.get $address) (i64.const 1024)) (i64.sub (global.get $top) (i64.const 1031)))
      (then (i64.load (i32.wrap_i64 (local.get $address))))
      (else (i64.const 0))))

  (func (export "store_u8") (param $address i64) (param $value i32)
    (if (i64.lt_u (i64.sub (local.get $address) (i64.const 1024)) (i64.sub (global.get $top) (i64.const 1024)))
      (then (i32.store8 (i32.wrap_i64 (local.get $address)) (local.get $value)))))

  (func (export "store_u64") (param $address i64) (param $value i64)
    (if (i64.lt_u (i64.sub (local.get $address) (i64.const 1024)) (i64.sub (global.get $top) (i64.const 1031)))
      (then (i64.store (i32.wrap_i64 (local.get $address)) (local.get $value)))))

  (func (export "input_offset") (result i64) (global.get $input_offset))
  (func (export "input_length") (result i64) (global.get $input_length))

  (func (export "input_load_u8") (param $offset i64) (result i32)
    (if (result i32) (i64.lt_u (local.get $offset) (global.get $input_length))
      (then (i32.load8_u (i32.wrap_i64 (i64.add (global.get $input_offset) (local.get $offset)))))
      (else (i32.const 0))))

  (func (export "input_load_u64") (param $offset i64) (result i64)
    (if (result i64)
      (i32.and
        (i64.lt_u (local.get $offset) (global.get $input_length))
        (i64.ge_u (i64.sub (global.get $input_length) (local.get $offset)) (i64.const 8)))
      (then (i64.load (i32.wrap_i64 (i64.add (global.get $input_offset) (local.get $offset)))))
      (else (i64.const 0))))

  ;; Nothing is an output as good as any; a range that is not inside the heap is ignored.
  (func (export "output_set") (param $offset i64) (param $length i64)
    (local $from i64) (local $room i64)
    (if (i64.eqz (local.get $length))
      (then
        (global.set $output_offset (i64.const 0))
        (global.set $output_length (i64.const 0))
        (return)))
    (local.set $from (i64.sub (local.get $offset) (i64.const 1024)))
    (local.set $room (i64.sub (global.get $top) (i64.const 1024)))
    (if (i64.ge_u (local.get $from) (local.get $room)) (then (return)))
    (if (i64.gt_u (local.get $length) (i64.sub (local.get $room) (local.get $from))) (then (return)))
    (global.set $output_offset (local.get $offset))
    (global.set $output_length (local.get $length)))

  ;; Keeps the length too, so that the block may be freed before the host reads it.
  (func (export "error_set") (param $address i64)
    (if (i32.eqz (i32.or
          (i64.eqz (local.get $address))
          (i64.lt_u (i64.sub (local.get $address) (i64.const 1024)) (i64.sub (global.get $top) (i64.const 1024)))))
      (then (return)))
    (global.set $error_offset (local.get $address))
    (global.set $error_length (call $length (local.get $address))))

  (func (export "error_get") (result i64) (global.get $error_offset))

  (func (export "config_get") (param $key i64) (result i64)
    (call $or_stop (call $host_config_get (local.get $key))))

  (func (export "var_get") (param $key i64) (result i64)
    (call $or_stop (call $host_var_get (local.get $key))))

  (func (export "var_set") (param $key i64) (param $value i64)
    (if (i32.eq (call $host_var_set (local.get $key) (local.get $value)) (i32.const -1))
      (then (unreachable))))

  (func (export "http_request") (param $request i64) (param $body i64) (result i64)
    (call $or_stop (call $host_http_request (local.get $request) (local.get $body))))

  (func (export "http_headers") (result i64)
    (call $or_stop (call $host_http_headers)))

  (func $or_stop (param $address i64) (result i64)
    (if (i64.eq (local.get $address) (i64.const -1)) (then (unreachable)))
    (local.get $address))

  ;; Makes a block, filled by the host afterwards, the input.
  (func (export "set_input") (param $offset i64) (param $length i64)
    (global.set $input_offset (local.get $offset))
    (global.set $input_length (local.get $length)))

  ;; Forgets everything, bytes included; the limit stays.
  (func (export "reset")
    (memory.fill (i32.const 0) (i32.const 0) (i32.wrap_i64 (global.get $mark)))
    (global.set $top (i64.const 1040))
    (global.set $mark (i64.const 1040))
    (global.set $input_offset (i64.const 0))
    (global.set $input_length (i64.const 0))
    (global.set $output_offset (i64.const 0))
    (global.set $output_length (i64.const 0))
    (global.set $error_offset (i64.const 0))
    (global.set $error_length (i64.const 0))))

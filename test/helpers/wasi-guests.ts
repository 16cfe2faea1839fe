/**
 * Guests in the text format that live on WASI preview 1 alone, without a C library:
 * commands with `_start`, and plugins whose functions keep and look for things.
 */

/** Imports under the names that guests here use, a memory, and helpers. Names, paths and texts are put from address 1024 on. */
const head = `
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  ;; Writes bytes of memory to a descriptor and answers the errno.
  (func $write (param $fd i32) (param $from i32) (param $length i32) (result i32)
    (i32.store (i32.const 0) (local.get $from))
    (i32.store (i32.const 4) (local.get $length))
    (call $fd_write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)))
  ;; Reads into memory at 4096 and answers how many bytes there were.
  (func $read (param $fd i32) (result i32)
    (i32.store (i32.const 0) (i32.const 4096))
    (i32.store (i32.const 4) (i32.const 4096))
    (if (call $fd_read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 8)) (then (return (i32.const 0))))
    (i32.load (i32.const 8)))
  ;; Copies everything from one descriptor to another one.
  (func $copy (param $from i32) (param $to i32)
    (local $length i32)
    (loop $more
      (local.set $length (call $read (local.get $from)))
      (if (local.get $length)
        (then
          (if (call $write (local.get $to) (i32.const 4096) (local.get $length)) (then (return)))
          (br $more)))))
  ;; Opens a path of memory with rights to read and write and answers the errno; the descriptor is at 12.
  (func $open (param $folder i32) (param $path i32) (param $length i32) (param $oflags i32) (param $rights i64) (result i32)
    (call $path_open (local.get $folder) (i32.const 0) (local.get $path) (local.get $length) (local.get $oflags)
      (local.get $rights) (local.get $rights) (i32.const 0) (i32.const 12)))`;

function program(body: string): string {
  return `(module ${head} ${body})`;
}

/** A command that copies its input to its output. */
export const catCommand: string = program(`
  (func (export "_start") (call $copy (i32.const 0) (i32.const 1)))`);

/** A command that writes to output and errors and exits with code 3. */
export const exitCommand: string = program(`
  (data (i32.const 1024) "out\\nbad\\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 1024) (i32.const 4)))
    (drop (call $write (i32.const 2) (i32.const 1028) (i32.const 4)))
    (call $proc_exit (i32.const 3))
    unreachable)`);

/** A command that sleeps for so long. */
export function sleepingCommand(ms: number): string {
  return program(`
  (func (export "_start")
    (i32.store (i32.const 2064) (i32.const 1))
    (i64.store (i32.const 2072) (i64.const ${ms * 1_000_000}))
    (drop (call $poll_oneoff (i32.const 2048) (i32.const 3072) (i32.const 1) (i32.const 8))))`);
}

/** A command that sleeps for an hour. */
export const sleepCommand: string = sleepingCommand(3_600_000);

/** A command that copies the file "a.txt" of the first mount to its output. */
export const mountCommand: string = program(`
  (data (i32.const 1024) "a.txt")
  (func (export "_start")
    (if (call $open (i32.const 4) (i32.const 1024) (i32.const 5) (i32.const 0) (i64.const 2))
      (then (call $proc_exit (i32.const 1)) unreachable))
    (call $copy (i32.load (i32.const 12)) (i32.const 1)))`);

/** A command that puts out 32 random bytes. */
export const randomCommand: string = program(`
  (func (export "_start")
    (drop (call $random_get (i32.const 4096) (i32.const 32)))
    (drop (call $write (i32.const 1) (i32.const 4096) (i32.const 32))))`);

/** A plugin: "keep" writes its input into a file; "find" answers 0 if that file is there and 44 if it is not. */
export const keepingPlugin: string = program(`
  (data (i32.const 1024) "secret")
  (func (export "keep") (result i32)
    (if (call $open (i32.const 3) (i32.const 1024) (i32.const 6) (i32.const 1) (i64.const 64))
      (then (return (i32.const 1))))
    (call $copy (i32.const 0) (i32.load (i32.const 12)))
    (call $fd_close (i32.load (i32.const 12))))
  (func (export "find") (result i32)
    (call $open (i32.const 3) (i32.const 1024) (i32.const 6) (i32.const 0) (i64.const 2)))`);

/** A plugin whose "run" writes lines, whole and half ones, to output and errors. */
export const talkingPlugin: string = program(`
  (data (i32.const 1024) "one\\ntwo\\nthr")
  (func (export "run") (result i32)
    (drop (call $write (i32.const 1) (i32.const 1024) (i32.const 11)))
    (call $write (i32.const 2) (i32.const 1024) (i32.const 6)))`);

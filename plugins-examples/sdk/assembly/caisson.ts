/**
 * The Caisson mini-SDK for AssemblyScript: every host function over the Extism
 * ABI, but WASI. Addresses named "block" are addresses of host blocks, not of this
 * module's memory. What you do not call leaves no import, and needs no capability.
 */

// @ts-ignore: decorator
@external("extism:host/env", "alloc") declare function host_alloc(length: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "free") declare function host_free(block: u64): void;
// @ts-ignore: decorator
@external("extism:host/env", "length") declare function host_length(block: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "load_u8") declare function host_load_u8(address: u64): u32;
// @ts-ignore: decorator
@external("extism:host/env", "load_u64") declare function host_load_u64(address: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "store_u8") declare function host_store_u8(address: u64, value: u32): void;
// @ts-ignore: decorator
@external("extism:host/env", "store_u64") declare function host_store_u64(address: u64, value: u64): void;
// @ts-ignore: decorator
@external("extism:host/env", "input_length") declare function host_input_length(): u64;
// @ts-ignore: decorator
@external("extism:host/env", "input_load_u8") declare function host_input_load_u8(offset: u64): u32;
// @ts-ignore: decorator
@external("extism:host/env", "input_load_u64") declare function host_input_load_u64(offset: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "output_set") declare function host_output_set(address: u64, length: u64): void;
// @ts-ignore: decorator
@external("extism:host/env", "error_set") declare function host_error_set(block: u64): void;
// @ts-ignore: decorator
@external("extism:host/env", "config_get") declare function host_config_get(key: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "var_get") declare function host_var_get(key: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "var_set") declare function host_var_set(key: u64, value: u64): void;
// @ts-ignore: decorator
@external("extism:host/env", "log_debug") declare function host_log_debug(text: u64): void;
// @ts-ignore: decorator
@external("extism:host/env", "log_info") declare function host_log_info(text: u64): void;
// @ts-ignore: decorator
@external("extism:host/env", "log_warn") declare function host_log_warn(text: u64): void;
// @ts-ignore: decorator
@external("extism:host/env", "log_error") declare function host_log_error(text: u64): void;
// @ts-ignore: decorator
@external("extism:host/user", "progress") declare function host_progress(fraction: f64, message: u64, data: u64): void;
// @ts-ignore: decorator
@external("extism:host/env", "http_request") declare function host_http_request(request: u64, body: u64): u64;
// @ts-ignore: decorator
@external("extism:host/env", "http_status_code") declare function host_http_status_code(): i32;
// @ts-ignore: decorator
@external("extism:host/env", "http_headers") declare function host_http_headers(): u64;
// @ts-ignore: decorator
@external("extism:host/user", "clock_now") declare function host_clock_now(): i64;
// @ts-ignore: decorator
@external("extism:host/user", "clock_monotonic") declare function host_clock_monotonic(): i64;
// @ts-ignore: decorator
@external("extism:host/user", "random_bytes") declare function host_random_bytes(length: i64): u64;
// @ts-ignore: decorator
@external("extism:host/user", "kv_get") declare function host_kv_get(key: u64): u64;
// @ts-ignore: decorator
@external("extism:host/user", "kv_set") declare function host_kv_set(key: u64, value: u64, ttlMs: i64): i32;
// @ts-ignore: decorator
@external("extism:host/user", "kv_delete") declare function host_kv_delete(key: u64): i32;
// @ts-ignore: decorator
@external("extism:host/user", "kv_compare_and_set") declare function host_kv_compare_and_set(key: u64, expected: u64, value: u64, ttlMs: i64): i32;
// @ts-ignore: decorator
@external("extism:host/user", "kv_list") declare function host_kv_list(prefix: u64, after: u64, limit: u32): u64;
// @ts-ignore: decorator
@external("extism:host/user", "secret_get") declare function host_secret_get(name: u64): u64;
// @ts-ignore: decorator
@external("extism:host/user", "usage_add") declare function host_usage_add(name: u64, amount: i64): void;
// @ts-ignore: decorator
@external("extism:host/user", "span_start") declare function host_span_start(name: u64): i64;
// @ts-ignore: decorator
@external("extism:host/user", "span_set") declare function host_span_set(id: i64, key: u64, value: u64): void;
// @ts-ignore: decorator
@external("extism:host/user", "span_end") declare function host_span_end(id: i64): void;
// @ts-ignore: decorator
@external("extism:host/user", "invoke") declare function host_invoke(plugin: u64, name: u64, input: u64): u64;
// @ts-ignore: decorator
@external("extism:host/user", "invoke_error") declare function host_invoke_error(): u64;

/** Bytes of input. */
export function inputLength(): u32 {
  return <u32>host_input_length();
}

/** Copies `length` bytes of input from `offset` to `pointer`, 8 at a time. The caller stays within the input. */
export function inputRead(offset: u32, pointer: usize, length: u32): void {
  const words = length & ~7;
  for (let i: u32 = 0; i < words; i += 8) store<u64>(pointer + i, host_input_load_u64(offset + i));
  for (let i = words; i < length; i++) store<u8>(pointer + i, <u8>host_input_load_u8(offset + i));
}

/** A host block of `length` bytes, to be filled with blockWrite. */
export function blockNew(length: u32): u64 {
  return host_alloc(length);
}

/** Copies `length` bytes from `pointer` into a host block at `address`, 8 at a time. */
export function blockWrite(address: u64, pointer: usize, length: u32): void {
  const words = length & ~7;
  for (let i: u32 = 0; i < words; i += 8) host_store_u64(address + i, load<u64>(pointer + i));
  for (let i = words; i < length; i++) host_store_u8(address + i, load<u8>(pointer + i));
}

/** A host block that holds a copy of these bytes. */
export function blockOf(pointer: usize, length: u32): u64 {
  const block = host_alloc(length);
  blockWrite(block, pointer, length);
  return block;
}

/** Makes `length` bytes of a host block from `address` the output. */
export function outputBlock(address: u64, length: u32): void {
  host_output_set(address, length);
}

/** Makes a copy of these bytes the output. */
export function output(pointer: usize, length: u32): void {
  host_output_set(blockOf(pointer, length), length);
}

/** Makes the text the output, as UTF-8. */
export function outputText(text: string): void {
  const bytes = String.UTF8.encode(text);
  output(changetype<usize>(bytes), bytes.byteLength);
}

/** Reports an error of this plugin. Return what it returns: `return fail("…")`. */
export function fail(message: string): i32 {
  host_error_set(textBlock(message));
  return 1;
}

export function logDebug(text: string): void {
  host_log_debug(textBlock(text));
}

export function logInfo(text: string): void {
  host_log_info(textBlock(text));
}

export function logWarn(text: string): void {
  host_log_warn(textBlock(text));
}

export function logError(text: string): void {
  host_log_error(textBlock(text));
}

/** A configuration value, or null. */
export function config(key: string): string | null {
  const block = host_config_get(textBlock(key));
  if (block == 0) return null;
  const bytes = takeBlock(block);
  return String.UTF8.decode(bytes);
}

/** A variable's bytes, or null. Variables live as long as one execution. */
export function variable(key: string): ArrayBuffer | null {
  const block = host_var_get(textBlock(key));
  return block == 0 ? null : takeBlock(block);
}

/** Sets a variable; null deletes it. */
export function setVariable(key: string, value: ArrayBuffer | null): void {
  const block = value === null ? 0 : blockOf(changetype<usize>(value), value.byteLength);
  host_var_set(textBlock(key), block);
}

/** Tells whoever watches how far this run has come, from 0 to 1; NaN if that is not known. */
export function progress(fraction: f64, message: string, data: ArrayBuffer | null = null): void {
  const dataBlock = data === null ? 0 : blockOf(changetype<usize>(data), data.byteLength);
  host_progress(fraction, message.length == 0 ? 0 : textBlock(message), dataBlock);
}

/** Capability "clock": nanoseconds since 1970. */
export function clockNow(): i64 {
  return host_clock_now();
}

/** Nanoseconds since this run began; never goes back. */
export function clockMonotonic(): i64 {
  return host_clock_monotonic();
}

/** Capability "random": at most 65,536 random bytes. A run with a seed gets the same ones again. */
export function randomBytes(length: u32): ArrayBuffer {
  const block = host_random_bytes(length);
  return block == 0 ? new ArrayBuffer(0) : takeBlock(block);
}

/** What writes to the kv store return. */
export namespace Kv {
  export const OK: i32 = 0;
  /** For kvDelete: there was nothing. */
  export const ABSENT: i32 = 1;
  /** For kvCompareAndSet: something else is there. */
  export const DIFFERENT: i32 = 1;
  /** The namespace or the store is full. */
  export const QUOTA: i32 = 2;
  /** A key, a value or a time is not as it must be. */
  export const INVALID: i32 = 3;
}

/** Capability "kv": a stored value; null if there is none or it is empty. */
export function kvGet(key: string): ArrayBuffer | null {
  const block = host_kv_get(textBlock(key));
  return block == 0 ? null : takeBlock(block);
}

/** Stores a value of at most 1 MiB for so many milliseconds, 0 meaning for good. */
export function kvSet(key: string, value: ArrayBuffer, ttlMs: i64 = 0): i32 {
  return host_kv_set(textBlock(key), bufferBlock(value), ttlMs);
}

export function kvDelete(key: string): i32 {
  return host_kv_delete(textBlock(key));
}

/** Stores a value if the one that is there equals `expected`; null or empty means that there must be none. */
export function kvCompareAndSet(key: string, expected: ArrayBuffer | null, value: ArrayBuffer, ttlMs: i64 = 0): i32 {
  return host_kv_compare_and_set(textBlock(key), bufferBlock(expected), bufferBlock(value), ttlMs);
}

/**
 * The keys that begin with `prefix` as a JSON array of strings, in order: those after `after`, at most `limit`, 0 meaning
 * 1,000. No key is left when it is "[]". Null if prefix or after are not as a key must be.
 */
export function kvList(prefix: string = "", after: string = "", limit: u32 = 0): string | null {
  return takeText(host_kv_list(textBlock(prefix), textBlock(after), limit));
}

/**
 * Capability "http": sends the request that a JSON object {"url", "method", "headers"} describes. The body of the
 * response; null if it is empty or there was no response: ask httpStatus.
 */
export function httpRequest(request: string, body: ArrayBuffer | null = null): ArrayBuffer | null {
  const block = host_http_request(textBlock(request), bufferBlock(body));
  return block == 0 ? null : takeBlock(block);
}

/** Status of the last response; 0 if the last request got none. */
export function httpStatus(): i32 {
  return host_http_status_code();
}

/** Headers of the last response as a JSON object with lower-case names; null for none. */
export function httpHeaders(): string | null {
  return takeText(host_http_headers());
}

/** Capability "secrets": a secret; null if the operator has set none. */
export function secret(name: string): ArrayBuffer | null {
  const block = host_secret_get(textBlock(name));
  return block == 0 ? null : takeBlock(block);
}

/** Capability "usage": adds to a counter of the receipt; at most 32 names of at most 64 bytes. */
export function usageAdd(name: string, amount: i64): void {
  host_usage_add(textBlock(name), amount);
}

/** Capability "spans": begins a span within the innermost open one; its id, or 0 after 100 spans, which the others ignore. */
export function spanStart(name: string): i64 {
  return host_span_start(textBlock(name));
}

export function spanSet(id: i64, key: string, value: string): void {
  host_span_set(id, textBlock(key), textBlock(value));
}

export function spanEnd(id: i64): void {
  host_span_end(id);
}

/** Capability "invoke": calls a function of a plugin, "name" or "name@version"; null if it failed: ask invokeError. */
export function invoke(plugin: string, name: string, input: ArrayBuffer | null = null): ArrayBuffer | null {
  const block = host_invoke(textBlock(plugin), textBlock(name), bufferBlock(input));
  if (block != 0) return takeBlock(block);
  return invokeError() === null ? new ArrayBuffer(0) : null;
}

/** How the last invoke failed, as JSON {"outcome", "kind", "message"}; null if it did not. */
export function invokeError(): string | null {
  return takeText(host_invoke_error());
}

/** What AssemblyScript calls when an assertion fails: the message becomes this plugin's error. */
export function caissonAbort(message: string | null, file: string | null, line: u32, column: u32): void {
  const text = message === null ? "abort" : message;
  const where = file === null ? "" : " at " + file + ":" + line.toString() + ":" + column.toString();
  host_error_set(textBlock(text + where));
  unreachable();
}

function textBlock(text: string): u64 {
  const bytes = String.UTF8.encode(text);
  return blockOf(changetype<usize>(bytes), bytes.byteLength);
}

/** A block of the bytes; none for null. */
function bufferBlock(bytes: ArrayBuffer | null): u64 {
  return bytes === null ? 0 : blockOf(changetype<usize>(bytes), bytes.byteLength);
}

function takeText(block: u64): string | null {
  return block == 0 ? null : String.UTF8.decode(takeBlock(block));
}

function takeBlock(block: u64): ArrayBuffer {
  const length = <u32>host_length(block);
  const bytes = new ArrayBuffer(length);
  const pointer = changetype<usize>(bytes);
  const words = length & ~7;
  for (let i: u32 = 0; i < words; i += 8) store<u64>(pointer + i, host_load_u64(block + i));
  for (let i = words; i < length; i++) store<u8>(pointer + i, <u8>host_load_u8(block + i));
  host_free(block);
  return bytes;
}

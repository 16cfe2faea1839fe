/**
 * The Caisson mini-SDK for AssemblyScript: input, output, error, log, config,
 * variables and progress over the Extism ABI. Addresses named "block" are
 * addresses of host blocks, not of this module's memory. It owns no state.
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

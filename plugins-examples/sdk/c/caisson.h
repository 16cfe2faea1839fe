/*
 * The Caisson mini-SDK for C and C++: input, output, error, log, config,
 * variables and progress over the Extism ABI. Freestanding: needs no C library.
 * A "block" is the address of a host block, not of this module's memory.
 */
#ifndef CAISSON_H
#define CAISSON_H

#include <stdint.h>

#ifdef __cplusplus
#define CAISSON_C extern "C"
#else
#define CAISSON_C
#endif

/* Makes a function one that can be executed: CAISSON_EXPORT("run") int run(void) { … return 0; } */
#define CAISSON_EXPORT(name) CAISSON_C __attribute__((export_name(name)))

#define CAISSON_HOST(name) CAISSON_C __attribute__((import_module("extism:host/env"), import_name(#name)))
#define CAISSON_USER(name) CAISSON_C __attribute__((import_module("extism:host/user"), import_name(#name)))

CAISSON_HOST(alloc) uint64_t caisson_host_alloc(uint64_t length);
CAISSON_HOST(free) void caisson_host_free(uint64_t block);
CAISSON_HOST(length) uint64_t caisson_host_length(uint64_t block);
CAISSON_HOST(load_u8) uint32_t caisson_host_load_u8(uint64_t address);
CAISSON_HOST(load_u64) uint64_t caisson_host_load_u64(uint64_t address);
CAISSON_HOST(store_u8) void caisson_host_store_u8(uint64_t address, uint32_t value);
CAISSON_HOST(store_u64) void caisson_host_store_u64(uint64_t address, uint64_t value);
CAISSON_HOST(input_length) uint64_t caisson_host_input_length(void);
CAISSON_HOST(input_load_u8) uint32_t caisson_host_input_load_u8(uint64_t offset);
CAISSON_HOST(input_load_u64) uint64_t caisson_host_input_load_u64(uint64_t offset);
CAISSON_HOST(output_set) void caisson_host_output_set(uint64_t address, uint64_t length);
CAISSON_HOST(error_set) void caisson_host_error_set(uint64_t block);
CAISSON_HOST(config_get) uint64_t caisson_host_config_get(uint64_t key);
CAISSON_HOST(var_get) uint64_t caisson_host_var_get(uint64_t key);
CAISSON_HOST(var_set) void caisson_host_var_set(uint64_t key, uint64_t value);
CAISSON_HOST(log_debug) void caisson_host_log_debug(uint64_t text);
CAISSON_HOST(log_info) void caisson_host_log_info(uint64_t text);
CAISSON_HOST(log_warn) void caisson_host_log_warn(uint64_t text);
CAISSON_HOST(log_error) void caisson_host_log_error(uint64_t text);
CAISSON_USER(progress) void caisson_host_progress(double fraction, uint64_t message, uint64_t data);

static inline uint32_t caisson_text_length(const char *text) {
  uint32_t length = 0;
  while (text[length] != 0) length++;
  return length;
}

/* Bytes of input. */
static inline uint32_t caisson_input_length(void) { return (uint32_t)caisson_host_input_length(); }

/* Copies `length` bytes of input from `offset`, 8 at a time. The caller stays within the input. */
static inline void caisson_input_read(uint32_t offset, void *into, uint32_t length) {
  uint8_t *bytes = (uint8_t *)into;
  uint32_t i = 0;
  for (; i + 8 <= length; i += 8) {
    uint64_t word = caisson_host_input_load_u64((uint64_t)offset + i);
    __builtin_memcpy(bytes + i, &word, 8);
  }
  for (; i < length; i++) bytes[i] = (uint8_t)caisson_host_input_load_u8((uint64_t)offset + i);
}

/* A host block that holds a copy of these bytes. */
static inline uint64_t caisson_block(const void *from, uint32_t length) {
  const uint8_t *bytes = (const uint8_t *)from;
  uint64_t block = caisson_host_alloc(length);
  uint32_t i = 0;
  for (; i + 8 <= length; i += 8) {
    uint64_t word;
    __builtin_memcpy(&word, bytes + i, 8);
    caisson_host_store_u64(block + i, word);
  }
  for (; i < length; i++) caisson_host_store_u8(block + i, bytes[i]);
  return block;
}

static inline uint64_t caisson_text_block(const char *text) { return caisson_block(text, caisson_text_length(text)); }

/* Copies at most `size` bytes of a host block, frees it, and returns how many bytes it had; -1 for no block. */
static inline int64_t caisson_take_block(uint64_t block, void *into, uint32_t size) {
  if (block == 0) return -1;
  uint8_t *bytes = (uint8_t *)into;
  uint64_t length = caisson_host_length(block);
  uint32_t copied = length < size ? (uint32_t)length : size;
  for (uint32_t i = 0; i < copied; i++) bytes[i] = (uint8_t)caisson_host_load_u8(block + i);
  caisson_host_free(block);
  return (int64_t)length;
}

/* Makes a copy of these bytes the output. */
static inline void caisson_output(const void *from, uint32_t length) {
  caisson_host_output_set(caisson_block(from, length), length);
}

/* Reports an error of this plugin. Return what it returns: return caisson_fail("…"); */
static inline int caisson_fail(const char *message) {
  caisson_host_error_set(caisson_text_block(message));
  return 1;
}

static inline void caisson_log_debug(const char *text) { caisson_host_log_debug(caisson_text_block(text)); }
static inline void caisson_log_info(const char *text) { caisson_host_log_info(caisson_text_block(text)); }
static inline void caisson_log_warn(const char *text) { caisson_host_log_warn(caisson_text_block(text)); }
static inline void caisson_log_error(const char *text) { caisson_host_log_error(caisson_text_block(text)); }

/* Copies a configuration value, at most `size` bytes; returns its length, or -1 if there is none. */
static inline int64_t caisson_config(const char *key, void *into, uint32_t size) {
  return caisson_take_block(caisson_host_config_get(caisson_text_block(key)), into, size);
}

/* Copies a variable, at most `size` bytes; returns its length, or -1 if there is none. Variables live as long as one execution. */
static inline int64_t caisson_variable(const char *key, void *into, uint32_t size) {
  return caisson_take_block(caisson_host_var_get(caisson_text_block(key)), into, size);
}

static inline void caisson_set_variable(const char *key, const void *from, uint32_t length) {
  caisson_host_var_set(caisson_text_block(key), caisson_block(from, length));
}

static inline void caisson_delete_variable(const char *key) { caisson_host_var_set(caisson_text_block(key), 0); }

/* Tells whoever watches how far this run has come, from 0 to 1; __builtin_nan("") if that is not known. */
static inline void caisson_progress(double fraction, const char *message) {
  caisson_host_progress(fraction, message == 0 ? 0 : caisson_text_block(message), 0);
}

/* The same, with bytes for programs. */
static inline void caisson_progress_data(double fraction, const char *message, const void *data, uint32_t length) {
  caisson_host_progress(fraction, message == 0 ? 0 : caisson_text_block(message), caisson_block(data, length));
}

#endif

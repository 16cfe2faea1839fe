/*
 * The Caisson mini-SDK for C and C++: every host function over the Extism ABI,
 * but WASI, which your C library brings. Freestanding: needs no C library.
 * A "block" is the address of a host block, not of this module's memory.
 * What you do not call leaves no import, and needs no capability.
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
CAISSON_HOST(http_request) uint64_t caisson_host_http_request(uint64_t request, uint64_t body);
CAISSON_HOST(http_status_code) int32_t caisson_host_http_status_code(void);
CAISSON_HOST(http_headers) uint64_t caisson_host_http_headers(void);
CAISSON_USER(progress) void caisson_host_progress(double fraction, uint64_t message, uint64_t data);
CAISSON_USER(clock_now) int64_t caisson_host_clock_now(void);
CAISSON_USER(clock_monotonic) int64_t caisson_host_clock_monotonic(void);
CAISSON_USER(random_bytes) uint64_t caisson_host_random_bytes(int64_t length);
CAISSON_USER(kv_get) uint64_t caisson_host_kv_get(uint64_t key);
CAISSON_USER(kv_set) int32_t caisson_host_kv_set(uint64_t key, uint64_t value, int64_t ttl_ms);
CAISSON_USER(kv_delete) int32_t caisson_host_kv_delete(uint64_t key);
CAISSON_USER(kv_compare_and_set)
int32_t caisson_host_kv_compare_and_set(uint64_t key, uint64_t expected, uint64_t value, int64_t ttl_ms);
CAISSON_USER(kv_list) uint64_t caisson_host_kv_list(uint64_t prefix, uint64_t after, uint32_t limit);
CAISSON_USER(secret_get) uint64_t caisson_host_secret_get(uint64_t name);
CAISSON_USER(usage_add) void caisson_host_usage_add(uint64_t name, int64_t amount);
CAISSON_USER(span_start) int64_t caisson_host_span_start(uint64_t name);
CAISSON_USER(span_set) void caisson_host_span_set(int64_t id, uint64_t key, uint64_t value);
CAISSON_USER(span_end) void caisson_host_span_end(int64_t id);
CAISSON_USER(invoke) uint64_t caisson_host_invoke(uint64_t plugin, uint64_t function, uint64_t input);
CAISSON_USER(invoke_error) uint64_t caisson_host_invoke_error(void);

static inline uint32_t caisson_text_length(const char *text) {
  uint32_t length = 0;
  if (__builtin_constant_p(__builtin_strlen(text))) return (uint32_t)__builtin_strlen(text);
  while (text[length] != 0) {
    length++;
    /* Or the compiler would make this loop a call of strlen, which there is not without a C library. */
    __asm__ volatile("" : "+r"(length));
  }
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
  uint32_t i = 0;
  for (; i + 8 <= copied; i += 8) {
    uint64_t word = caisson_host_load_u64(block + i);
    __builtin_memcpy(bytes + i, &word, 8);
  }
  for (; i < copied; i++) bytes[i] = (uint8_t)caisson_host_load_u8(block + i);
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

/* Capability "clock": nanoseconds since 1970. */
static inline int64_t caisson_clock_now(void) { return caisson_host_clock_now(); }

/* Nanoseconds since this run began; never goes back. */
static inline int64_t caisson_clock_monotonic(void) { return caisson_host_clock_monotonic(); }

/* Capability "random": fills `into` with random bytes, at most 65,536. A run with a seed gets the same ones again. */
static inline void caisson_random(void *into, uint32_t length) {
  caisson_take_block(caisson_host_random_bytes(length), into, length);
}

/* What writes to the kv store return. */
enum {
  CAISSON_KV_OK = 0,
  CAISSON_KV_ABSENT = 1,    /* caisson_kv_delete: there was nothing */
  CAISSON_KV_DIFFERENT = 1, /* caisson_kv_compare_and_set: something else is there */
  CAISSON_KV_QUOTA = 2,     /* the namespace or the store is full */
  CAISSON_KV_INVALID = 3    /* a key, a value or a time is not as it must be */
};

/* Capability "kv": copies a stored value, at most `size` bytes; returns its length, or -1 if there is none or it is empty. */
static inline int64_t caisson_kv_get(const char *key, void *into, uint32_t size) {
  return caisson_take_block(caisson_host_kv_get(caisson_text_block(key)), into, size);
}

/* Stores a value of at most 1 MiB for `ttl_ms` milliseconds, 0 meaning for good. */
static inline int32_t caisson_kv_set(const char *key, const void *from, uint32_t length, int64_t ttl_ms) {
  return caisson_host_kv_set(caisson_text_block(key), caisson_block(from, length), ttl_ms);
}

static inline int32_t caisson_kv_delete(const char *key) { return caisson_host_kv_delete(caisson_text_block(key)); }

/* Stores a value if the one that is there equals `expected`; an expected length of 0 means that there must be none. */
static inline int32_t caisson_kv_compare_and_set(const char *key, const void *expected, uint32_t expected_length,
                                                 const void *from, uint32_t length, int64_t ttl_ms) {
  uint64_t old = expected_length == 0 ? 0 : caisson_block(expected, expected_length);
  return caisson_host_kv_compare_and_set(caisson_text_block(key), old, caisson_block(from, length), ttl_ms);
}

/*
 * Copies the keys that begin with `prefix` as a JSON array of strings, in order: those after `after` ("" for all), at most
 * `limit` (0 for 1,000). Returns the length of the JSON; there is no key left when it is 2, that of "[]". -1 if prefix or
 * after are not as a key must be.
 */
static inline int64_t caisson_kv_list(const char *prefix, const char *after, uint32_t limit, void *into, uint32_t size) {
  return caisson_take_block(caisson_host_kv_list(caisson_text_block(prefix), caisson_text_block(after), limit), into, size);
}

/*
 * Capability "http": sends the request that a JSON object {"url", "method", "headers"} describes, with a body unless
 * `body_length` is 0. Copies the body of the response, at most `size` bytes; returns its length, or -1 if it is empty or
 * there was no response: ask caisson_http_status.
 */
static inline int64_t caisson_http_request(const char *request, const void *body, uint32_t body_length, void *into,
                                           uint32_t size) {
  uint64_t block = body_length == 0 ? 0 : caisson_block(body, body_length);
  return caisson_take_block(caisson_host_http_request(caisson_text_block(request), block), into, size);
}

/* Status of the last response; 0 if the last request got none. */
static inline int32_t caisson_http_status(void) { return caisson_host_http_status_code(); }

/* Copies the headers of the last response as a JSON object with lower-case names; returns its length, or -1 for none. */
static inline int64_t caisson_http_headers(void *into, uint32_t size) {
  return caisson_take_block(caisson_host_http_headers(), into, size);
}

/* Capability "secrets": copies a secret, at most `size` bytes; returns its length, or -1 if the operator has set none. */
static inline int64_t caisson_secret(const char *name, void *into, uint32_t size) {
  return caisson_take_block(caisson_host_secret_get(caisson_text_block(name)), into, size);
}

/* Capability "usage": adds to a counter of the receipt; at most 32 names of at most 64 bytes. */
static inline void caisson_usage_add(const char *name, int64_t amount) {
  caisson_host_usage_add(caisson_text_block(name), amount);
}

/* Capability "spans": begins a span within the innermost open one; returns its id, or 0 after 100 spans, which the others ignore. */
static inline int64_t caisson_span_start(const char *name) { return caisson_host_span_start(caisson_text_block(name)); }

static inline void caisson_span_set(int64_t id, const char *key, const char *value) {
  caisson_host_span_set(id, caisson_text_block(key), caisson_text_block(value));
}

static inline void caisson_span_end(int64_t id) { caisson_host_span_end(id); }

/* Copies how the last caisson_invoke failed, as JSON {"outcome", "kind", "message"}; returns its length, or -1 if it did not. */
static inline int64_t caisson_invoke_error(void *into, uint32_t size) {
  return caisson_take_block(caisson_host_invoke_error(), into, size);
}

/*
 * Capability "invoke": calls a function of a plugin, "name" or "name@version". Copies its output, at most `size` bytes;
 * returns the output's length, or -1 if the call failed: ask caisson_invoke_error.
 */
static inline int64_t caisson_invoke(const char *plugin, const char *function, const void *input, uint32_t input_length,
                                     void *into, uint32_t size) {
  uint64_t block = input_length == 0 ? 0 : caisson_block(input, input_length);
  uint64_t output = caisson_host_invoke(caisson_text_block(plugin), caisson_text_block(function), block);
  if (output != 0) return caisson_take_block(output, into, size);
  return caisson_invoke_error(0, 0) < 0 ? 0 : -1;
}

#endif

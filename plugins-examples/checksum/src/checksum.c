/*
 * Checksums of the input, as lower-case hexadecimal text. The input is read in
 * pieces, so that memory does not grow with it.
 */
#include "caisson.h"

#define PIECE_BYTES 65536

static uint8_t piece[PIECE_BYTES];
static uint32_t crc_tables[8][256];

/* What a checksum does to its state with the next bytes of input. */
typedef uint64_t (*update_function)(uint64_t state, const uint8_t *bytes, uint32_t length);

/* Slicing by 8: table k holds the checksum of a byte with k zero bytes after it. */
static void fill_crc_tables(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? 0xedb88320u : 0);
    crc_tables[0][byte] = crc;
  }
  for (uint32_t byte = 0; byte < 256; byte++) {
    for (int k = 1; k < 8; k++) {
      uint32_t before = crc_tables[k - 1][byte];
      crc_tables[k][byte] = (before >> 8) ^ crc_tables[0][before & 0xff];
    }
  }
}

static uint64_t update_crc32(uint64_t state, const uint8_t *bytes, uint32_t length) {
  uint32_t crc = (uint32_t)state;
  uint32_t i = 0;
  for (; i + 8 <= length; i += 8) {
    uint64_t word;
    __builtin_memcpy(&word, bytes + i, 8);
    word ^= crc;
    crc = 0;
    for (int k = 0; k < 8; k++) crc ^= crc_tables[7 - k][(word >> (8 * k)) & 0xff];
  }
  for (; i < length; i++) crc = (crc >> 8) ^ crc_tables[0][(crc ^ bytes[i]) & 0xff];
  return crc;
}

static uint64_t update_fnv1a64(uint64_t state, const uint8_t *bytes, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) state = (state ^ bytes[i]) * 0x100000001b3ull;
  return state;
}

/* Runs the whole input through `update`, reporting progress about every hundredth. */
static uint64_t consume(uint64_t state, update_function update) {
  uint32_t length = caisson_input_length();
  uint32_t step = length / 100 > PIECE_BYTES ? length / 100 : PIECE_BYTES;
  uint32_t next = step;
  for (uint32_t offset = 0; offset < length;) {
    uint32_t size = length - offset < PIECE_BYTES ? length - offset : PIECE_BYTES;
    caisson_input_read(offset, piece, size);
    state = update(state, piece, size);
    offset += size;
    if (offset < next && offset < length) continue;
    next = offset + step;
    caisson_progress((double)offset / length, 0);
  }
  return state;
}

static int put_hex(uint64_t value, uint32_t digits) {
  char text[16];
  for (uint32_t i = 0; i < digits; i++) text[i] = "0123456789abcdef"[(value >> (4 * (digits - 1 - i))) & 15];
  caisson_output(text, digits);
  return 0;
}

/* CRC-32 as in zip, gzip and PNG; 8 digits. */
CAISSON_EXPORT("crc32") int crc32(void) {
  fill_crc_tables();
  return put_hex((uint32_t)~consume(0xffffffffu, update_crc32), 8);
}

/* FNV-1a of 64 bits; 16 digits. */
CAISSON_EXPORT("fnv1a64") int fnv1a64(void) { return put_hex(consume(0xcbf29ce484222325ull, update_fnv1a64), 16); }

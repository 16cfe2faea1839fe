/* Counts the vowels of the input, as Extism's example of that name does; the answer is JSON. */
#include "caisson.h"

#define PIECE_BYTES 4096

static uint8_t piece[PIECE_BYTES];

static int is_vowel(uint8_t letter) {
  switch (letter | 0x20) {
    case 'a': case 'e': case 'i': case 'o': case 'u': return 1;
    default: return 0;
  }
}

static uint32_t count(void) {
  uint32_t length = caisson_input_length(), vowels = 0;
  for (uint32_t offset = 0; offset < length; offset += PIECE_BYTES) {
    uint32_t size = length - offset < PIECE_BYTES ? length - offset : PIECE_BYTES;
    caisson_input_read(offset, piece, size);
    for (uint32_t i = 0; i < size; i++) vowels += (uint32_t)is_vowel(piece[i]);
  }
  return vowels;
}

CAISSON_EXPORT("count_vowels") int count_vowels(void) {
  char text[24] = "{\"count\":";
  uint32_t length = 9, digits = 1, vowels = count();
  for (uint32_t rest = vowels; rest >= 10; rest /= 10) digits++;
  for (uint32_t i = digits; i > 0; i--, vowels /= 10) text[length + i - 1] = (char)('0' + vowels % 10);
  length += digits;
  text[length++] = '}';
  caisson_output(text, length);
  return 0;
}

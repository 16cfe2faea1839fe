/* Functions for the cases that are not about what a guest computes. */
#include "caisson.h"

/* The input: a decimal number. */
static uint32_t input_number(void) {
  char digits[10];
  uint32_t length = caisson_input_length(), number = 0;
  if (length > sizeof digits) length = sizeof digits;
  caisson_input_read(0, digits, length);
  for (uint32_t i = 0; i < length; i++) number = number * 10 + (uint32_t)(digits[i] - '0');
  return number;
}

/* Takes a processor for as many thousand steps as the input says. */
CAISSON_EXPORT("work") int work(void) {
  uint32_t state = 1;
  for (uint32_t i = input_number() * 1000; i > 0; i--) state = state * 1664525u + 1013904223u + (state >> 16);
  caisson_output(&state, sizeof state);
  return 0;
}

/* Never ends. */
CAISSON_EXPORT("spin") int spin(void) {
  for (volatile uint32_t turns = 0;; turns++) continue;
}

/* Reports progress as many times as the input says, as fast as it can. */
CAISSON_EXPORT("progress") int progress(void) {
  uint32_t count = input_number();
  for (uint32_t i = 1; i <= count; i++) caisson_progress((double)i / count, 0);
  return 0;
}

/* Logs as many lines as the input says. */
CAISSON_EXPORT("lines") int lines(void) {
  for (uint32_t i = input_number(); i > 0; i--) caisson_log_info("line");
  return 0;
}

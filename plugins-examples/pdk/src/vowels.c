/* See README.md. */
#include "caisson.h"

#define INPUT_MAX 65536
static char input[INPUT_MAX + 1];

static uint32_t read_input(void) {
  uint32_t length = caisson_input_length();
  if (length > INPUT_MAX) length = INPUT_MAX;
  caisson_input_read(0, input, length);
  input[length] = 0;
  return length;
}

static char *put_text(char *to, const char *text) {
  while (*text != 0) *to++ = *text++;
  *to = 0;
  return to;
}

static char *put_number(char *to, uint32_t value) {
  char digits[10];
  int count = 0;
  do digits[count++] = (char)('0' + value % 10);
  while ((value /= 10) != 0);
  while (count > 0) *to++ = digits[--count];
  *to = 0;
  return to;
}

static int is_equal(const char *one, const char *other) {
  while (*one != 0 && *one == *other) one++, other++;
  return *one == *other;
}

CAISSON_EXPORT("echo") int echo(void) {
  static uint8_t piece[4096];
  uint32_t length = caisson_input_length();
  uint64_t block = caisson_host_alloc(length);
  for (uint32_t at = 0; at < length; at += sizeof piece) {
    uint32_t size = length - at < sizeof piece ? length - at : sizeof piece;
    caisson_input_read(at, piece, size);
    for (uint32_t i = 0; i < size; i++) caisson_host_store_u8(block + at + i, piece[i]);
  }
  caisson_host_output_set(block, length);
  return 0;
}

CAISSON_EXPORT("count_vowels") int count_vowels(void) {
  static char vowels[256], before[16], output[512];
  int64_t configured = caisson_config("vowels", vowels, sizeof vowels - 1);
  if (configured < 0) put_text(vowels, "aeiouAEIOU");
  uint32_t length = read_input();
  uint32_t count = 0, total = 0;
  for (uint32_t i = 0; i < length; i++)
    for (const char *vowel = vowels; *vowel != 0; vowel++)
      if (input[i] == *vowel) { count++; break; }
  int64_t digits = caisson_variable("total", before, sizeof before);
  for (int64_t i = 0; i < digits; i++) total = total * 10 + (uint32_t)(before[i] - '0');
  total += count;
  char *end = put_number(before, total);
  caisson_set_variable("total", before, (uint32_t)(end - before));
  end = put_number(put_text(output, "{\"count\":"), count);
  end = put_number(put_text(end, ",\"total\":"), total);
  end = put_text(put_text(put_text(end, ",\"vowels\":\""), vowels), "\"}");
  caisson_output(output, (uint32_t)(end - output));
  return 0;
}

CAISSON_EXPORT("many") int many(void) {
  for (uint32_t i = 0; i < 1000; i++) {
    char name[8] = "name", value[24], found[24];
    put_number(name + 4, i % 10);
    char *end = put_number(put_text(value, "value "), i);
    caisson_set_variable(name, value, (uint32_t)(end - value));
    int64_t length = caisson_variable(name, found, sizeof found - 1);
    if (length < 0) return 1;
    found[length] = 0;
    if (!is_equal(found, value)) return 1;
    if (caisson_config("absent", found, sizeof found) >= 0) return 2;
    length = caisson_config("language", found, sizeof found - 1);
    if (length < 0) return 3;
    found[length] = 0;
    if (!is_equal(found, "de")) return 3;
    caisson_log_debug(value);
    caisson_delete_variable(name);
    if (caisson_variable(name, found, sizeof found) >= 0) return 4;
  }
  caisson_output("done", 4);
  return 0;
}

CAISSON_EXPORT("talk") int talk(void) {
  read_input();
  caisson_log_debug(input);
  caisson_log_info(input);
  caisson_log_warn(input);
  caisson_log_error(input);
  return 0;
}

CAISSON_EXPORT("fail") int fail(void) {
  read_input();
  return caisson_fail(input);
}

CAISSON_EXPORT("fetch") int fetch(void) {
  static char request[1024], headers[4096], body[4096], output[8192];
  read_input();
  put_text(put_text(put_text(request, "{\"url\":\""), input), "\",\"method\":\"POST\",\"headers\":{\"x-test\":\"yes\"}}");
  int64_t length = caisson_http_request(request, "hello", 5, body, sizeof body - 1);
  if (length < 0 || caisson_http_headers(headers, sizeof headers) < 0) return 1;
  body[length] = 0;
  const char *answer = "";
  for (char *at = headers; *at != 0; at++) {
    const char *name = "\"x-answer\":\"";
    char *word = at;
    while (*name != 0 && *word == *name) word++, name++;
    if (*name != 0) continue;
    answer = word;
    while (*word != '"') word++;
    *word = 0;
    break;
  }
  char *end = put_number(output, (uint32_t)caisson_http_status());
  end = put_text(put_text(put_text(put_text(end, " "), answer), " "), body);
  caisson_output(output, (uint32_t)(end - output));
  return 0;
}

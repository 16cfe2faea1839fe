/* Puts one of ../kernels behind the Extism ABI: input and output are a number of 4 bytes each, turns and result. */
#include "caisson.h"

int run(int turns);

CAISSON_EXPORT("kernel") int kernel(void) {
  int turns = 0;
  caisson_input_read(0, &turns, sizeof turns);
  int result = run(turns);
  caisson_output(&result, sizeof result);
  return 0;
}

/* Small functions called through pointers, as virtual methods are. */
typedef int (*operation)(int);

static int increment(int x) { return x + 1; }
static int twice(int x) { return x * 2; }
static int flip(int x) { return ~x; }
static int mix(int x) { return x ^ x >> 3; }

static volatile operation operations[4] = {increment, twice, flip, mix};

__attribute__((export_name("run"))) int run(int n) {
  int x = 1;
  for (int i = 0; i < n * 1000; i++) x = operations[i & 3](x);
  return x;
}

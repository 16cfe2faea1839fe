/* Small functions called directly, not inlined by the compiler. */
__attribute__((noinline)) static int clamp(int x, int lo, int hi) { return x < lo ? lo : x > hi ? hi : x; }
__attribute__((noinline)) static int mix(int x, int y) { return (x ^ y) * 31 + (y >> 2); }
__attribute__((noinline)) static int scale(int x) { return x * 3 / 2; }

__attribute__((export_name("run"))) int run(int n) {
  int x = 1;
  for (int i = 0; i < n * 1000; i++) x = clamp(mix(scale(x), i), -1000000, 1000000);
  return x;
}

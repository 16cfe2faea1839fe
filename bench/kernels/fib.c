/* Nothing but calls: the dearest thing to meter. */
__attribute__((noinline)) static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

__attribute__((export_name("run"))) int run(int n) {
  int sum = 0;
  for (int r = 0; r < n; r++) sum += fib(18 + (r & 3));
  return sum;
}

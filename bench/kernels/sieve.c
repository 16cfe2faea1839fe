/* Short loops over bytes. */
#define N 100000
static unsigned char composite[N + 1];

__attribute__((export_name("run"))) int run(int n) {
  int count = 0;
  for (int r = 0; r < n; r++) {
    for (int i = 0; i <= N; i++) composite[i] = 0;
    count = 0;
    for (int i = 2; i <= N; i++) {
      if (composite[i]) continue;
      count++;
      for (long long j = (long long)i * i; j <= N; j += i) composite[j] = 1;
    }
  }
  return count;
}

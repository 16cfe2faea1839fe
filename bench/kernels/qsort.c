/* Recursion with data-dependent branches and memory. */
typedef unsigned int u32;
#define N 20000
static u32 values[N];

static void sort(u32 *a, int lo, int hi) {
  while (lo < hi) {
    u32 pivot = a[(lo + hi) / 2];
    int i = lo, j = hi;
    while (i <= j) {
      while (a[i] < pivot) i++;
      while (a[j] > pivot) j--;
      if (i <= j) {
        u32 t = a[i];
        a[i++] = a[j], a[j--] = t;
      }
    }
    if (j - lo < hi - i) {
      sort(a, lo, j);
      lo = i;
    } else {
      sort(a, i, hi);
      hi = j;
    }
  }
}

__attribute__((export_name("run"))) int run(int n) {
  u32 seed = 12345, sum = 0;
  for (int r = 0; r < n; r++) {
    for (int i = 0; i < N; i++) values[i] = seed = seed * 1664525 + 1013904223;
    sort(values, 0, N - 1);
    sum += values[r % N];
  }
  return sum;
}

/* Three nested loops over memory, in doubles. */
#define N 120
static double a[N][N], b[N][N], c[N][N];

__attribute__((export_name("run"))) int run(int n) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) a[i][j] = i + j, b[i][j] = i - j;
  for (int r = 0; r < n; r++)
    for (int i = 0; i < N; i++)
      for (int j = 0; j < N; j++) {
        double sum = 0;
        for (int k = 0; k < N; k++) sum += a[i][k] * b[k][j];
        c[i][j] = sum + r;
      }
  return (int)c[N / 2][N / 3];
}

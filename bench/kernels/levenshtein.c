/* Dynamic programming: branches in an inner loop. */
#define N 600
static char a[N], b[N];
static int row[N + 1];

__attribute__((export_name("run"))) int run(int n) {
  int total = 0;
  for (int i = 0; i < N; i++) a[i] = 'a' + i * 7 % 13, b[i] = 'a' + i * 11 % 17;
  for (int r = 0; r < n; r++) {
    for (int j = 0; j <= N; j++) row[j] = j;
    for (int i = 1; i <= N; i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= N; j++) {
        int substitute = diagonal + (a[i - 1] != b[j - 1]);
        int best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
        diagonal = row[j];
        row[j] = substitute < best ? substitute : best;
      }
    }
    total += row[N];
  }
  return total;
}

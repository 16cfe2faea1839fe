/* A tight floating-point loop that ends early, depending on the data. */
__attribute__((export_name("run"))) int run(int n) {
  int inside = 0;
  for (int r = 0; r < n; r++)
    for (int py = 0; py < 64; py++)
      for (int px = 0; px < 64; px++) {
        double x0 = px / 32.0 - 1.5, y0 = py / 32.0 - 1.0, x = 0, y = 0;
        int i = 0;
        for (; i < 100 && x * x + y * y <= 4.0; i++) {
          double t = x * x - y * y + x0;
          y = 2 * x * y + y0, x = t;
        }
        inside += i == 100;
      }
  return inside;
}

/* Floating point with square roots and divisions, short loops. */
struct body { double x, y, z, vx, vy, vz, mass; };

static struct body bodies[5];
static const struct body start[5] = {
    {0, 0, 0, 0, 0, 0, 39.47},
    {4.84, -1.16, -0.10, 0.606, 2.81, -0.02, 0.037},
    {8.34, 4.12, -0.4, -1.01, 1.82, 0.008, 0.011},
    {12.89, -15.11, -0.22, 1.08, 0.86, -0.01, 0.0017},
    {15.37, -25.9, 0.17, 0.97, 0.59, -0.03, 0.002},
};

static void advance(double dt) {
  for (int i = 0; i < 5; i++)
    for (int j = i + 1; j < 5; j++) {
      struct body *p = &bodies[i], *q = &bodies[j];
      double dx = p->x - q->x, dy = p->y - q->y, dz = p->z - q->z;
      double d2 = dx * dx + dy * dy + dz * dz;
      double m = dt / (d2 * __builtin_sqrt(d2));
      p->vx -= dx * q->mass * m, p->vy -= dy * q->mass * m, p->vz -= dz * q->mass * m;
      q->vx += dx * p->mass * m, q->vy += dy * p->mass * m, q->vz += dz * p->mass * m;
    }
  for (int i = 0; i < 5; i++) {
    struct body *p = &bodies[i];
    p->x += dt * p->vx, p->y += dt * p->vy, p->z += dt * p->vz;
  }
}

__attribute__((export_name("run"))) int run(int n) {
  for (int i = 0; i < 5; i++) bodies[i] = start[i];
  for (int i = 0; i < n * 1000; i++) advance(0.001);
  return (int)(bodies[0].x * 1e6);
}

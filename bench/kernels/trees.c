/* Building and walking trees: recursion and an allocator. */
struct node { struct node *left, *right; };

#define NODES 65536
static struct node nodes[NODES];
static int used;

static struct node *make(int depth) {
  struct node *node = &nodes[used++];
  node->left = depth > 0 ? make(depth - 1) : 0;
  node->right = depth > 0 ? make(depth - 1) : 0;
  return node;
}

static int count(const struct node *node) { return node == 0 ? 0 : 1 + count(node->left) + count(node->right); }

__attribute__((export_name("run"))) int run(int n) {
  int total = 0;
  for (int r = 0; r < n; r++) {
    used = 0;
    total += count(make(12));
  }
  return total;
}

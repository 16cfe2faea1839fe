/* Words into a hash table: short copies and comparisons, calls, branches. */
typedef unsigned int u32;
#define BUCKETS 1024
struct entry { struct entry *next; u32 length; int count; char text[12]; };

static struct entry entries[2048];
static struct entry *buckets[BUCKETS];
static int used;

static u32 hash(const char *text, u32 length) {
  u32 h = 2166136261u;
  for (u32 i = 0; i < length; i++) h = (h ^ (unsigned char)text[i]) * 16777619u;
  return h;
}

static int same(const char *a, const char *b, u32 length) {
  for (u32 i = 0; i < length; i++)
    if (a[i] != b[i]) return 0;
  return 1;
}

__attribute__((noinline)) static struct entry *find(const char *text, u32 length) {
  struct entry **bucket = &buckets[hash(text, length) % BUCKETS];
  for (struct entry *e = *bucket; e; e = e->next)
    if (e->length == length && same(e->text, text, length)) return e;
  struct entry *e = &entries[used++];
  e->next = *bucket, e->length = length, e->count = 0;
  for (u32 i = 0; i < length; i++) e->text[i] = text[i];
  return *bucket = e;
}

__attribute__((export_name("run"))) int run(int n) {
  u32 seed = 1;
  int most = 0;
  used = 0;
  for (int i = 0; i < BUCKETS; i++) buckets[i] = 0;
  for (int r = 0; r < n * 100; r++) {
    char word[12];
    seed = seed * 1664525 + 1013904223;
    u32 length = 3 + (seed >> 28) % 8;
    u32 letters = (seed >> 12) % 150;
    for (u32 i = 0; i < length; i++) word[i] = 'a' + letters % 26, letters = letters / 5 + i;
    int count = ++find(word, length)->count;
    if (count > most) most = count;
  }
  return most;
}

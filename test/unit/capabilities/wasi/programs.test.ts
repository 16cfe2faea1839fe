/** Real programs: modules in the text format, and C with a C library. */

import { beforeAll, describe, expect, test } from 'vitest';
import { compileWasiC } from '../../../../plugins-examples/toolkit/wasi-c.ts';
import {
  catCommand,
  exitCommand,
  keepingPlugin,
  mountCommand,
  randomCommand,
  sleepCommand,
  talkingPlugin,
} from '../../../helpers/wasi-guests.ts';
import { wat } from '../../../helpers/wat.ts';
import { wasiGrant } from './guest.ts';
import { mountedAnswer } from './mounted.ts';
import { type Run, runWasi } from './running.ts';

describe('A module in the text format', () => {
  test('copies its input to its output as a command', () => {
    const input = Buffer.from('x'.repeat(10_000) + 'end');
    expect(runWasi(wat(catCommand), { input }).output).toBe(input.toString());
  });

  test('ends with its exit code, after what it wrote', () => {
    const run = runWasi(wat(exitCommand));
    expect([run.code, run.output, run.log]).toEqual([3, 'out\n', ['warn bad']]);
  });

  test('is stopped when its output is too large', () => {
    const run = runWasi(wat(catCommand), { input: Buffer.alloc(5_000), limits: { outputBytes: 4_999 } });
    expect(run.call.stops.map(({ kind }) => kind)).toEqual(['OUTPUT_TOO_LARGE']);
  });

  test('sleeps', () => {
    const run = runWasi(wat(sleepCommand), { limits: { timeoutMs: 300_000 } });
    expect(run.call.clock.now() - 1_750_000_000_000).toBe(300_000);
  });

  test('reads a mount', () => {
    const options = {
      ...wasiGrant({ mounts: [{ guestPath: '/data', name: 'data' }] }),
      answer: mountedAnswer({ data: { 'a.txt': 'hello' } }),
    };
    expect(runWasi(wat(mountCommand), options).output).toBe('hello');
  });

  test('gets the same random bytes from the same seed', () => {
    const outputs = [0, 1].map(() => runWasi(wat(randomCommand)).output);
    expect(outputs[0]).toBe(outputs[1]);
    expect(outputs[0]).not.toBe('\0'.repeat(32));
  });

  test('finds nothing of an earlier call', () => {
    const input = Buffer.from('secret');
    const kept = runWasi(wat(keepingPlugin), { functionName: 'keep', input });
    expect([kept.answer, kept.call.chargedBytes > 0]).toEqual([0, true]);
    expect(runWasi(wat(keepingPlugin), { functionName: 'find', input }).answer).toBe(44);
  });

  test('sends lines to the log as a plugin', () => {
    const run = runWasi(wat(talkingPlugin), { functionName: 'run' });
    expect([run.output, run.log]).toEqual([undefined, ['info one', 'info two', 'warn one', 'info thr', 'warn tw']]);
  });
});

const program = `
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void list(const char *path) {
  DIR *folder = opendir(path);
  if (folder == NULL) { printf("%s: %s\\n", path, strerror(errno)); return; }
  printf("%s:", path);
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) printf(" %s", entry->d_name);
  printf("\\n");
  closedir(folder);
}

static void put(const char *path, const char *mode, const char *text) {
  FILE *file = fopen(path, mode);
  if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) printf("%s: %s\\n", path, strerror(errno));
}

static void show(const char *path) {
  char line[64];
  FILE *file = fopen(path, "r");
  if (file == NULL) { printf("%s: %s\\n", path, strerror(errno)); return; }
  printf("%s:", path);
  while (fgets(line, sizeof line, file)) printf(" [%s]", strtok(line, "\\n"));
  printf("\\n");
  fclose(file);
}

int main(int argc, char **argv) {
  char line[64];
  struct stat about;
  for (int i = 0; i < argc; i++) printf("%s ", argv[i]);
  printf("HOME=%s\\n", getenv("HOME"));
  while (fgets(line, sizeof line, stdin)) printf("in: %s", line);

  put("/f", "w", "one\\ntwo\\n");
  put("/f", "a", "three\\n");
  show("/f");
  mkdir("/d", 0777);
  rename("/f", "/d/g");
  link("/d/g", "h");
  stat("h", &about);
  printf("h: %d bytes, %d links, %ld\\n", (int)about.st_size, (int)about.st_nlink, (long)about.st_mtime);
  list("/");
  list("/d");
  printf("rmdir: %s\\n", rmdir("/d") ? strerror(errno) : "done");
  unlink("/d/g");
  printf("rmdir: %s\\n", rmdir("/d") ? strerror(errno) : "done");
  list("/d");
  int file = open("h", O_RDWR);
  lseek(file, 4, SEEK_SET);
  write(file, "TWO", 3);
  ftruncate(file, 9);
  close(file);
  show("h");

  list("/data");
  show("/data/sub/b.txt");
  put("/data/new", "w", "x");
  show("/data/../h");
  printf("symlink: %s\\n", symlink("/h", "/s") ? strerror(errno) : "done");

  int many = 0;
  while (open("h", O_RDONLY) >= 0) many++;
  printf("%d open: %s\\n", many, strerror(errno));
  struct timespec wait = {2, 500000000};
  clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL);
  printf("random: %d\\n", arc4random() != arc4random());
  fprintf(stderr, "to the log\\n");
  exit(42);
}
`;

const plugin = `
#include <stdio.h>

__attribute__((export_name("run"))) int run(void) {
  printf("hello %d\\n", 1);
  FILE *file = fopen("/f", "w");
  fputs("text", file);
  return fclose(file);
}
`;

describe('A C program', () => {
  let run: Run;
  let reactor: Uint8Array<ArrayBuffer>;

  beforeAll(async () => {
    run = runWasi(await compileWasiC(program), {
      ...wasiGrant({ descriptorsMax: 7, mounts: [{ guestPath: '/data', name: 'data' }] }),
      input: Buffer.from('first\nsecond'),
      config: { args: '["-v", "x y"]', 'env.HOME': '/home' },
      answer: mountedAnswer({ data: { 'a.txt': 'a', sub: { 'b.txt': 'b\nc\n' } } }),
    });
    reactor = await compileWasiC(plugin, '-mexec-model=reactor');
  });

  test('uses files, directories, arguments, environment and streams as it would anywhere', () => {
    expect(run.call.stops).toEqual([]);
    expect(run.output?.split('\n')).toEqual([
      '_start -v x y HOME=/home',
      'in: first',
      'in: second/f: [one] [two] [three]',
      'h: 14 bytes, 2 links, 1750000000',
      '/: . .. d h',
      '/d: . .. g',
      'rmdir: Directory not empty',
      'rmdir: done',
      '/d: No such file or directory',
      'h: [one] [TWO] [t]',
      '/data: . .. a.txt sub',
      '/data/sub/b.txt: [b] [c]',
      '/data/new: Read-only file system',
      '/data/../h: Capabilities insufficient',
      'symlink: Not supported',
      '7 open: Too many open files in system',
      'random: 1',
      '',
    ]);
  });

  test('ends with its exit code, its errors in the log, and after its sleep', () => {
    expect(run.code).toBe(42);
    expect(run.log).toEqual(['warn to the log']);
    expect(run.call.clock.now() - 1_750_000_000_000).toBe(2_500);
  });

  test('as a plugin logs each line at once, and has files while its function runs', () => {
    const one = runWasi(reactor, { functionName: 'run' });
    expect([one.answer, one.log, one.output]).toEqual([0, ['info hello 1'], undefined]);
  });
});

/** Programs for WASI over the wire: a C program with its library, and small guests for what no program does by itself. */

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileWasiC } from '../../plugins-examples/toolkit/wasi-c.ts';
import { type Execution, type ExecutionEvent, LogLevel, Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import { builtOnce } from '../helpers/built-once.ts';
import { callGuest, textOf } from '../helpers/capability-guests.ts';
import { type Clients, clientsOf, publishWat, uploadOf } from '../helpers/plugins.ts';
import { everybody, type PolicyFile, writePolicy } from '../helpers/policies.ts';
import { startServer, type TestServer } from '../helpers/server.ts';
import {
  catCommand,
  exitCommand,
  keepingPlugin,
  mountCommand,
  randomCommand,
  sleepCommand,
  talkingPlugin,
} from '../helpers/wasi-guests.ts';

/** Does what its first argument says. */
const program = `
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static int put(const char *path, const char *text) {
  FILE *file = fopen(path, "w");
  if (!file) return printf("%s: %s\\n", path, strerror(errno)), 1;
  int failed = fputs(text, file) < 0;
  failed |= fclose(file);
  if (failed) printf("%s: %s\\n", path, strerror(errno));
  return failed;
}

static int show(const char *path) {
  char line[256];
  FILE *file = fopen(path, "r");
  if (!file) return printf("%s: %s\\n", path, strerror(errno)), 1;
  while (fgets(line, sizeof line, file)) fputs(line, stdout);
  return fclose(file);
}

int main(int count, char **words) {
  const char *what = count > 1 ? words[1] : "";
  if (!strcmp(what, "args")) for (int i = 0; i < count; i++) printf("%d=%s\\n", i, words[i]);
  if (!strcmp(what, "env")) {
    const char *a = getenv("A"), *b = getenv("LANG"), *path = getenv("PATH");
    printf("A=%s LANG=%s PATH=%s\\n", a ? a : "-", b ? b : "-", path ? path : "-");
  }
  if (!strcmp(what, "exit")) { printf("out\\n"); fprintf(stderr, "first\\nsecond"); return atoi(words[2]); }
  if (!strcmp(what, "quote")) { char line[256]; while (fgets(line, sizeof line, stdin)) printf("> %s", line); }
  if (!strcmp(what, "files")) {
    mkdir("/work", 0777);
    put("/work/a.txt", "one\\ntwo\\n");
    rename("/work/a.txt", "/work/b.txt");
    show("/work/a.txt");
    show("/work/b.txt");
  }
  if (!strcmp(what, "fill")) {
    long bytes = atol(words[2]);
    char *text = malloc(bytes + 1);
    memset(text, 'x', bytes);
    text[bytes] = 0;
    printf("%s\\n", put("/full", text) ? "refused" : "written");
  }
  if (!strcmp(what, "open")) {
    int opened = 0;
    put("/one", "");
    while (opened < 100 && fopen("/one", "r")) opened++;
    printf("%d %s\\n", opened, strerror(errno));
  }
  if (!strcmp(what, "make")) {
    int made = 0;
    char path[32];
    for (; made < 1000; made++) { snprintf(path, sizeof path, "/f%d", made); FILE *file = fopen(path, "w"); if (!file) break; fclose(file); }
    printf("%d %s\\n", made, strerror(errno));
  }
  if (!strcmp(what, "show")) return show(words[2]);
  if (!strcmp(what, "put")) return put(words[2], "changed");
  if (!strcmp(what, "list")) {
    DIR *folder = opendir(words[2]);
    if (!folder) return printf("%s: %s\\n", words[2], strerror(errno)), 1;
    for (struct dirent *entry; (entry = readdir(folder));) if (entry->d_name[0] != '.') printf("%s\\n", entry->d_name);
  }
  if (!strcmp(what, "time")) { struct timespec now; clock_gettime(CLOCK_REALTIME, &now); printf("%lld\\n", (long long)now.tv_sec); }
  return 0;
}
`;

const quotas = { file_bytes_max: 10_000, descriptors_max: 5, inodes_max: 20 };

let policy: PolicyFile;
let server: TestServer;
let clients: Clients;

beforeAll(async () => {
  policy = writePolicy((directory) => [
    everybody,
    {
      name: 'folders',
      tenants: ['*'],
      plugins: ['program', 'mount'],
      mounts: { templates: join(directory, 'templates'), private: join(directory, 'private') },
      wasi: quotas,
    },
  ]);
  const templates = join(policy.directory, 'templates');
  mkdirSync(join(templates, 'inner'), { recursive: true });
  writeFileSync(join(templates, 'a.txt'), 'from the host');
  writeFileSync(join(templates, 'inner', 'b.txt'), 'deeper');
  writeFileSync(join(policy.directory, 'outside.txt'), 'nobody’s business');
  symlinkSync(join(policy.directory, 'outside.txt'), join(templates, 'out'));
  symlinkSync('a.txt', join(templates, 'in'));
  server = await startServer({ examples: false, arguments: ['--policy', policy.path] });
  clients = clientsOf(server.address);
  const mounts = { '/templates': 'templates', '/absent': 'unheard-of' };
  const manifest = { name: 'program', version: '1.0.0', capabilities: ['wasi'], mounts, config: { 'env.LANG': 'C' } };
  const module = await builtOnce('wasi-program', [['', program]], () => compileWasiC(program));
  await clients.plugins.publishPlugin(uploadOf({ manifest: JSON.stringify(manifest), module }));
  const guests = {
    cat: catCommand,
    exit: exitCommand,
    keeping: keepingPlugin,
    random: randomCommand,
    sleep: sleepCommand,
    talking: talkingPlugin,
  };
  for (const [name, text] of Object.entries(guests)) await publishWat(clients, name, text, { capabilities: ['wasi'] });
  await publishWat(clients, 'mount', mountCommand, {
    capabilities: ['wasi'],
    more: { mounts: { '/templates': 'templates' } },
  });
});

afterAll(async () => {
  clients[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  policy[Symbol.dispose]();
});

function start(words: readonly (string | number)[], more: object = {}): Promise<Execution> {
  const config = { args: JSON.stringify(words.map(String)) };
  return callGuest(clients, 'program/_start', [], { config, ...more });
}

async function output(...words: readonly (string | number)[]): Promise<string> {
  const execution = await start(words);
  expect([execution.outcome, execution.error?.message]).toEqual([Outcome.OK, undefined]);
  return textOf(execution);
}

/** Lines of log and the outcome. */
async function told(request: Parameters<Clients['executions']['executeStream']>[0]): Promise<readonly unknown[]> {
  const events: ExecutionEvent[] = [];
  for await (const { event } of clients.executions.executeStream(request)) if (event) events.push(event);
  return events.flatMap(({ event }) => {
    if (event.case === 'log') return [[event.value.level, event.value.message]];
    return event.case === 'outcome' ? [[event.value.outcome, event.value.error?.kind ?? '']] : [];
  });
}

describe('A program', () => {
  test('has the input as stdin and its stdout as the output', async () => {
    const config = { args: '["quote"]' };
    const execution = await callGuest(clients, 'program/_start', ['a', 'b', ''], { config });
    expect([execution.outcome, textOf(execution)]).toEqual([Outcome.OK, '> a\n> b\n']);
    const large = Buffer.alloc(1_000_000, 'large input ');
    const copied = await clients.executions.execute({ plugin: 'cat', function: '_start', input: large });
    expect(Buffer.compare(copied.execution?.output ?? new Uint8Array(), large)).toBe(0);
  });

  test('has arguments and environment of the configuration, and nothing of the server’s', async () => {
    expect(await output('args', 'with space', 'ünicode')).toBe('0=_start\n1=args\n2=with space\n3=ünicode\n');
    const config = { args: '["env"]', 'env.A': 'b=c' };
    expect(textOf(await start([], { config }))).toBe('A=b=c LANG=C PATH=-\n');
    const { outcome, error } = await start([], { config: { args: 'no JSON' } });
    expect([outcome, error?.message]).toEqual([Outcome.TRAP, expect.stringContaining('args')]);
  });

  test('ends with its exit code, and its stderr is in the log', async () => {
    const request = (code: number) => ({
      plugin: 'program',
      function: '_start',
      config: { args: JSON.stringify(['exit', `${code}`]) },
    });
    const lines = [
      [LogLevel.WARN, 'first'],
      [LogLevel.WARN, 'second'],
    ];
    expect(await told(request(0))).toEqual([...lines, [Outcome.OK, '']]);
    expect(await told(request(3))).toEqual([...lines, [Outcome.PLUGIN_ERROR, 'NONZERO_EXIT']]);
    const { error, output } = await start(['exit', 3]);
    expect([error?.message, output.length]).toEqual(['The program exited with 3', 0]);
    expect((await callGuest(clients, 'exit/_start')).error?.kind).toBe('NONZERO_EXIT');
  });

  test('has the time, and the same chance for the same seed', async () => {
    const seconds = Number(await output('time'));
    expect(Math.abs(seconds - Date.now() / 1_000)).toBeLessThan(60);
    const bytes = async (seed: string): Promise<string> =>
      Buffer.from((await callGuest(clients, 'random/_start', [], { randomSeed: Buffer.from(seed) })).output).toString(
        'hex',
      );
    const [one, again, other] = [await bytes('seed'), await bytes('seed'), await bytes('')];
    expect([one.length, again]).toEqual([64, one]);
    expect(other).not.toBe(one);
  });

  test('that sleeps is stopped by its limit of time', async () => {
    const limits = { timeout: { nanos: 200_000_000 } };
    const { outcome, error } = await callGuest(clients, 'sleep/_start', [], { limits });
    expect([outcome, error?.kind]).toEqual([Outcome.TIMED_OUT, 'TIMEOUT']);
  });

  test('may put out as much as the limit, and no more', async () => {
    const copy = (outputBytes: bigint) =>
      callGuest(clients, 'cat/_start', ['x'.repeat(1_000)], { limits: { outputBytes } });
    expect([(await copy(1_000n)).outcome, (await copy(999n)).outcome]).toEqual([Outcome.OK, Outcome.OUTPUT_TOO_LARGE]);
  });

  test('is counted', async () => {
    const { usage } = await callGuest(clients, 'cat/_start', ['text']);
    expect(usage?.hostCallsByCapability).toEqual({ wasi: usage?.hostCalls });
    expect(usage?.hostCalls).toBeGreaterThan(0n);
  });
});

describe('Files', () => {
  test('are made, renamed and read', async () => {
    expect(await output('files')).toBe('/work/a.txt: No such file or directory\none\ntwo\n');
  });

  test('of one run are not there in the next one', async () => {
    for (let round = 0; round < 3; round++) {
      const keep = await callGuest(clients, 'keeping/keep', ['secret']);
      expect(keep.outcome).toBe(Outcome.OK);
      expect((await callGuest(clients, 'keeping/find')).error?.message).toBe('The function returned 44');
    }
  });

  test('are bounded in bytes, descriptors and number', async () => {
    // The name counts, too.
    const bytes = quotas.file_bytes_max - 'full'.length;
    expect(await output('fill', bytes)).toBe('written\n');
    expect(await output('fill', bytes + 1)).toMatch(/No space left on device.*\nrefused\n/);
    expect(await output('open')).toBe(`${quotas.descriptors_max} Too many open files in system\n`);
    expect(await output('make')).toMatch(new RegExp(`^${quotas.inodes_max} `));
  });
});

describe('A folder of the operator', () => {
  test('is read, listed, and never written', async () => {
    expect(await output('show', '/templates/a.txt')).toBe('from the host');
    expect(await output('show', '/templates/inner/b.txt')).toBe('deeper');
    expect((await output('list', '/templates')).trim().split('\n').toSorted()).toEqual(['a.txt', 'in', 'inner', 'out']);
    expect(textOf(await callGuest(clients, 'mount/_start'))).toBe('from the host');
    for (const path of ['/templates/a.txt', '/templates/new']) {
      const { outcome } = await start(['put', path]);
      expect(outcome).toBe(Outcome.PLUGIN_ERROR);
    }
    expect(await output('show', '/templates/a.txt')).toBe('from the host');
  });

  test('leads nowhere else', async () => {
    expect(await output('show', '/templates/in')).toBe('from the host');
    for (const path of [
      '/templates/out',
      '/templates/../outside.txt',
      '/outside.txt',
      '/absent/a.txt',
      '/etc/passwd',
    ]) {
      const { outcome, error } = await start(['show', path]);
      expect([path, outcome, error?.kind]).toEqual([path, Outcome.PLUGIN_ERROR, 'NONZERO_EXIT']);
    }
  });
});

describe('A plugin', () => {
  test('has its stdout in the log, line by line', async () => {
    expect(await told({ plugin: 'talking', function: 'run' })).toEqual([
      [LogLevel.INFO, 'one'],
      [LogLevel.INFO, 'two'],
      [LogLevel.WARN, 'one'],
      [LogLevel.INFO, 'thr'],
      [LogLevel.WARN, 'tw'],
      [Outcome.OK, ''],
    ]);
  });
});

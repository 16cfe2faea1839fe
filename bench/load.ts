/**
 * The load generator: a process of its own that reads jobs from its input, a line
 * of JSON each, and writes their results. It stays for the whole run of the
 * benchmarks, so that its code is warm when it is needed.
 */

import { createInterface } from 'node:readline';
import { runCalls } from './load/calls.ts';
import { runEvents } from './load/events.ts';
import type { Job } from './load/jobs.ts';
import { runMany } from './load/many.ts';
import { runPaced } from './load/paced.ts';

function run(job: Job): Promise<unknown> {
  switch (job.kind) {
    case 'calls':
      return runCalls(job);
    case 'many':
      return runMany(job);
    case 'events':
      return runEvents(job);
    case 'paced':
      return runPaced(job);
  }
}

async function answer(line: string): Promise<object> {
  try {
    return { result: await run(JSON.parse(line) as Job) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
}

/** The load generator as the benchmarks see it: a process that does one job at a time. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import type { Job, ResultOf } from './load/jobs.ts';
import { endChild } from './process.ts';

interface Answer {
  readonly result?: unknown;
  readonly error?: string;
}

export class LoadProcess implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    const program = join(import.meta.dirname, 'load.ts');
    this.#child = spawn(process.execPath, [program], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Does a job; the next one may come when it is done. */
  async run<Kind extends Job['kind']>(job: Extract<Job, { readonly kind: Kind }>): Promise<ResultOf[Kind]> {
    this.#child.stdin.write(`${JSON.stringify(job)}\n`);
    const line = await this.#lines.next();
    if (line.done === true) throw new Error('The load generator ended');
    const { result, error } = JSON.parse(line.value) as Answer;
    if (error !== undefined) throw new Error(`The load generator failed: ${error}`);
    return result as ResultOf[Kind];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return endChild(this.#child);
  }
}

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { yieldToOthers } from '../../../src/sandbox/thread-priority.ts';

const tasks = '/proc/self/task';

test.skipIf(!existsSync(tasks))(
  'yieldToOthers lowers the priority of the threads of a name, and of no others',
  async () => {
    const start = async (name: string): Promise<Worker> => {
      const worker = new Worker(
        'setInterval(() => {}, 1000); require("node:worker_threads").parentPort.postMessage(1)',
        {
          eval: true,
          name,
        },
      );
      await new Promise((resolve) => worker.once('message', resolve));
      return worker;
    };
    const workers = [await start('yielding'), await start('usual')];
    const priorityOf = (name: string): number => {
      const id = readdirSync(tasks).find((task) => readFileSync(`${tasks}/${task}/comm`, 'utf8').trimEnd() === name);
      return getPriority(Number(id));
    };
    const before = priorityOf('usual');
    yieldToOthers('yielding');
    expect(priorityOf('yielding')).toBe(10);
    expect(priorityOf('usual')).toBe(before);
    for (const worker of workers) await worker.terminate();
    expect(() => yieldToOthers('yielding')).not.toThrow();
  },
);

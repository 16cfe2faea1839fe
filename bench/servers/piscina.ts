/**
 * Extism on the threads of piscina, behind the common edge: `node piscina.ts MODE
 * FOLDER`, the modes being "create" and "reuse" as in extism.ts.
 */

import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Piscina } from 'piscina';
import { serveExecute } from './edge.ts';
import type { Task } from './piscina-worker.ts';

const [mode = '', folder = ''] = process.argv.slice(2);
const threads = availableParallelism();
const pool = new Piscina<Task, Uint8Array>({
  filename: join(import.meta.dirname, 'piscina-worker.ts'),
  name: mode,
  minThreads: threads,
  maxThreads: threads,
  workerData: folder,
});

serveExecute(({ plugin, function: functionName, input }) => pool.run({ plugin, functionName, input }));

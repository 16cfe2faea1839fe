/** Entry of the compiler's thread. It does one job after the other. */

import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../base/assert.ts';
import type { CompilerAnswer, CompilerData, ReadyMessage, ToCompiler } from '../protocol.ts';
import { errorData } from '../refusal.ts';
import { analyseModule, compileModule } from './compile.ts';

assert(parentPort, 'This file runs in a thread');
const port = parentPort;
const { policy } = workerData as CompilerData;

function answerTo(job: ToCompiler): CompilerAnswer {
  const { memoryBytes } = job;
  const bytes = job.bytes as Uint8Array<ArrayBuffer>;
  try {
    switch (job.type) {
      case 'analyse':
        return { type: 'analysed', analysis: analyseModule({ bytes, memoryBytes, policy }) };
      case 'compile':
        return { type: 'compiled', plugin: compileModule({ bytes, memoryBytes, policy }, job.digest) };
    }
  } catch (error) {
    return { type: 'failed', error: errorData(error) };
  }
}

port.on('message', (job: ToCompiler) => port.postMessage(answerTo(job)));
port.postMessage({ type: 'ready' } satisfies ReadyMessage);

/** Entry of the compiler's thread. It does one job after the other. */

import { parentPort, workerData } from 'node:worker_threads';
import { assert } from '../../base/assert.ts';
import type { CompilerAnswer, CompilerData, ReadyMessage, ToCompiler } from '../protocol.ts';
import { errorData } from '../refusal.ts';
import { analyseModule } from './compile.ts';

assert(parentPort, 'This file runs in a thread');
const port = parentPort;
const { policy } = workerData as CompilerData;

function answerTo(job: ToCompiler): CompilerAnswer {
  const bytes = job.bytes as Uint8Array<ArrayBuffer>;
  try {
    switch (job.type) {
      case 'analyse':
        return { type: 'analysed', analysis: analyseModule({ bytes, memoryBytes: job.memoryBytes, policy }) };
      case 'compile':
        return { type: 'compiled', module: new WebAssembly.Module(bytes) };
    }
  } catch (error) {
    return { type: 'failed', error: errorData(error) };
  }
}

/** What is large is handed over instead of copied. */
function transferOf(answer: CompilerAnswer): readonly ArrayBuffer[] {
  const composed = answer.type === 'analysed' ? answer.analysis.composed : undefined;
  return composed === undefined ? [] : [composed.bytes.buffer];
}

port.on('message', (job: ToCompiler) => {
  const answer = answerTo(job);
  port.postMessage(answer, transferOf(answer));
});
port.postMessage({ type: 'ready' } satisfies ReadyMessage);

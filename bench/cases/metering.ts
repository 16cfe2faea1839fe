/**
 * What metering costs: C kernels and two real programs as they are, metered, and
 * metered naively (every basic block counts in a global and checks it), optimized,
 * in the same run. Also how soon a guest stops that shall, how fast modules are
 * rewritten and how much they grow.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { setV8Flags } from '../../src/sandbox/v8-flags.ts';
import { inspectModule } from '../../src/wasm/inspect.ts';
import { rewriteModule } from '../../src/wasm/rewrite.ts';
import { buildKernels } from '../kernels.ts';
import { type Form, formOf } from '../programs/forms.ts';
import { quickJs } from '../programs/quickjs.ts';
import { compareForms, type Slowdown, timed } from '../programs/slowdown.ts';
import { sqlite } from '../programs/sqlite.ts';
import { stopLatency } from '../programs/stop-latency.ts';
import type { Subject } from '../programs/subject.ts';
import type { CaseReport } from '../report.ts';

/** Those of the quick run: a loop, calls, indirect calls, memory, floats. */
const quickKernels = ['sha256', 'fib', 'indirect', 'qsort', 'nbody'];
const programs: readonly Subject[] = [quickJs, sqlite];
const memoryBytesMax = 2 ** 32;

export async function metering({ quick }: { quick: boolean }): Promise<CaseReport> {
  setV8Flags();
  const stops = await stopLatency(quick ? 20 : 100);
  // From here on there is optimized code only: what is measured is the steady state.
  setFlagsFromString('--no-liftoff');
  const kernels = await buildKernels(quick ? quickKernels : undefined);
  const rounds = quick ? 5 : 11;
  const ofKernels = kernels.map((subject) => compareForms(subject, rounds));
  const ofPrograms = programs.map((subject) => compareForms(subject, rounds));
  return {
    name: 'metering',
    rows: [...[...ofKernels, ...ofPrograms].flatMap(({ rows }) => rows), ...stops],
    reading: [
      `time against raw, geometric mean of ${kernels.length} kernels: ${means(ofKernels)}`,
      `time against raw, geometric mean of ${programs.length} programs: ${means(ofPrograms)}`,
      ...programs.map((subject) => `${subject.name}: ${growthOf(subject)}`),
      rewriting(),
    ],
    findings: { meteredKernels: meanOf('metered', ofKernels), meteredPrograms: meanOf('metered', ofPrograms) },
  };
}

function means(slowdowns: readonly Slowdown[]): string {
  return `metered ${meanOf('metered', slowdowns).toFixed(2)}, naive ${meanOf('naive', slowdowns).toFixed(2)}`;
}

function meanOf(form: Form, slowdowns: readonly Slowdown[]): number {
  return geomean(slowdowns.map(({ ratios }) => ratios[form]));
}

function geomean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

function growthOf(subject: Subject): string {
  const size = (form: Form): string => (formOf(form, subject).length / subject.bytes.length).toFixed(2);
  return `${(subject.bytes.length / 1e6).toFixed(2)} MB, metered ${size('metered')} times the size, naively ${size('naive')}`;
}

/** How fast a large module of npm is rewritten, and how much it grows. */
function rewriting(): string {
  const path = join(import.meta.dirname, '../../node_modules/@yowasp/clang/gen/llvm.core.wasm');
  const bytes = new Uint8Array(readFileSync(path));
  const info = inspectModule(bytes);
  const { result, ms } = timed(() => rewriteModule(bytes, info, { memoryBytesMax, metering: {} }).bytes.length);
  const megabytes = bytes.length / 1e6;
  return `rewriting a module of ${megabytes.toFixed(0)} MB: ${(ms / megabytes).toFixed(0)} ms for each MB, ${(result / bytes.length).toFixed(2)} times the size`;
}

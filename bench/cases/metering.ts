/**
 * What metering costs: C kernels as they are, metered, and metered naively (every
 * basic block counts in a global and checks it), optimized, in the same run. Also
 * how fast modules are rewritten and how much they grow.
 */

import { setFlagsFromString } from 'node:v8';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspectModule } from '../../src/wasm/inspect.ts';
import { rewriteModule } from '../../src/wasm/rewrite.ts';
import { FuelHost } from '../../test/helpers/fuel-host.ts';
import { meterNaively } from '../../test/helpers/naive-meter.ts';
import { buildKernels, type Kernel } from '../kernels.ts';
import { median } from '../measure.ts';
import type { CaseReport, Row } from '../report.ts';

/** Those of the quick run: a loop, calls, indirect calls, memory, floats. */
const quickKernels = ['sha256', 'fib', 'indirect', 'qsort', 'nbody'];
const memoryBytesMax = 1 << 26;
/** A round of one kernel takes about so long. */
const roundMs = 60;

type Form = 'raw' | 'metered' | 'naive';
const forms: readonly Form[] = ['raw', 'metered', 'naive'];

export async function metering(options: { quick: boolean }): Promise<CaseReport> {
  // Before anything is compiled. Optimized code only: what is measured is the steady state.
  setFlagsFromString('--experimental-wasm-branch-hinting');
  setFlagsFromString('--no-liftoff');
  const kernels = await buildKernels(options.quick ? quickKernels : undefined);
  const rounds = options.quick ? 5 : 11;
  const ratios = new Map<Form, number[]>(forms.map((form) => [form, []]));
  const rows = kernels.flatMap((kernel) => compareKernel(kernel, rounds, ratios));
  const geomean = (form: Form): number => Math.exp(median([mean((ratios.get(form) ?? []).map(Math.log))]));
  const summary = `time against raw, geometric mean of ${kernels.length} kernels: metered ${geomean('metered').toFixed(2)}, naive ${geomean('naive').toFixed(2)}`;
  return { name: 'metering', rows, reading: [summary, rewriting()] };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

function compareKernel({ name, bytes }: Kernel, rounds: number, ratios: Map<Form, number[]>): readonly Row[] {
  const runs = new Map(forms.map((form) => [form, runOf(form, bytes)]));
  const raw = runs.get('raw');
  if (!raw) return [];
  const turns = turnsFor(raw);
  const expected = raw(turns);
  const times = new Map<Form, number[]>(forms.map((form) => [form, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const [form, run] of runs) {
      const begin = performance.now();
      if (run(turns) !== expected) throw new Error(`Kernel "${name}" gives another result when ${form}`);
      // The first round is the warm-up.
      if (round > 0) times.get(form)?.push(performance.now() - begin);
    }
  }
  const baseline = times.get('raw') ?? [];
  return forms.map((form) => {
    const mine = times.get(form) ?? [];
    const slowdown = median(mine.map((ms, index) => ms / (baseline[index] ?? Number.NaN)));
    ratios.get(form)?.push(slowdown);
    return {
      case: name,
      contender: form,
      figure: `${median(mine).toFixed(1)} ms`,
      spread: `${Math.min(...mine).toFixed(1)} to ${Math.max(...mine).toFixed(1)} ms`,
      ratio: 1 / slowdown,
      note: form === 'raw' ? '' : `${slowdown.toFixed(2)} times the time`,
    };
  });
}

function turnsFor(run: (turns: number) => number): number {
  run(1);
  for (let turns = 1; ; turns *= 2) {
    const begin = performance.now();
    run(turns);
    const ms = performance.now() - begin;
    if (ms > roundMs / 4) return Math.max(1, Math.round((turns * roundMs) / ms));
  }
}

function runOf(form: Form, bytes: Uint8Array<ArrayBuffer>): (turns: number) => number {
  const info = inspectModule(bytes);
  const host = new FuelHost();
  const written =
    form === 'metered'
      ? rewriteModule(bytes, info, { memoryBytesMax, metering: {} }).bytes
      : rewriteModule(bytes, info, { memoryBytesMax }).bytes;
  const final = form === 'naive' ? meterNaively(written, 'block') : written;
  const instance = new WebAssembly.Instance(new WebAssembly.Module(final), form === 'metered' ? host.imports() : {});
  if (form === 'metered') host.attach(instance);
  return instance.exports['run'] as (turns: number) => number;
}

/** How fast a large module of npm is rewritten, and how much it grows. */
function rewriting(): string {
  const path = join(import.meta.dirname, '../../node_modules/@yowasp/clang/gen/llvm.core.wasm');
  const bytes = new Uint8Array(readFileSync(path));
  const info = inspectModule(bytes);
  const begin = performance.now();
  const { bytes: rewritten } = rewriteModule(bytes, info, { memoryBytesMax: 2 ** 32, metering: {} });
  const ms = performance.now() - begin;
  const megabytes = bytes.length / 1e6;
  return `rewriting a module of ${megabytes.toFixed(0)} MB: ${(ms / megabytes).toFixed(0)} ms for each MB, ${(rewritten.length / bytes.length).toFixed(2)} times the size`;
}

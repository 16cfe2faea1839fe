/**
 * How long a guest runs on that shall stop: from the abort of its signal until
 * the sandbox has the answer of its thread, which lives on. The guests never
 * end by themselves and spend their fuel in different ways.
 */

import { systemClock } from '../../src/base/clock.ts';
import { digestOf } from '../../src/base/digest.ts';
import { AbortReason } from '../../src/model/abort-reason.ts';
import { resolveLimits } from '../../src/model/limits.ts';
import { Sandbox, type SandboxCall } from '../../src/sandbox/sandbox.ts';
import { modulePolicyDefault } from '../../src/wasm/policy.ts';
import { compileModule } from '../../test/helpers/compile-module.ts';
import { ampleGrant } from '../../test/helpers/grants.ts';
import { wat } from '../../test/helpers/wat.ts';
import { quantile } from '../measure.ts';
import type { Row } from '../report.ts';

const guests: Readonly<Record<string, string>> = {
  'an empty loop': '(func (export "run") (loop (br 0)))',
  'small calls': `
    (func $fib (param i32) (result i32)
      (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
        (then (local.get 0))
        (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
    (func (export "run") (loop (drop (call $fib (i32.const 25))) (br 0)))`,
  'stores all over its memory': `
    (memory 512)
    (func (export "run") (local i32)
      (loop (i32.store (i32.and (local.get 0) (i32.const 0x1fffffc)) (local.get 0))
        (local.set 0 (i32.add (local.get 0) (i32.const 65540))) (br 0)))`,
  'fills of 32 MiB': `
    (memory 512)
    (func (export "run") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x2000000)) (br 0)))`,
};

/** The floor: a whole run of a guest that ends at once, there and back. */
const floor = 'floor: a run that ends at once';
const endsAtOnce = '(func (export "run"))';

/** The guest has run for so long, and up to as much longer, when it is told to stop. */
const runMs = 15;

export async function stopLatency(stops: number): Promise<readonly Row[]> {
  await using sandbox = await Sandbox.start({ clock: systemClock, id: 1, stopGraceMs: 10_000 });
  const latencies = new Map<string, number[]>([floor, ...Object.keys(guests)].map((name) => [name, []]));
  for (let stop = 0; stop < stops; stop++) {
    latencies.get(floor)?.push(await runToItsEnd(sandbox));
    for (const [name, text] of Object.entries(guests)) {
      latencies.get(name)?.push(await stopOnce(sandbox, text, runMs * (1 + stop / stops)));
    }
  }
  const floorMs = quantile(latencies.get(floor) ?? [], 0.5);
  return [...latencies].map(([name, mine]) => rowOf(name, mine, floorMs));
}

async function runToItsEnd(sandbox: Sandbox): Promise<number> {
  const call = callOf(endsAtOnce);
  const begin = performance.now();
  await sandbox.run(call, { signal: new AbortController().signal, report: () => {} });
  return performance.now() - begin;
}

async function stopOnce(sandbox: Sandbox, text: string, afterMs: number): Promise<number> {
  const stopping = new AbortController();
  const running = sandbox.run(callOf(text), { signal: stopping.signal, report: () => {} });
  await systemClock.sleep(afterMs);
  const begin = performance.now();
  stopping.abort(new AbortReason('CANCELED'));
  const { outcome } = await running;
  const ms = performance.now() - begin;
  if (outcome.name === 'OK' || outcome.error.kind !== 'CANCELED' || sandbox.state !== 'idle') {
    throw new Error('A guest that was told to stop did something else');
  }
  return ms;
}

function callOf(text: string): SandboxCall {
  const bytes = wat(`(module ${text})`);
  const limits = resolveLimits({}, {});
  const { memoryBytes } = limits;
  return {
    executionId: 'execution',
    plugin: compileModule({ bytes, memoryBytes, policy: modulePolicyDefault }, digestOf(bytes)),
    functionName: 'run',
    input: new Uint8Array(),
    config: new Map(),
    grant: ampleGrant,
    limits,
    instance: { mode: 'fresh', warm: 0, key: '' },
    randomSeed: new Uint8Array(),
  };
}

function rowOf(name: string, latencies: readonly number[], floorMs: number): Row {
  const ms = (at: number): string => `${quantile(latencies, at).toFixed(2)} ms`;
  return {
    case: 'stopping',
    contender: name,
    figure: ms(0.5),
    spread: `${ms(0)} to ${ms(1)}`,
    ratio: floorMs / quantile(latencies, 0.5),
    note: `p95 ${ms(0.95)} of ${latencies.length}`,
  };
}

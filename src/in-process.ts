/**
 * Runs one function of a module in this process, on the very engine of the
 * server but without listeners, in a data directory that is gone afterwards.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { chunksOf } from './app.ts';
import type { Clock } from './base/clock.ts';
import { digestOf } from './base/digest.ts';
import { startEngine } from './engine.ts';
import { type ExecutionEvent, ExecutionEventSchema, Outcome } from './gen/caisson/v1/execution_pb.ts';
import type { DoctorCheck } from './cli/dependencies.ts';
import type { Action } from './model/execution.ts';
import type { FuelProfile } from './model/fuel-profile.ts';
import { type Log, silentLog } from './model/log.ts';
import { referenceOf } from './model/plugin.ts';
import { tenantDefault } from './model/tenant.ts';
import { Policy } from './policy/policy.ts';
import { eventMessage } from './rpc/convert-execution.ts';
import type { OptionalFeature } from './wasm/policy.ts';

export interface InProcessRun {
  readonly clock: Clock;
  readonly log: Log;
  readonly module: Uint8Array;
  readonly manifestText: string;
  readonly action: Action;
  readonly allowedFeatures: readonly OptionalFeature[];
  /** Told at the end where the fuel went. */
  readonly profiled?: (profile: FuelProfile) => void;
}

/** Yields the events, the outcome last; aborting the signal stops the guest and still yields the outcome. */
export async function* runInProcess(run: InProcessRun, signal: AbortSignal): AsyncGenerator<ExecutionEvent> {
  const dataDirectory = await mkdtemp(join(tmpdir(), 'caisson-run-'));
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => rm(dataDirectory, { recursive: true, force: true }));
  const { clock, log, allowedFeatures, module, manifestText } = run;
  const engine = cleanup.use(
    await startEngine({
      clock,
      log,
      dataDirectory,
      allowedFeatures,
      policy: Policy.builtIn,
      environment: {},
      threadsMin: 1,
      threadsMax: 1,
      queueMax: 1,
      graceMs: 0,
    }),
  );
  const header = { manifestText, sha256: digestOf(module), sizeBytes: module.length };
  const { version } = await engine.registry.publish(header, chunksOf(module), signal, run.action.tenant);
  const options = { signal, ...(run.profiled && { profiled: run.profiled }) };
  const execution = engine.executions.start({ ...run.action, plugin: referenceOf(version) }, options);
  const reading = new AbortController();
  let previous = 0;
  for await (const stored of engine.executions.attach(execution, 0, reading.signal)) {
    yield create(ExecutionEventSchema, eventMessage(stored, { executionId: execution.id, previous }));
    previous = stored.sequence;
  }
  await execution.ended;
}

/** The smallest module with a function: (module (func (export "run"))). */
const smallestModule = '0061736d01000000010401600000030201000707010372756e00000a040102000b';

/** Whether a guest runs at all on this machine: threads, kernel, Extism, WebAssembly. Never rejects. */
export async function diagnoseSandbox(clock: Clock): Promise<DoctorCheck> {
  const name = 'sandbox';
  try {
    const begin = clock.monotonic();
    const outcome = await outcomeOf({ clock, module: Buffer.from(smallestModule, 'hex') });
    if (outcome !== Outcome.OK) throw new Error(`the outcome was ${outcome}`);
    return {
      name,
      ok: true,
      message: `ran a guest in ${Math.round(clock.monotonic() - begin)} ms, threads started and stopped`,
    };
  } catch (error) {
    const remedy =
      'See whether memory or address space of the process is limited, as by ulimit -v: each guest reserves 16 GiB of addresses';
    return {
      name,
      ok: false,
      message: `cannot run a guest: ${error instanceof Error ? error.message : String(error)}`,
      remedy,
    };
  }
}

async function outcomeOf(options: { clock: Clock; module: Uint8Array }): Promise<Outcome | undefined> {
  const action: Action = {
    tenant: tenantDefault,
    plugin: 'smallest',
    function: 'run',
    input: new Uint8Array(),
    config: new Map(),
    limits: {},
    requestId: '',
    labels: new Map(),
    randomSeed: new Uint8Array(),
    sessionId: '',
  };
  const manifestText = '{"name": "smallest", "version": "1.0.0"}';
  const { signal } = new AbortController();
  let outcome: Outcome | undefined;
  for await (const { event } of runInProcess(
    { ...options, log: silentLog, manifestText, action, allowedFeatures: [] },
    signal,
  )) {
    if (event.case === 'outcome') outcome = event.value.outcome;
  }
  return outcome;
}

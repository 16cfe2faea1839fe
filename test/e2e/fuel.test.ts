/** Fuel over the wire: its limit, its receipt, and guests that are stopped while their threads live on. */

import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Execution, Outcome, Stage } from '../../src/gen/caisson/v1/execution_pb.ts';
import { costTableVersion } from '../../src/wasm/metering/costs.ts';
import { nop, spin } from '../helpers/guests.ts';
import { type Clients, clientsOf, publishWat, run } from '../helpers/plugins.ts';
import { root, startServer, type TestServer } from '../helpers/server.ts';

/** Loops over several slices, calls, throws, takes blocks and reports progress. */
const busy = `(module
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/env" "free" (func $free (param i64)))
  (import "extism:host/user" "progress" (func $progress (param f64 i64 i64)))
  (memory 1) (tag $t)
  (func $step (param i32) (result i32) (i32.add (i32.mul (local.get 0) (i32.const 7)) (i32.const 1)))
  (func (export "run") (local $i i32)
    (loop $l
      (i32.store (i32.and (local.get $i) (i32.const 0xfffc)) (call $step (local.get $i)))
      (if (i32.eqz (i32.and (local.get $i) (i32.const 0xfff))) (then
        (try (do (throw $t)) (catch_all))
        (call $free (call $alloc (i64.extend_i32_u (local.get $i))))
        (call $progress (f64.const 0.5) (call $alloc (i64.const 20)) (i64.const 0))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 400000))))))`;

let server: TestServer;
let clients: Clients;

async function publishGuests(to: Clients): Promise<void> {
  await publishWat(to, 'busy', busy, { capabilities: ['progress'] });
  await publishWat(to, 'nop', nop);
  await publishWat(to, 'spin', spin);
  await publishWat(to, 'frugal', busy, { capabilities: ['progress'], more: { limits: { fuel: 1_000 } } });
  await publishWat(to, 'half', busy, { capabilities: ['progress'], more: { limits: { cpu_percent: 50 } } });
}

beforeAll(async () => {
  server = await startServer({ examples: false, arguments: ['--threads-min', '3', '--threads-max', '3'] });
  clients = clientsOf(server.address);
  await publishGuests(clients);
});

afterAll(async () => {
  clients[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

function endOf({ outcome, error }: Execution): readonly unknown[] {
  return [outcome, error?.kind];
}

async function fuelOf(on: Clients, plugin = 'busy'): Promise<bigint> {
  const { outcome, usage } = await run(on, { plugin, function: 'run' });
  expect(outcome).toBe(Outcome.OK);
  expect(usage).toMatchObject({ fuelIsLowerBound: false, fuelCostVersion: costTableVersion });
  return usage?.fuel ?? 0n;
}

const exhausted = [Outcome.FUEL_EXHAUSTED, 'FUEL'];

describe('The limit of fuel', () => {
  test('stops a guest that never ends', async () => {
    const execution = await run(clients, { plugin: 'spin', function: 'run', limits: { fuel: 10_000_000n } });
    expect(endOf(execution)).toEqual(exhausted);
    expect(execution.error?.guestStack).toMatchObject([{ functionIndex: 0 }]);
    expect(execution.usage?.fuelIsLowerBound).toBe(false);
  });

  test('is sharp', async () => {
    const fuel = await fuelOf(clients);
    const execution = await run(clients, { plugin: 'busy', function: 'run', limits: { fuel } });
    expect([execution.outcome, execution.usage?.fuel]).toEqual([Outcome.OK, fuel]);
    const limits = { fuel: fuel - 1n };
    expect(endOf(await run(clients, { plugin: 'busy', function: 'run', limits }))).toEqual(exhausted);
  });

  test('of the manifest holds unless the request asks for another', async () => {
    expect(endOf(await run(clients, { plugin: 'frugal', function: 'run' }))).toEqual(exhausted);
    const limits = { fuel: 1_000_000_000n };
    expect((await run(clients, { plugin: 'frugal', function: 'run', limits })).outcome).toBe(Outcome.OK);
  });

  test('is an option of the command line, and running out is exit code 12', async () => {
    const exec = (...words: readonly string[]): Promise<{ readonly code: unknown; readonly stderr: string }> =>
      new Promise((resolve) => {
        const all = ['exec', 'spin', 'run', '--no-input', '--address', server.address, ...words];
        execFile(join(root, 'bin/caisson'), all, (error, _stdout, stderr) => resolve({ code: error?.code, stderr }));
      });
    const { code, stderr } = await exec('--fuel', '1000000');
    expect(code).toBe(12);
    expect(stderr).toContain('FUEL_EXHAUSTED (FUEL): The run needed more fuel than limits.fuel, 1000000 units');
  });
});

describe('The fuel of a run', () => {
  test('is the same in 100 runs on several threads, and in another process', async () => {
    const seen = new Set<bigint>();
    for (let round = 0; round < 20; round++) {
      for (const fuel of await Promise.all(Array.from({ length: 5 }, () => fuelOf(clients)))) seen.add(fuel);
    }
    await using other = await startServer({ examples: false });
    using otherClients = clientsOf(other.address);
    await publishGuests(otherClients);
    seen.add(await fuelOf(otherClients));
    expect(seen.size).toBe(1);
  });

  test('is the same with half a processor', async () => {
    expect(await fuelOf(clients, 'half')).toBe(await fuelOf(clients));
  });
});

test('A guest that is canceled again and again leaves its thread to serve on', async () => {
  await using single = await startServer({ examples: false, arguments: ['--threads-min', '1', '--threads-max', '1'] });
  using callers = clientsOf(single.address);
  await publishGuests(callers);
  for (let round = 0; round < 100; round++) {
    const id = await startSpinning(callers);
    const { execution } = await callers.executions.cancelExecution({ id });
    expect([execution?.outcome, execution?.error?.kind]).toEqual([Outcome.CANCELED, 'CANCELED']);
    expect((await run(callers, { plugin: 'nop', function: 'run' })).outcome).toBe(Outcome.OK);
  }
  // A thread is replaced only if it was kept from running for longer than the grace: now and then on a busy machine.
  for (const number of threadNumbers(single)) expect(number).toBeLessThan(20);
});

/** Resolves with the id of an execution that is running and will not end. */
async function startSpinning({ executions }: Clients): Promise<string> {
  const events = executions.executeStream({ plugin: 'spin', function: 'run', detached: true });
  for await (const { event } of events) {
    if (event?.event.case === 'stage' && event.event.value === Stage.RUNNING) return event.executionId;
  }
  throw new Error('The execution never ran');
}

/** The numbers of the sandbox threads of a server, which counts on with each one that it starts. */
function threadNumbers({ process: { pid } }: TestServer): readonly number[] {
  const names = readdirSync(`/proc/${pid}/task`).map((task) => readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8'));
  return names.map((name) => Number(/^sandbox-(\d+)/.exec(name)?.[1] ?? 0));
}

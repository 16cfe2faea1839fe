/** Plugins that call plugins, over the wire: on the caller's account, as deep as allowed, and stopped together. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import { AdminService } from '../../src/gen/caisson/v1/admin_pb.ts';
import { Outcome, Stage } from '../../src/gen/caisson/v1/execution_pb.ts';
import {
  callGuest,
  invokeGuest,
  kvGuest,
  publishGuest,
  randomGuest,
  secretsGuest,
  textOf,
} from '../helpers/capability-guests.ts';
import { hello } from '../helpers/guests.ts';
import { type Clients, clientsOf, publishWat } from '../helpers/plugins.ts';
import { everybody, type PolicyFile, writePolicy } from '../helpers/policies.ts';
import { startServer, type TestServer } from '../helpers/server.ts';

const threadsMax = 2;
let policy: PolicyFile;
let server: TestServer;
let clients: Clients;

beforeAll(async () => {
  policy = writePolicy(() => [
    { ...everybody, invoke: { plugins: ['*'], depth_max: 2 } },
    { name: 'acme', tenants: ['acme'], plugins: ['needy'], capabilities: ['secrets'] },
  ]);
  const threads = ['--threads-min', '1', '--threads-max', `${threadsMax}`];
  server = await startServer({ examples: false, arguments: ['--policy', policy.path, ...threads] });
  clients = clientsOf(server.address);
  await publishWat(clients, 'hello', hello);
  await publishGuest(clients, 'store', kvGuest);
  await publishGuest(clients, 'chance', randomGuest);
  const asked = {
    more: { invoke: ['hello', 'store', 'chance', 'absent', 'caller*', 'needy', 'spin', 'brief', 'seated'] },
  };
  for (const name of ['caller', 'caller2', 'caller3', 'caller4']) await publishGuest(clients, name, invokeGuest, asked);
  await publishGuest(clients, 'spin', invokeGuest);
  await publishGuest(clients, 'brief', invokeGuest, { more: { timeout_ms: 200 } });
  await publishGuest(clients, 'seated', invokeGuest, { more: { instance: { mode: 'session' } } });
  using acme = clientsOf(server.address, 'acme');
  await publishGuest(acme, 'needy', secretsGuest);
  await publishWat(clients, 'trap', '(module (func (export "run") unreachable))');
});

afterAll(async () => {
  clients[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  policy[Symbol.dispose]();
});

type Lines = readonly (string | number)[];

async function call(...lines: Lines): Promise<string> {
  const execution = await callGuest(clients, 'caller/call', lines);
  expect([execution.outcome, execution.error?.message]).toEqual([Outcome.OK, undefined]);
  return textOf(execution);
}

async function failure(...lines: Lines): Promise<unknown> {
  const execution = await callGuest(clients, 'caller/failure', lines);
  expect([execution.outcome, execution.error?.message]).toEqual([Outcome.OK, undefined]);
  return JSON.parse(textOf(execution));
}

/** Waits until every thread is free again: nothing that was called may run on. */
async function expectIdle(): Promise<void> {
  using admin = createClient(AdminService, server.address);
  await expect
    .poll(async () => (await admin.getServerInfo({})).pool, { timeout: 10_000 })
    .toMatchObject({ busy: 0, waiting: 0 });
}

describe('A call of a plugin by a plugin', () => {
  test('brings its output', async () => {
    expect(await call('hello', 'run')).toBe('hello');
    expect(await call('hello@1.0.0', 'run')).toBe('hello');
    expect(await call('caller2', 'echo', 'as it is\nwith two lines')).toBe('as it is\nwith two lines');
  });

  test('nests as deep as the policy allows, and no deeper', async () => {
    expect(await call('caller2', 'call', 'hello', 'run')).toBe('hello');
    const deeper = await call('caller2', 'call', 'caller3', 'failure', 'hello', 'run');
    expect(JSON.parse(deeper)).toEqual({
      outcome: 'REFUSED',
      kind: 'INVOKE_DEPTH',
      message: 'Calls nest at most 2 deep, and this one would be at depth 3',
    });
  });

  test('comes back to a plugin once, and not again', async () => {
    expect(await call('caller', 'call', 'hello', 'run')).toBe('hello');
    const again = await call('caller', 'failure', 'caller', 'echo');
    expect(JSON.parse(again)).toMatchObject({ outcome: 'REFUSED', kind: 'INVOKE_CYCLE' });
  });

  test('that fails says how', async () => {
    expect(await failure('absent', 'run')).toMatchObject({ outcome: 'REFUSED', kind: 'PLUGIN_NOT_FOUND' });
    expect(await failure('hello', 'walk')).toMatchObject({ outcome: 'REFUSED', kind: 'FUNCTION_NOT_FOUND' });
    expect(await failure('hello@9.0.0', 'run')).toMatchObject({ kind: 'PLUGIN_VERSION_NOT_FOUND' });
    expect(await failure('chance', 'bytes', -1)).toMatchObject({ outcome: 'TRAP', kind: 'TRAP' });
    expect(await failure('brief', 'spin')).toMatchObject({ outcome: 'TIMED_OUT', kind: 'TIMEOUT' });
    expect(await failure('seated', 'echo')).toMatchObject({ outcome: 'REFUSED', kind: 'REQUEST_INVALID' });
    expect(await failure('needy', 'get', 'KEY')).toMatchObject({ outcome: 'DENIED', kind: 'NOT_GRANTED' });
    expect(await call('caller2', 'failure', 'hello', 'run')).toBe('');
  });

  test('of what manifest and policy do not both name ends the run', async () => {
    const { outcome, error } = await callGuest(clients, 'caller/call', ['trap', 'run']);
    expect([outcome, error?.kind]).toEqual([Outcome.DENIED, 'NOT_GRANTED']);
    expect(error?.message).toContain('"trap" in "invoke" of the manifest');
  });

  test('has the storage and the chance of the plugin called', async () => {
    expect(await call('store', 'set', 'by', 'invoke', 0)).toBe('0');
    expect(textOf(await callGuest(clients, 'store/get', ['by']))).toBe('invoke');
    const seeded = async (seed: string): Promise<string> => {
      const execution = await callGuest(clients, 'caller/call', ['chance', 'bytes', 16], {
        randomSeed: Buffer.from(seed),
      });
      return Buffer.from(execution.output).toString('hex');
    };
    const [one, again, other] = [await seeded('seed'), await seeded('seed'), await seeded('other')];
    expect([one.length, again]).toEqual([32, one]);
    expect(other).not.toBe(one);
  });

  test('is paid for by the caller', async () => {
    const used = async (target: string, ...lines: Lines): Promise<number> => {
      const { outcome, usage } = await callGuest(clients, target, lines);
      expect([outcome, usage?.fuelIsLowerBound]).toEqual([Outcome.OK, false]);
      return Number(usage?.fuel);
    };
    const more = (await used('spin/burn', 200_000)) - (await used('spin/burn', 100_000));
    const [little, much] = [100_000, 200_000].map((rounds) => used('caller/call', 'spin', 'burn', rounds));
    expect(((await much) ?? 0) - ((await little) ?? 0)).toBe(more);
    expect(more).toBeGreaterThan(100_000);
    const limits = { fuel: 3_000_000n };
    const endless = await callGuest(clients, 'caller/failure', ['spin', 'spin'], { limits });
    expect(endless.outcome).toBe(Outcome.FUEL_EXHAUSTED);
    expect(endless.usage?.fuel).toBeGreaterThan(limits.fuel);
    expect(endless.usage?.fuel).toBeLessThan(2n * limits.fuel);
    await expectIdle();
  });
});

describe('The end of the caller', () => {
  test('by its limit of time stops the plugin that it called', async () => {
    const limits = { timeout: { nanos: 200_000_000 } };
    for (const lines of [
      ['spin', 'spin'],
      ['caller2', 'call', 'spin', 'spin'],
    ]) {
      const { outcome, error } = await callGuest(clients, 'caller/call', lines, { limits });
      expect([outcome, error?.kind]).toEqual([Outcome.TIMED_OUT, 'TIMEOUT']);
    }
    await expectIdle();
  });

  test('by a cancel stops the plugin that it called', async () => {
    const stream = clients.executions.executeStream({
      plugin: 'caller',
      function: 'call',
      input: Buffer.from('spin\nspin'),
    });
    const events: string[] = [];
    for await (const { event } of stream) {
      events.push(event?.event.case ?? '');
      if (event?.event.case === 'stage' && event.event.value === Stage.RUNNING) {
        void clients.executions.cancelExecution({ id: event.executionId });
      }
      if (event?.event.case === 'outcome') expect(event.event.value.outcome).toBe(Outcome.CANCELED);
    }
    expect(events.at(-1)).toBe('outcome');
    await expectIdle();
  });

  test('by the deadline of who called it stops the plugin that it called', async () => {
    const request = { plugin: 'caller', function: 'call', input: Buffer.from('spin\nspin') };
    await expect(clients.executions.execute(request, { timeoutMs: 300 })).rejects.toMatchObject({
      codeName: 'DEADLINE_EXCEEDED',
    });
    await expectIdle();
  });
});

describe('Many callers at once', () => {
  test('on all threads that there are wait for none of their own calls in vain', async () => {
    const count = 10 * threadsMax;
    const nested = ['caller2', 'call', 'hello', 'run'];
    const outcomes = await Promise.all(
      Array.from({ length: count }, async () => {
        const execution = await callGuest(clients, 'caller/call', nested);
        return [execution.outcome, textOf(execution)];
      }),
    );
    expect(outcomes).toEqual(Array.from({ length: count }, () => [Outcome.OK, 'hello']));
    await expectIdle();
  });
});

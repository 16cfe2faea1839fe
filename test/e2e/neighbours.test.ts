/** A tenant whose calls are all right, beside another one whose guests do what they can to be in the way. */

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '../../src/client/client.ts';
import { AdminService } from '../../src/gen/caisson/v1/admin_pb.ts';
import { type Execution, Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import { callGuest, capabilityGuest, httpGuest, publishGuest, textOf } from '../helpers/capability-guests.ts';
import { hello, hungry, progressing, recursive, spin } from '../helpers/guests.ts';
import { type Clients, clientsOf, publishWat } from '../helpers/plugins.ts';
import { everybody, type PolicyFile, writePolicy } from '../helpers/policies.ts';
import { startServer, type TestServer } from '../helpers/server.ts';

/** Of four threads a tenant may have three. */
const lanes = 6;
const victimCalls = 25;
const logFlood = capabilityGuest(
  ['log'],
  `(func (export "run") (loop $next
    (call $log_info (call $alloc (i64.const 8192)))
    (br $next)))`,
);
const kvFlood = capabilityGuest(
  ['kv'],
  `(func (export "run") (local $key i64) (loop $next
    (local.set $key (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $key) (i64.const 0x6161616161616161))
    (drop (call $kv_set (local.get $key) (call $alloc (i64.const 100000)) (i64.const 0)))
    (br $next)))`,
);

let silent: Server;
let policy: PolicyFile;
let server: TestServer;
let victim: Clients;
let loud: Clients;

beforeAll(async () => {
  silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  const http = { targets: [{ host: '127.0.0.1', scheme: 'http', port, private: true }] };
  policy = writePolicy(() => [{ ...everybody, capabilities: [...everybody.capabilities, 'http'], http }]);
  const threads = ['--threads-min', '4', '--threads-max', '4'];
  server = await startServer({ examples: false, arguments: ['--policy', policy.path, ...threads] });
  victim = clientsOf(server.address, 'victim');
  loud = clientsOf(server.address, 'loud');
  await publishWat(victim, 'hello', hello);
  for (const [name, text] of Object.entries({ spin, hungry, recursive })) await publishWat(loud, name, text);
  await publishWat(loud, 'log', logFlood, { capabilities: ['log'] });
  await publishWat(loud, 'kv', kvFlood, { capabilities: ['kv'] });
  await publishWat(loud, 'progress', progressing(1_000_000_000), { capabilities: ['progress'] });
  await publishGuest(loud, 'http', httpGuest, { more: { allowed_hosts: ['127.0.0.1'] } });
});

afterAll(async () => {
  for (const clients of [victim, loud]) clients[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  policy[Symbol.dispose]();
  silent.closeAllConnections();
  await new Promise((resolve) => silent.close(resolve));
});

type Noise = () => Promise<Execution>;

const limits = { timeout: { nanos: 300_000_000 } };
const noises: Readonly<Record<string, Noise>> = {
  'loops without end': () => callGuest(loud, 'spin/run', [], { limits }),
  'takes all memory that it gets': () => callGuest(loud, 'hungry/run', [], { limits }),
  'nests its calls without end': () => callGuest(loud, 'recursive/run', [], { limits }),
  'floods the log': () => callGuest(loud, 'log/run', [], { limits }),
  'floods progress': () => callGuest(loud, 'progress/run', [], { limits }),
  'floods the store': () => callGuest(loud, 'kv/run', [], { limits }),
  'waits for a server that never answers': () => {
    const { port } = silent.address() as AddressInfo;
    return callGuest(loud, 'http/status', [`{"url": "http://127.0.0.1:${port}/"}`], { limits });
  },
};

/** Keeps so many calls under way until it is disposed, and says how they ended. */
function keepUp(noise: (lane: number) => Promise<Execution>): AsyncDisposable & { readonly ends: Outcome[] } {
  const ends: Outcome[] = [];
  const over = new AbortController();
  const running = Array.from({ length: lanes }, async (_, lane) => {
    while (!over.signal.aborted) ends.push((await noise(lane)).outcome);
  });
  return {
    ends,
    async [Symbol.asyncDispose]() {
      over.abort();
      await Promise.all(running);
    },
  };
}

async function expectUndisturbed(): Promise<void> {
  for (let call = 0; call < victimCalls; call++) {
    const execution = await callGuest(victim, 'hello/run');
    expect([execution.outcome, textOf(execution)]).toEqual([Outcome.OK, 'hello']);
  }
}

describe('The calls of a tenant beside one that', () => {
  test.each(Object.entries(noises))('%s are all right', async (_, noise) => {
    const loudness = keepUp(noise);
    {
      await using _noise = loudness;
      await expectUndisturbed();
      await expect.poll(() => loudness.ends.length, { timeout: 10_000 }).toBeGreaterThan(0);
      await expectUndisturbed();
    }
    expect(loudness.ends).not.toContain(Outcome.OK);
    expect(loudness.ends).not.toContain(Outcome.UNSPECIFIED);
  });

  test('does all of that at once are all right', async () => {
    const all = Object.values(noises);
    let next = 0;
    await using loudness = keepUp(async () => {
      const noise = all[next++ % all.length];
      if (noise === undefined) throw new Error('There is no noise');
      return noise();
    });
    await expectUndisturbed();
    await expect.poll(() => loudness.ends.length, { timeout: 10_000 }).toBeGreaterThan(all.length);
    await expectUndisturbed();
  });
});

test('When it is quiet again, every thread is free', async () => {
  using admin = createClient(AdminService, server.address);
  const pool = async () => (await admin.getServerInfo({})).pool;
  await expect.poll(pool, { timeout: 10_000 }).toMatchObject({ busy: 0, waiting: 0, starting: 0 });
  expect((await pool())?.refused).toBe(0n);
  await expectUndisturbed();
});

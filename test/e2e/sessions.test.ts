/** Instances that serve several calls: of one tenant, or of one session, and never of anybody else. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Execution, InstanceSource, Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import { callGuest, capabilityGuest, textOf } from '../helpers/capability-guests.ts';
import { type Clients, clientsOf, publishWat } from '../helpers/plugins.ts';
import { startServer, type TestServer } from '../helpers/server.ts';

let server: TestServer;
let clients: Clients;
let acme: Clients;

/**
 * Puts out how often this instance was called, and what the run before kept in memory, in a variable and as a file;
 * then keeps its input there. "trap" traps, "spin" never ends, "fail" returns 7.
 */
const remembering = capabilityGuest(
  ['vars', 'config'],
  `
  (global $calls (mut i32) (i32.const 0))
  (data (i32.const 0) "name")
  (func $name (result i64) (local $block i64)
    (local.set $block (call $alloc (i64.const 4)))
    (call $store_u64 (local.get $block) (i64.load (i32.const 0)))
    (local.get $block))
  (func $counted (global.set $calls (i32.add (global.get $calls) (i32.const 1))))
  (func (export "count") (call $counted) (call $code (global.get $calls)))
  (func (export "remember")
    (call $counted) (global.set $at (i64.const 0)) (call $var_set (call $name) (call $rest)))
  (func (export "recall") (call $counted) (call $text (call $var_get (call $name))))
  (func (export "store") (call $counted) (i64.store (i32.const 64) (call $input_load_u64 (i64.const 0))))
  (func (export "load") (local $block i64)
    (call $counted)
    (local.set $block (call $alloc (i64.const 8)))
    (call $store_u64 (local.get $block) (i64.load (i32.const 64)))
    (call $text (local.get $block)))
  (func (export "trap") (call $counted) unreachable)
  (func (export "fail") (result i32) (call $counted) (i32.const 7))
  (func (export "spin") (call $counted) (loop (br 0)))`,
);

beforeAll(async () => {
  // Few threads, so that what could get mixed up would be.
  server = await startServer({ examples: false, arguments: ['--threads-min', '2', '--threads-max', '2'] });
  clients = clientsOf(server.address);
  acme = clientsOf(server.address, 'acme');
  for (const mode of ['fresh', 'reuse', 'session']) {
    const more = { instance: { mode } };
    await publishWat(clients, mode, remembering, { capabilities: ['vars', 'config'], more });
  }
});

afterAll(async () => {
  for (const one of [clients, acme]) one[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

const { CREATED, PREPARED, REUSED } = InstanceSource;
const unused = [CREATED, PREPARED];
const sourceOf = ({ usage }: Execution): InstanceSource | undefined => usage?.instanceSource;

async function ok(of: Clients, target: string, input = '', sessionId = '', more: object = {}): Promise<Execution> {
  const execution = await callGuest(of, target, [input], { sessionId, ...more });
  expect([execution.outcome, execution.error?.message]).toEqual([Outcome.OK, undefined]);
  return execution;
}

async function answer(of: Clients, target: string, input = '', sessionId = ''): Promise<string> {
  return textOf(await ok(of, target, input, sessionId));
}

/** Calls until a call finds an instance that was used before: with two threads the third at the latest. */
async function reused(of: Clients, target: string): Promise<Execution> {
  for (let tries = 0; tries < 10; tries++) {
    const execution = await ok(of, target);
    if (sourceOf(execution) === REUSED) return execution;
  }
  throw new Error('No instance was used again');
}

describe('A fresh instance', () => {
  test('serves one call', async () => {
    for (let call = 0; call < 5; call++) {
      const execution = await ok(clients, 'fresh/count');
      expect(textOf(execution)).toBe('1');
      expect(unused).toContain(sourceOf(execution));
    }
  });

  test('has no session', async () => {
    await expect(callGuest(clients, 'fresh/count', [], { sessionId: 'one' })).rejects.toMatchObject({
      reason: 'REQUEST_INVALID',
      violations: [{ field: 'session_id' }],
    });
  });
});

describe('An instance that is used again', () => {
  test('keeps its memory, but no variables', async () => {
    expect(Number(textOf(await reused(clients, 'reuse/count')))).toBeGreaterThan(1);
    for (let call = 0; call < 4; call++) {
      expect(await answer(clients, 'reuse/recall')).toBe('');
      await ok(clients, 'reuse/remember', 'variable');
    }
  });

  test('serves one tenant alone', async () => {
    const secrets = ['of-dflt', 'of-acme'];
    for (let round = 0; round < 4; round++) {
      await ok(clients, 'reuse/store', 'of-dflt');
      await ok(acme, 'reuse/store', 'of-acme');
      const [mine, theirs] = [await answer(clients, 'reuse/load'), await answer(acme, 'reuse/load')];
      expect(mine).not.toContain(secrets[1]);
      expect(theirs).not.toContain(secrets[0]);
    }
  });

  test('serves one plugin alone, also where another one has the same module', async () => {
    const more = { instance: { mode: 'reuse' } };
    await publishWat(clients, 'reuse-twin', remembering, { capabilities: ['vars', 'config'], more });
    for (let round = 0; round < 4; round++) await ok(clients, 'reuse/store', 'of-reuse');
    for (let round = 0; round < 4; round++) expect(await answer(clients, 'reuse-twin/load')).toBe('\0'.repeat(8));
  });

  test('is thrown away after a trap and a stop', async () => {
    const limits = { timeout: { nanos: 100_000_000 } };
    for (const [name, outcome] of [
      ['trap', Outcome.TRAP],
      ['spin', Outcome.TIMED_OUT],
    ] as const) {
      await reused(clients, 'reuse/count');
      const ended = await callGuest(clients, `reuse/${name}`, [], { limits });
      expect(ended.outcome).toBe(outcome);
      // Its thread is the one used next, if it lives.
      const next = await ok(clients, 'reuse/count');
      const isOther = sourceOf(next) === REUSED;
      expect(isOther || textOf(next) === '1').toBe(true);
    }
  });

  test('serves on after an error that the guest tells', async () => {
    await reused(clients, 'reuse/count');
    expect((await callGuest(clients, 'reuse/fail')).outcome).toBe(Outcome.PLUGIN_ERROR);
    expect(sourceOf(await ok(clients, 'reuse/count'))).toBe(REUSED);
  });

  test('that read another configuration is not used', async () => {
    await reused(clients, 'reuse/count');
    const other = await ok(clients, 'reuse/count', '', '', { config: { language: 'de' } });
    expect(unused).toContain(sourceOf(other));
  });
});

describe('A session', () => {
  test('must be named', async () => {
    await expect(callGuest(clients, 'session/count')).rejects.toMatchObject({
      reason: 'REQUEST_INVALID',
      violations: [{ field: 'session_id' }],
    });
  });

  test('keeps memory and variables from call to call, whatever runs in between', async () => {
    expect(unused).toContain(sourceOf(await ok(clients, 'session/remember', 'note', 'notes')));
    for (let call = 2; call < 10; call++) {
      await Promise.all([ok(clients, 'fresh/count'), ok(clients, 'session/count', '', `other ${call}`)]);
      const execution = await ok(clients, 'session/count', '', 'notes');
      expect([textOf(execution), sourceOf(execution)]).toEqual([`${call}`, REUSED]);
    }
    expect(await answer(clients, 'session/recall', '', 'notes')).toBe('note');
  });

  test('of another name, or of another tenant’s, is another one', async () => {
    await ok(clients, 'session/store', 'of-dflt', 'shared');
    await ok(clients, 'session/remember', 'of-dflt', 'shared');
    for (const [of, id] of [
      [acme, 'shared'],
      [clients, 'Shared'],
    ] as const) {
      expect(await answer(of, 'session/load', '', id)).toBe('\0'.repeat(8));
      expect(await answer(of, 'session/recall', '', id)).toBe('');
    }
    expect(await answer(clients, 'session/recall', '', 'shared')).toBe('of-dflt');
  });

  test('runs its calls one after the other', async () => {
    const counts = await Promise.all(
      Array.from({ length: 30 }, () => answer(clients, 'session/count', '', 'busy').then(Number)),
    );
    expect(counts.toSorted((one, other) => one - other)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
  });

  test('does not keep others waiting', async () => {
    const stream = clients.executions.executeStream({
      plugin: 'session',
      function: 'spin',
      sessionId: 'long',
      detached: true,
    });
    const first = await stream.next();
    const waiting = ok(clients, 'session/count', '', 'long');
    await ok(clients, 'session/count', '', 'short');
    await clients.executions.cancelExecution({ id: first.value?.event?.executionId ?? '' });
    expect(textOf(await waiting)).toBe('1');
    await stream.return(undefined);
  });

  test.each(['trap', 'spin'])('begins anew after a call that ends by "%s"', async (name) => {
    await ok(clients, 'session/remember', 'before', name);
    const limits = { timeout: { nanos: 100_000_000 } };
    const ended = await callGuest(clients, `session/${name}`, [], { sessionId: name, limits });
    expect([Outcome.TRAP, Outcome.TIMED_OUT]).toContain(ended.outcome);
    expect(await answer(clients, 'session/recall', '', name)).toBe('');
    expect(await answer(clients, 'session/count', '', name)).toBe('2');
  });

  test('goes on after an error that the guest tells', async () => {
    await ok(clients, 'session/count', '', 'erring');
    expect((await callGuest(clients, 'session/fail', [], { sessionId: 'erring' })).outcome).toBe(Outcome.PLUGIN_ERROR);
    expect(await answer(clients, 'session/count', '', 'erring')).toBe('3');
  });

  test('takes the configuration of each call', async () => {
    await ok(clients, 'session/count', '', 'configured', { config: { language: 'de' } });
    const other = await ok(clients, 'session/count', '', 'configured', { config: { language: 'fr' } });
    expect([textOf(other), sourceOf(other)]).toEqual(['2', REUSED]);
  });

  test('is that of one version of one plugin, also where others have the same module', async () => {
    await ok(clients, 'session/remember', 'secret', 'versions');
    const more = { instance: { mode: 'session' } };
    const capabilities = ['vars', 'config'];
    await publishWat(clients, 'session', remembering, { version: '1.1.0', capabilities, more });
    await publishWat(clients, 'twin', remembering, { capabilities, more });
    for (const plugin of ['session@1.1.0', 'twin']) {
      expect(await answer(clients, `${plugin}/recall`, '', 'versions')).toBe('');
      expect(await answer(clients, `${plugin}/count`, '', 'versions')).toBe('2');
    }
    expect(await answer(clients, 'session@1.0.0/recall', '', 'versions')).toBe('secret');
  });

  test('is gone with its version, also if that is published again', async () => {
    const publish = () =>
      publishWat(clients, 'brief', remembering, {
        capabilities: ['vars', 'config'],
        more: { instance: { mode: 'session' } },
      });
    await publish();
    await ok(clients, 'brief/remember', 'note', 'one');
    await clients.plugins.stopPlugin({ plugin: 'brief@1.0.0' });
    await clients.plugins.deletePlugin({ plugin: 'brief@1.0.0' });
    await publish();
    expect(await answer(clients, 'brief/recall', '', 'one')).toBe('');
  });

  test('has a name of printable ASCII with at most 128 characters', async () => {
    expect(await answer(clients, 'session@1.0.0/count', '', 's'.repeat(128))).toBe('1');
    for (const sessionId of ['s'.repeat(129), 'ü', 'a\nb']) {
      await expect(callGuest(clients, 'session@1.0.0/count', [], { sessionId })).rejects.toMatchObject({
        violations: [{ field: 'session_id' }],
      });
    }
  });
});

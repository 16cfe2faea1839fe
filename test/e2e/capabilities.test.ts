/** Capabilities that stay within the server, over the wire: stored values, clock, chance, counters, and the count of calls. */

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Execution, Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import {
  callGuest,
  clockGuest,
  kvGuest,
  publishGuest,
  randomGuest,
  textOf,
  usageGuest,
} from '../helpers/capability-guests.ts';
import { type Clients, clientsOf } from '../helpers/plugins.ts';
import { everybody, type PolicyFile, writePolicy } from '../helpers/policies.ts';
import { startServer, type TestServer } from '../helpers/server.ts';

let policy: PolicyFile;
let server: TestServer;
let clients: Clients;
let acme: Clients;

beforeAll(async () => {
  const small = { name: 'small', tenants: ['*'], plugins: ['small'], kv: { bytes_max: 100, keys_max: 3 } };
  policy = writePolicy(() => [everybody, small]);
  server = await startServer({ examples: false, arguments: ['--policy', policy.path] });
  clients = clientsOf(server.address);
  acme = clientsOf(server.address, 'acme');
  for (const name of ['store', 'other', 'small']) await publishGuest(clients, name, kvGuest);
  await publishGuest(clients, 'time', clockGuest);
  await publishGuest(clients, 'chance', randomGuest);
  await publishGuest(clients, 'counter', usageGuest);
});

afterAll(async () => {
  for (const one of [clients, acme]) one[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  policy[Symbol.dispose]();
});

/** What a function of a guest puts out, which it must do. */
async function answer(target: string, ...lines: readonly (string | number)[]): Promise<string> {
  return answerFor(clients, target, ...lines);
}

async function answerFor(of: Clients, target: string, ...lines: readonly (string | number)[]): Promise<string> {
  const execution = await callGuest(of, target, lines);
  expect([execution.outcome, execution.error?.message]).toEqual([Outcome.OK, undefined]);
  return textOf(execution);
}

describe('Stored values', () => {
  test('outlive the call that stored them', async () => {
    expect(await answer('store/get', 'unknown')).toBe('');
    expect(await answer('store/set', 'greeting', 'hello', 0)).toBe('0');
    expect(await answer('store/get', 'greeting')).toBe('hello');
    expect(await answer('store/delete', 'greeting')).toBe('0');
    expect(await answer('store/delete', 'greeting')).toBe('1');
    expect(await answer('store/get', 'greeting')).toBe('');
  });

  test('are those of one tenant and one plugin', async () => {
    await answer('store/set', 'mine', 'default', 0);
    await answerFor(acme, 'store/set', 'mine', 'acme', 0);
    expect(await answer('store/get', 'mine')).toBe('default');
    expect(await answerFor(acme, 'store/get', 'mine')).toBe('acme');
    expect(await answer('other/get', 'mine')).toBe('');
    expect(await answer('other/list')).toBe('[]');
  });

  test('are those of all versions of a plugin', async () => {
    await answer('store/set', 'version', 'one', 0);
    await publishGuest(clients, 'store', kvGuest, { version: '1.1.0' });
    expect(await answer('store@1.1.0/get', 'version')).toBe('one');
    expect(await answer('store@1.0.0/get', 'version')).toBe('one');
  });

  test('are gone when their time is over', async () => {
    expect(await answer('store/set', 'brief', 'x', 300)).toBe('0');
    expect(await answer('store/set', 'long', 'x', 600_000)).toBe('0');
    let left = await answer('store/list');
    while (left.includes('"brief"')) left = await answer('store/list');
    expect(await answer('store/get', 'brief')).toBe('');
    expect(await answer('store/get', 'long')).toBe('x');
    expect(await answer('store/set', 'never', 'x', -1)).toBe('3');
  });

  test('are bounded by the quota of bytes and of keys', async () => {
    expect(await answer('small/set', 'a', 'x'.repeat(99), 0)).toBe('0');
    expect(await answer('small/set', 'b', '', 0)).toBe('2');
    expect(await answer('small/set', 'a', 'x'.repeat(100), 0)).toBe('2');
    expect(await answer('small/set', 'a', 'x', 0)).toBe('0');
    expect(await answer('small/set', 'b', 'x', 0)).toBe('0');
    expect(await answer('small/set', 'c', 'x', 0)).toBe('0');
    expect(await answer('small/set', 'd', 'x', 0)).toBe('2');
    expect(await answerFor(acme, 'small/set', 'd', 'x', 0)).toBe('0');
  });

  test('are stored under keys and with values just within their bounds, and not just beyond', async () => {
    expect(await answer('store/set', 'k'.repeat(512), 'x', 0)).toBe('0');
    expect(await answer('store/set', 'k'.repeat(513), 'x', 0)).toBe('3');
    expect(await answer('store/set', 'large', 'v'.repeat(1_048_576), 0)).toBe('0');
    expect(await answer('store/set', 'large', 'v'.repeat(1_048_577), 0)).toBe('3');
    expect((await answer('store/get', 'large')).length).toBe(1_048_576);
  });

  test('are exchanged only for what is expected', async () => {
    expect(await answer('other/swap', 'turn', '', 'one', 0)).toBe('0');
    expect(await answer('other/swap', 'turn', '', 'two', 0)).toBe('1');
    expect(await answer('other/swap', 'turn', 'one', 'two', 0)).toBe('0');
    expect(await answer('other/get', 'turn')).toBe('two');
  });

  test('are exchanged by one of many callers at a time', async () => {
    await answer('other/set', 'lock', 'free', 0);
    const codes = await Promise.all(
      Array.from({ length: 20 }, (_, index) => answer('other/swap', 'lock', 'free', `held by ${index}`, 0)),
    );
    expect(codes.toSorted()).toEqual(['0', ...Array.from({ length: 19 }, () => '1')]);
  });

  test('are listed in order, page by page', async () => {
    for (const key of ['p:c', 'p:a', 'q:a', 'p:b']) await answer('other/set', key, 'x', 0);
    expect(await answer('other/list', 'p:', '', 0)).toBe('["p:a","p:b","p:c"]');
    expect(await answer('other/list', 'p:', '', 2)).toBe('["p:a","p:b"]');
    expect(await answer('other/list', 'p:', 'p:b', 2)).toBe('["p:c"]');
    expect(await answer('other/list', 'p:', 'p:c', 2)).toBe('[]');
  });

  test('go with the last version of their plugin, unless they shall be kept', async () => {
    const versions = ['1.0.0', '1.1.0'];
    const publish = (version: string) => publishGuest(clients, 'brief', kvGuest, { version });
    const remove = async (version: string, keepStorage = false): Promise<void> => {
      await clients.plugins.stopPlugin({ plugin: `brief@${version}` });
      await clients.plugins.deletePlugin({ plugin: `brief@${version}`, keepStorage });
    };
    for (const version of versions) await publish(version);
    await answer('brief/set', 'k', 'v', 0);
    await answerFor(acme, 'brief/set', 'k', 'v', 0);
    await remove('1.0.0');
    expect(await answer('brief/get', 'k')).toBe('v');
    await remove('1.1.0', true);
    await publish('1.0.0');
    expect(await answer('brief/get', 'k')).toBe('v');
    await remove('1.0.0');
    await publish('1.0.0');
    expect([await answer('brief/get', 'k'), await answerFor(acme, 'brief/get', 'k')]).toEqual(['', '']);
  });
});

describe('The clock', () => {
  test('tells the time of day, and never goes back', async () => {
    const before = Date.now();
    const now = Number(await answer('time/now')) / 1e6;
    expect(now).toBeGreaterThanOrEqual(before - 1);
    expect(now).toBeLessThanOrEqual(Date.now() + 1);
    expect(Number(await answer('time/elapsed'))).toBeGreaterThanOrEqual(0);
  });
});

describe('Random bytes', () => {
  const bytes = async (seed: string, length = 32): Promise<string> => {
    const execution = await callGuest(clients, 'chance/bytes', [length], { randomSeed: Buffer.from(seed) });
    expect(execution.outcome).toBe(Outcome.OK);
    return Buffer.from(execution.output).toString('hex');
  };

  test('are the same for the same seed and others for another one', async () => {
    const [one, again, other] = [await bytes('seed'), await bytes('seed'), await bytes('other seed')];
    expect(again).toBe(one);
    expect(other).not.toBe(one);
    expect(one.length).toBe(64);
  });

  test('are never the same without a seed', async () => {
    const drawn = await Promise.all(Array.from({ length: 20 }, () => bytes('')));
    expect(new Set(drawn).size).toBe(20);
  });

  test('are bounded in number', async () => {
    expect((await bytes('', 65_536)).length).toBe(2 * 65_536);
    for (const length of [65_537, -1]) {
      const { outcome, error } = await callGuest(clients, 'chance/bytes', [length]);
      expect([outcome, error?.message]).toEqual([Outcome.TRAP, expect.stringContaining('65536')]);
    }
  });
});

describe('The receipt', () => {
  const count = (...lines: readonly (string | number)[]): Promise<Execution> =>
    callGuest(clients, 'counter/count', lines);

  test('adds up what the guest counts under names of its own', async () => {
    const { outcome, usage } = await count('tokens', 5, 'cost', 3, 'tokens', 7, 'Größe', 1);
    expect(outcome).toBe(Outcome.OK);
    expect(usage?.counters).toEqual({ tokens: 12n, cost: 3n, Größe: 1n });
    expect(usage?.hostCallsByCapability).toEqual({ usage: 4n });
    expect(usage?.hostCalls).toBe(4n);
  });

  test('has as many counters as there may be, and no more', async () => {
    const lines = (count: number) => Array.from({ length: count }, (_, index) => [`c${index}`, 1]).flat();
    const within = await count(...lines(32));
    expect(Object.keys(within.usage?.counters ?? {}).length).toBe(32);
    expect(within.usage?.logBytes).toBe(0n);
    const beyond = await count(...lines(34));
    expect(Object.keys(beyond.usage?.counters ?? {}).length).toBe(32);
    expect(beyond.usage?.logBytes).toBeGreaterThan(0n);
    expect(beyond.usage?.logLinesDropped).toBe(1n);
  });

  test('takes names that look like members of every object', async () => {
    const { usage } = await count('__proto__', 1, 'constructor', 2, 'toString', 3);
    expect(new Map(Object.entries(usage?.counters ?? {}))).toEqual(
      new Map([
        ['__proto__', 1n],
        ['constructor', 2n],
        ['toString', 3n],
      ]),
    );
  });

  test('counts the calls of each capability, also of a run that fails', async () => {
    const { outcome, usage } = await callGuest(clients, 'chance/bytes', [-1]);
    expect(outcome).toBe(Outcome.TRAP);
    expect(usage?.hostCallsByCapability).toEqual({ random: 1n });
  });
});

describe('The limit of host calls', () => {
  test('lets just as many calls through, and ends the run at one more', async () => {
    const calls = (count: number) =>
      callGuest(clients, 'counter/count', Array.from({ length: count }, () => ['c', 1]).flat(), {
        limits: { hostCalls: 10n },
      });
    const under = await calls(10);
    expect([under.outcome, under.usage?.hostCalls, under.usage?.counters['c']]).toEqual([Outcome.OK, 10n, 10n]);
    const over = await calls(11);
    expect([over.outcome, over.error?.kind]).toEqual([Outcome.DENIED, 'HOST_CALLS']);
    expect(over.error?.message).toContain('limits.host_calls, 10');
    expect(over.usage?.counters['c']).toBe(10n);
  });
});

import { describe, expect, test } from 'vitest';
import { addressKind } from '../../../../../src/capabilities/services/http/addresses.ts';
import { Gate } from '../../../../../src/capabilities/services/http/gate.ts';
import { Lookups, systemResolver } from '../../../../../src/capabilities/services/http/resolver.ts';
import { settled } from '../../../base/manual-clock.ts';

const { signal } = new AbortController();

/** A resolver whose look-ups end when the test says so. */
function heldResolver() {
  const running: { readonly host: string; end(): void }[] = [];
  return {
    running,
    hosts: () => running.map(({ host }) => host),
    resolve: (host: string) =>
      new Promise<readonly string[]>((resolve) => running.push({ host, end: () => resolve(['8.8.8.8']) })),
  };
}

test('The system’s resolver gives all addresses of a name', async () => {
  const addresses = await systemResolver.resolve('localhost');
  expect(addresses.length).toBeGreaterThan(0);
  expect(addresses.map(addressKind).every((kind) => kind === 'private')).toBe(true);
});

describe('Look-ups', () => {
  test('run one of a tenant at a time, and two of all', async () => {
    const resolver = heldResolver();
    const lookups = new Lookups(resolver, 10);
    const [a, b, c] = ['a', 'b', 'c'].map((tenant) => new Gate(tenant, 10)) as [Gate, Gate, Gate];
    const all = [
      lookups.addresses('a1', a, signal),
      lookups.addresses('a2', a, signal),
      lookups.addresses('b1', b, signal),
      lookups.addresses('c1', c, signal),
    ];
    await settled();
    expect(resolver.hosts()).toEqual(['a1', 'b1']);
    resolver.running[0]?.end();
    await settled();
    expect(resolver.hosts()).toEqual(['a1', 'b1', 'c1']);
    resolver.running[1]?.end();
    await settled();
    expect(resolver.hosts()).toEqual(['a1', 'b1', 'c1', 'a2']);
    for (const { end } of resolver.running) end();
    for (const addresses of await Promise.all(all)) expect(addresses).toEqual(['8.8.8.8']);
    expect([a, b, c].every(({ isEmpty }) => isEmpty)).toBe(true);
  });

  test('are waited for by a bounded number', async () => {
    const resolver = heldResolver();
    const lookups = new Lookups(resolver, 1);
    const look = (host: string) => lookups.addresses(host, new Gate(host, 1), signal);
    const all = ['a', 'b', 'c'].map(look);
    await settled();
    await expect(look('d')).rejects.toThrow(
      'There are too many names to resolve at once: 2 are allowed, and 1 may wait',
    );
    while (resolver.running.length < 3) {
      for (const { end } of resolver.running) end();
      await settled();
    }
    resolver.running[2]?.end();
    expect(await Promise.all(all)).toHaveLength(3);
  });

  test('of which one fails leave their places', async () => {
    const gate = new Gate('a', 0);
    const lookups = new Lookups({ resolve: () => Promise.reject(new Error('10.0.0.53 is silent')) }, 0);
    for (let tried = 0; tried < 3; tried++) {
      await expect(lookups.addresses('a.test', gate, signal)).rejects.toThrow(/^The host "a.test" has no address$/);
    }
    expect(gate.isEmpty).toBe(true);
  });
});

import { describe, expect, test } from 'vitest';
import { type PluginState, referenceOf, stateTransitions } from '../../../src/model/plugin.ts';
import { version } from '../execution/fakes.ts';

const states = Object.keys(stateTransitions) as PluginState[];

test('referenceOf is "name@version"', () => {
  expect(referenceOf(version({ name: 'echo', version: '1.2.3-rc.1' }))).toBe('echo@1.2.3-rc.1');
});

describe('stateTransitions', () => {
  test('lead only to states that there are, and never to the same', () => {
    for (const state of states) {
      for (const next of stateTransitions[state]) {
        expect(states).toContain(next);
        expect(next).not.toBe(state);
      }
    }
  });

  test('reach every state from unloaded, and retired from every state', () => {
    expect(reachable('unloaded').toSorted()).toEqual(states.toSorted());
    for (const state of states) expect(reachable(state)).toContain('retired');
  });

  test('lead nowhere from retired', () => {
    expect(stateTransitions.retired).toEqual([]);
  });
});

function reachable(from: PluginState): readonly PluginState[] {
  const reached = new Set<PluginState>([from]);
  for (const state of reached) for (const next of stateTransitions[state]) reached.add(next);
  return [...reached];
}

import { describe, expect, test } from 'vitest';
import type { PluginVersion } from '../../../src/model/plugin.ts';
import { type PluginChange, Watchers } from '../../../src/plugins/watchers.ts';
import { execErrorOf, reasonOf } from './fakes.ts';
import { checkedManifest } from './fixtures.ts';

function change(sizeBytes: number): PluginChange & { version: PluginVersion } {
  const manifest = checkedManifest({});
  const facts = {
    manifestText: '',
    digest: `sha256:${'0'.repeat(64)}`,
    functions: [],
    otherFunctions: [],
    failure: '',
    createdMs: 0,
    updatedMs: 0,
  } as const;
  const version: PluginVersion = { ...facts, manifest, sizeBytes, state: 'running' };
  return { type: 'STATE_CHANGED', timeMs: 0, version, health: undefined };
}

const synced: PluginChange = { type: 'SYNCED', timeMs: 0 };

function start(signal = new AbortController().signal): {
  name: undefined;
  snapshot: readonly PluginChange[];
  signal: AbortSignal;
} {
  return { name: undefined, snapshot: [synced], signal };
}

describe('Watchers', () => {
  test('keep up to the bound of changes and end a reader that is further behind', async () => {
    const watchers = new Watchers({ watchersMax: 10, watcherChangesMax: 2 });
    const [fast, slow] = [watchers.watch(start()), watchers.watch(start())];
    await fast.next();
    for (let at = 0; at < 3; at++) {
      watchers.report(change(at));
      expect((await fast.next()).value).toEqual(change(at));
    }
    const error = await execErrorOf(() => slow.next());
    expect(error.reason).toBe('READER_TOO_SLOW');
    expect(error.message).toBe('The watcher fell more than 2 changes behind: watch again');
    expect(await slow.next()).toEqual({ done: true, value: undefined });
  });

  test('give a snapshot longer than the buffer in full', async () => {
    const watchers = new Watchers({ watchersMax: 1, watcherChangesMax: 1 });
    const snapshot = Array.from({ length: 50 }, (_, at) => change(at));
    const reader = watchers.watch({ ...start(), snapshot });
    watchers.report(change(50));
    const seen: number[] = [];
    for await (const item of reader) {
      if (item.type !== 'SYNCED') seen.push(item.version.sizeBytes);
      if (seen.length === 51) break;
    }
    expect(seen).toEqual(Array.from({ length: 51 }, (_, at) => at));
  });

  test('are bounded; one that ends makes room', async () => {
    const watchers = new Watchers({ watchersMax: 2, watcherChangesMax: 1 });
    const ending = new AbortController();
    watchers.watch(start(ending.signal));
    const second = watchers.watch(start());
    expect(await reasonOf(() => watchers.watch(start()))).toBe('READERS_FULL');
    ending.abort();
    watchers.watch(start());
    expect(await reasonOf(() => watchers.watch(start()))).toBe('READERS_FULL');
    await second.return?.();
    watchers.watch(start());
  });

  test('end at once when the signal aborts, also one that waits or began aborted', async () => {
    const watchers = new Watchers({ watchersMax: 1, watcherChangesMax: 1 });
    const ending = new AbortController();
    const reader = watchers.watch(start(ending.signal));
    await reader.next();
    const waiting = reader.next();
    ending.abort();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await watchers.watch(start(ending.signal)).next()).toEqual({ done: true, value: undefined });
    watchers.watch(start());
  });
});

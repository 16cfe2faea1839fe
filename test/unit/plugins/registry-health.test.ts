import { describe, expect, test } from 'vitest';
import type { PluginVersion } from '../../../src/model/plugin.ts';
import type { PluginRegistry } from '../../../src/plugins/registry.ts';
import type { PluginChange } from '../../../src/plugins/watchers.ts';
import { ManualClock } from './fakes.ts';
import { dataDirectory, moduleOf, openRegistry, publish } from './fixtures.ts';

const reference = 'echo@1.0.0';

function trap(registry: PluginRegistry, version: PluginVersion, count: number): void {
  for (let at = 0; at < count; at++) registry.noteRun(version, { trapped: true, nearMemoryLimit: false });
}

describe('PluginRegistry.health', () => {
  test('is known of running versions only, and begins with the version', async () => {
    await using data = await dataDirectory();
    const clock = new ManualClock();
    await using registry = await openRegistry(data.path, { clock });
    const { version } = await publish(registry);
    expect(registry.health(version)).toEqual({ state: 'HEALTHY', reasons: [], changedMs: version.updatedMs });
    trap(registry, version, 5);
    expect(registry.health(registry.get('echo'))?.state).toBe('DEGRADED');
    const stopped = await registry.stop(reference);
    expect(registry.health(stopped)).toBeUndefined();
    clock.advance(1_000);
    const started = await registry.start(reference);
    expect(registry.health(started)).toEqual({ state: 'HEALTHY', reasons: [], changedMs: clock.now() });
  });

  test('takes no notice of runs that end when the version has stopped', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const { version } = await publish(registry);
    await registry.stop(reference);
    trap(registry, version, 20);
    registry.noteCheck(version, 'failed');
    expect(registry.health(registry.get(reference))).toBeUndefined();
    expect(registry.health(await registry.start(reference))?.state).toBe('HEALTHY');
  });

  test('does not blame a version for runs of another module that had its number before', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const { version: before } = await publish(registry);
    await registry.stop(reference);
    await registry.delete(reference);
    const { version: after } = await publish(registry, {}, moduleOf(1));
    trap(registry, before, 20);
    expect(registry.health(after)?.state).toBe('HEALTHY');
  });

  test('is told to watchers when its state changes, with the health as it is then', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const { version } = await publish(registry);
    const changes = registry.watch({}, new AbortController().signal)[Symbol.asyncIterator]();
    const next = async (): Promise<PluginChange> => (await changes.next()).value as PluginChange;
    expect(await next()).toMatchObject({ type: 'EXISTING', health: { state: 'HEALTHY' } });
    expect((await next()).type).toBe('SYNCED');
    trap(registry, version, 11);
    expect(await next()).toMatchObject({ type: 'HEALTH_CHANGED', version, health: { state: 'DEGRADED' } });
    expect(await next()).toMatchObject({ type: 'HEALTH_CHANGED', version, health: { state: 'FAILED' } });
    await registry.stop(reference);
    expect(await next()).toMatchObject({ type: 'STATE_CHANGED', health: undefined });
  });

  test('keeps the version running, whatever it is', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const { version } = await publish(registry);
    registry.noteCheck(version, 'health_check failed: no');
    expect(registry.health(version)).toMatchObject({ state: 'FAILED', reasons: ['health_check failed: no'] });
    expect(registry.resolve('echo')).toBe(version);
    expect(registry.running()).toEqual([version]);
    expect(registry.running()).not.toContain(await registry.stop(reference));
  });

  test('survives no restart: nothing of it is on disk', async () => {
    await using data = await dataDirectory();
    {
      await using registry = await openRegistry(data.path);
      trap(registry, (await publish(registry)).version, 20);
    }
    await using registry = await openRegistry(data.path);
    expect(registry.health(registry.get(reference))).toBeUndefined();
    expect(registry.health(await registry.start(reference))?.state).toBe('HEALTHY');
  });
});

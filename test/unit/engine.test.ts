/** The engine as it is composed: what no part of it can show alone. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { chunksOf } from '../../src/app.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { digestOf } from '../../src/base/digest.ts';
import { type Engine, startEngine } from '../../src/engine.ts';
import { silentLog } from '../../src/model/log.ts';
import type { PluginVersion } from '../../src/model/plugin.ts';
import { Policy } from '../../src/policy/policy.ts';
import { until } from '../helpers/grpc.ts';
import { wat } from '../helpers/wat.ts';

/** Long pauses are short, so that what happens each half a minute happens at once. */
const hurriedClock: Clock = {
  ...systemClock,
  sleep: (ms, signal) => systemClock.sleep(ms >= 5_000 ? 20 : ms, signal),
};

async function engine(): Promise<Engine> {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'caisson-engine-'));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(dataDirectory, { recursive: true }));
  const started = stack.use(
    await startEngine({
      clock: hurriedClock,
      log: silentLog,
      dataDirectory,
      threadsMin: 1,
      threadsMax: 2,
      queueMax: 10,
      policy: Policy.builtIn,
      environment: {},
      allowedFeatures: [],
      graceMs: 0,
    }),
  );
  const owned = stack.move();
  return { ...started, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function publish({ registry }: Engine, name: string, text: string): Promise<PluginVersion> {
  const module = wat(text);
  const manifestText = JSON.stringify({ name, version: '1.0.0' });
  const header = { manifestText, sha256: digestOf(module), sizeBytes: module.length };
  return (await registry.publish(header, chunksOf(module), new AbortController().signal)).version;
}

describe('The engine', () => {
  test('runs the health checks of plugins, whose failures show in their health and nowhere else', async () => {
    await using running = await engine();
    const { registry, executions } = running;
    const well = await publish(running, 'well', '(module (func (export "health_check") (result i32) (i32.const 0)))');
    const sick = await publish(running, 'sick', '(module (func (export "health_check") (result i32) (i32.const 7)))');
    const none = await publish(running, 'none', '(module (func (export "run")))');
    await until(() => registry.health(well)?.checkedMs !== undefined, 'the first check');
    await until(() => registry.health(sick)?.state === 'FAILED', 'the failed check');
    expect(registry.health(well)).toMatchObject({ state: 'HEALTHY', reasons: [] });
    expect(registry.health(sick)?.reasons).toEqual(['health_check failed: The function returned 7']);
    expect(registry.health(none)).toEqual({ state: 'HEALTHY', reasons: [], changedMs: none.updatedMs });
    for (const tenant of ['caisson', 'default']) expect(executions.list({ tenant, limit: 9 }).executions).toEqual([]);
    expect(registry.resolve('sick').state).toBe('running');
  });
});

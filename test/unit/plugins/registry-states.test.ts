import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { ExecError } from '../../../src/model/exec-error.ts';
import type { PluginState } from '../../../src/model/plugin.ts';
import type { LifecycleHook } from '../../../src/plugins/hooks.ts';
import type { PluginRegistry } from '../../../src/plugins/registry.ts';
import type { PluginChange } from '../../../src/plugins/watchers.ts';
import { execErrorOf, FakeCompiler, MemoryLog, reasonOf } from './fakes.ts';
import { dataDirectory, moduleOf, openRegistry, publish } from './fixtures.ts';

const reference = 'echo@1.0.0';

function hook(fields: Partial<LifecycleHook>): LifecycleHook {
  return { name: 'test', phase: 'preStart', priority: 0, critical: true, timeoutMs: 1_000, run: () => {}, ...fields };
}

/** The states that `work` takes a version through. */
async function statesDuring(registry: PluginRegistry, work: () => Promise<unknown>): Promise<readonly PluginState[]> {
  const ending = new AbortController();
  const changes = registry.watch({}, ending.signal)[Symbol.asyncIterator]();
  await work().catch(() => {});
  await registry.retire('marker@1.0.0');
  const states: PluginState[] = [];
  for (;;) {
    const change = (await changes.next()).value as PluginChange;
    if (change.type === 'SYNCED' || change.type === 'EXISTING') continue;
    if (change.version.manifest.name === 'marker') break;
    states.push(change.version.state);
  }
  ending.abort();
  return states;
}

describe('PluginRegistry.stop and start', () => {
  test('take a version through the states of the table and back', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    await publish(registry, { name: 'marker' }, moduleOf(9));
    await publish(registry);
    expect(await statesDuring(registry, () => registry.stop(reference))).toEqual(['stopping', 'stopped']);
    await registry.delete('marker@1.0.0');
    await publish(registry, { name: 'marker' }, moduleOf(9));
    expect(await statesDuring(registry, () => registry.start(reference))).toEqual([
      'loading',
      'loaded',
      'starting',
      'running',
    ]);
    expect(registry.get('echo').state).toBe('running');
  });

  test('change nothing where nothing is to change', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const { version } = await publish(registry);
    expect(await registry.start(reference)).toBe(version);
    const stopped = await registry.stop(reference);
    expect(await registry.stop(reference)).toBe(stopped);
    const retired = await registry.retire(reference);
    expect(await registry.retire(reference)).toBe(retired);
  });

  test('refuse executions while stopped, and say what to do', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const { version } = await publish(registry);
    await registry.stop(reference);
    const error = await execErrorOf(() => registry.resolve('echo'));
    expect(error.reason).toBe('PLUGIN_NOT_RUNNING');
    expect(error.message).toBe('"echo@1.0.0" is stopped: start it, or name another version');
    expect(await reasonOf(() => registry.compiled(version, 65_536))).toBe('PLUGIN_NOT_RUNNING');
    await registry.start(reference);
    expect(registry.resolve('echo').state).toBe('running');
  });

  test('free compiled variants, unless another running version has the same module', async () => {
    await using data = await dataDirectory();
    const compiler = new FakeCompiler();
    await using registry = await openRegistry(data.path, { compiler });
    await publish(registry);
    await publish(registry, { version: '2.0.0' });
    expect(compiler.compiled).toHaveLength(1);
    await registry.stop('echo@2.0.0');
    await registry.start('echo@2.0.0');
    expect(compiler.compiled).toHaveLength(1);
    await registry.stop('echo@1.0.0');
    await registry.stop('echo@2.0.0');
    await registry.start('echo@2.0.0');
    expect(compiler.compiled).toHaveLength(2);
  });

  test('are answered in order when they come at once', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    await publish(registry);
    const states = await Promise.all([
      registry.stop(reference),
      registry.start(reference),
      registry.stop(reference),
      registry.retire(reference),
    ]);
    expect(states.at(-1)?.state).toBe('retired');
    expect(registry.get(reference).state).toBe('retired');
  });

  test('refuse more callers waiting for one version than the bound', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path, { bounds: { transitionsWaitingMax: 1 } });
    await publish(registry);
    const answers = await Promise.allSettled([
      registry.stop(reference),
      registry.start(reference),
      registry.stop(reference),
    ]);
    const refused = answers
      .filter((answer) => answer.status === 'rejected')
      .map(({ reason }) => (reason as ExecError).reason);
    expect(refused).toEqual(['QUEUE_FULL']);
  });

  test('need a reference that names one version', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    await publish(registry);
    const error = await execErrorOf(() => registry.stop('echo'));
    expect(error.reason).toBe('REQUEST_INVALID');
    expect(error.message).toBe('plugin: must name one version, such as "echo@1.0.0", but is "echo"');
    expect((await registry.stop(registry.get('echo').digest)).state).toBe('stopped');
  });
});

describe('PluginRegistry.retire', () => {
  test('stops a running version and withdraws it for good', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    await publish(registry, { name: 'marker' }, moduleOf(9));
    await publish(registry);
    expect(await statesDuring(registry, () => registry.retire(reference))).toEqual(['stopping', 'stopped', 'retired']);
    expect(await reasonOf(() => registry.resolve(reference))).toBe('PLUGIN_RETIRED');
    const error = await execErrorOf(() => registry.start(reference));
    expect(error.reason).toBe('PLUGIN_STATE');
    expect(error.message).toContain('cannot be started while it is retired');
    expect(await reasonOf(() => registry.stop(reference))).toBe('PLUGIN_STATE');
    expect(await reasonOf(() => publish(registry, {}, moduleOf(1)))).toBe('PLUGIN_EXISTS');
  });
});

describe('PluginRegistry.delete', () => {
  test('refuses a running version and says to stop it first', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    await publish(registry);
    const error = await execErrorOf(() => registry.delete(reference));
    expect(error.reason).toBe('PLUGIN_STATE');
    expect(error.message).toBe(
      '"echo@1.0.0" cannot be deleted while it is running: only a stopped, failed or retired version can be: stop it first',
    );
    expect(error.metadata).toEqual({ state: 'running' });
  });

  test.each(['stopped', 'retired'] as const)(
    'removes a %s version, whose number can be published again',
    async (state) => {
      await using data = await dataDirectory();
      await using registry = await openRegistry(data.path);
      await publish(registry);
      await (state === 'stopped' ? registry.stop(reference) : registry.retire(reference));
      await registry.delete(reference);
      expect(await reasonOf(() => registry.get(reference))).toBe('PLUGIN_NOT_FOUND');
      expect((await publish(registry, {}, moduleOf(1))).created).toBe(true);
    },
  );

  test('does not take the module from a version that is published with it at the same time', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    await publish(registry, { version: '0.0.0' });
    for (let round = 1; round <= 40; round++) {
      const [before, after] = [`echo@${round - 1}.0.0`, `echo@${round}.0.0`];
      await registry.stop(before);
      const deleting = sleep(round / 8).then(() => registry.delete(before));
      await Promise.all([deleting, publish(registry, { version: `${round}.0.0` })]);
      const compiled = await registry.compiled(registry.resolve(after), round * 65_536);
      expect(compiled.key).toContain(`/${round * 65_536}`);
    }
  });

  test('refuses what was to happen to the version afterwards', async () => {
    await using data = await dataDirectory();
    await using registry = await openRegistry(data.path);
    const { version } = await publish(registry);
    await registry.stop(reference);
    const answers = await Promise.allSettled([registry.delete(reference), registry.start(reference)]);
    expect(answers[0]?.status).toBe('fulfilled');
    expect(answers[1]).toMatchObject({ status: 'rejected', reason: { reason: 'PLUGIN_VERSION_NOT_FOUND' } });
    expect(await reasonOf(() => registry.compiled(version, 65_536))).toBe('PLUGIN_VERSION_NOT_FOUND');
  });
});

describe('Lifecycle hooks', () => {
  test('run in their phases, higher priority first, built-in ones among them', async () => {
    await using data = await dataDirectory();
    const ran: string[] = [];
    const phases = [
      'preLoad',
      'postLoad',
      'preStart',
      'postStart',
      'preStop',
      'postStop',
      'preUnload',
      'postUnload',
    ] as const;
    const hooks = phases.flatMap((phase) =>
      [1, 2].map((priority) => hook({ phase, priority, run: () => void ran.push(`${phase} ${priority}`) })),
    );
    await using registry = await openRegistry(data.path, { hooks });
    await publish(registry);
    expect(ran).toEqual(phases.slice(0, 4).flatMap((phase) => [`${phase} 2`, `${phase} 1`]));
    await registry.stop(reference);
    expect(ran.slice(8)).toEqual(phases.slice(4).flatMap((phase) => [`${phase} 2`, `${phase} 1`]));
  });

  test('see the state that the version is in', async () => {
    await using data = await dataDirectory();
    const seen: string[] = [];
    const hooks = (['preLoad', 'preStart', 'preStop'] as const).map((phase) =>
      hook({ phase, run: (version) => void seen.push(version.state) }),
    );
    await using registry = await openRegistry(data.path, { hooks });
    await publish(registry);
    await registry.stop(reference);
    expect(seen).toEqual(['loading', 'starting', 'stopping']);
  });

  test('that are critical make the version fail, kept across a restart', async () => {
    await using data = await dataDirectory();
    let broken = false;
    const hooks = [
      hook({ name: 'license', run: () => (broken ? Promise.reject(new Error('no\nlicense')) : undefined) }),
    ];
    {
      await using registry = await openRegistry(data.path, { hooks });
      await publish(registry);
      await registry.stop(reference);
      broken = true;
      const error = await execErrorOf(() => registry.start(reference));
      expect(error.reason).toBe('LIFECYCLE_HOOK_FAILED');
      expect(error.message).toBe('The preStart hook "license" failed: no\\u000alicense');
      expect(registry.get(reference)).toMatchObject({ state: 'failed', failure: error.message });
    }
    await using registry = await openRegistry(data.path, { hooks });
    expect(registry.get(reference)).toMatchObject({
      state: 'failed',
      failure: 'The preStart hook "license" failed: no\\u000alicense',
    });
    const refused = await execErrorOf(() => registry.resolve(reference));
    expect(refused.reason).toBe('PLUGIN_FAILED');
    expect(refused.message).toContain('The preStart hook "license" failed');
    broken = false;
    expect((await registry.start(reference)).state).toBe('running');
    expect(registry.get(reference).failure).toBe('');
  });

  test('that are not critical are only logged', async () => {
    await using data = await dataDirectory();
    const log = new MemoryLog();
    const hooks = [hook({ critical: false, run: () => Promise.reject(new Error('mail server is down')) })];
    await using registry = await openRegistry(data.path, { hooks, log });
    expect((await publish(registry)).version.state).toBe('running');
    expect(log.texts('warn')).toEqual(['Lifecycle hook failed']);
  });

  test('that refuse to let a version stop make it fail; it can be retired and deleted all the same', async () => {
    await using data = await dataDirectory();
    const hooks = [hook({ phase: 'preStop', run: () => Promise.reject(new Error('still needed')) })];
    await using registry = await openRegistry(data.path, { hooks });
    await publish(registry);
    expect(await reasonOf(() => registry.stop(reference))).toBe('LIFECYCLE_HOOK_FAILED');
    expect(registry.get(reference).state).toBe('failed');
    expect(await reasonOf(() => registry.resolve(reference))).toBe('PLUGIN_FAILED');
    expect((await registry.retire(reference)).state).toBe('retired');
    await registry.delete(reference);
    expect(registry.list({ limit: 1 }).versions).toEqual([]);
  });
});

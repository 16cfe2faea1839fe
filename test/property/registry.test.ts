/** The registry against a simple model: random histories, one step after another and several at once. */

import fc from 'fast-check';
import { maxSatisfying, prerelease, rsort } from 'semver';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/base/digest.ts';
import { ExecError } from '../../src/model/exec-error.ts';
import type { PluginState } from '../../src/model/plugin.ts';
import type { Reason } from '../../src/model/reasons.ts';
import type { PluginRegistry } from '../../src/plugins/registry.ts';
import { dataDirectory, moduleOf, openRegistry, publish } from '../unit/plugins/fixtures.ts';

type Step =
  | { readonly type: 'publish'; readonly reference: string; readonly seed: number }
  | { readonly type: 'start' | 'stop' | 'retire' | 'delete' | 'use'; readonly reference: string }
  | { readonly type: 'restart' };

const modules = [0, 1].map((seed) => moduleOf(seed));
const versionNumbers = ['1.0.0', '1.1.0', '2.0.0-rc.1'];

const reference = fc
  .tuple(fc.constantFrom('a', 'b'), fc.constantFrom(...versionNumbers))
  .map(([name, version]) => `${name}@${version}`);

const change: fc.Arbitrary<Exclude<Step, { type: 'restart' }>> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ type: fc.constant('publish' as const), reference, seed: fc.constantFrom(0, 1) }),
  },
  { weight: 5, arbitrary: fc.record({ type: fc.constantFrom('start', 'stop', 'retire', 'delete', 'use'), reference }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: change },
  { weight: 1, arbitrary: fc.constant({ type: 'restart' as const }) },
);

/** What the model knows of one version. */
interface Known {
  readonly seed: number;
  readonly state: PluginState;
}

type Model = Map<string, Known>;

/** Does a step in the model; the reason of the refusal if the registry is to refuse it. */
function expected(model: Model, step: Exclude<Step, { type: 'restart' }>): Reason | undefined {
  const { reference } = step;
  const known = model.get(reference);
  if (step.type === 'publish') {
    if (known) return known.seed === step.seed ? undefined : 'PLUGIN_EXISTS';
    model.set(reference, { seed: step.seed, state: 'running' });
    return undefined;
  }
  if (!known) {
    const name = reference.split('@')[0] ?? '';
    return [...model.keys()].some((other) => other.startsWith(`${name}@`))
      ? 'PLUGIN_VERSION_NOT_FOUND'
      : 'PLUGIN_NOT_FOUND';
  }
  return expectedOfKnown(model, { type: step.type, reference, known });
}

function expectedOfKnown(
  model: Model,
  step: {
    readonly type: 'start' | 'stop' | 'retire' | 'delete' | 'use';
    readonly reference: string;
    readonly known: Known;
  },
): Reason | undefined {
  const { type, reference, known } = step;
  const { state } = known;
  if (type === 'use' && state === 'stopped') return 'PLUGIN_NOT_RUNNING';
  if (type === 'use' && state === 'retired') return 'PLUGIN_RETIRED';
  if (type === 'delete') {
    if (state === 'running' || state === 'unloaded') return 'PLUGIN_STATE';
    model.delete(reference);
    return undefined;
  }
  if (state === 'retired') return type === 'retire' ? undefined : 'PLUGIN_STATE';
  const after = { start: 'running', use: 'running', stop: 'stopped', retire: 'retired' } as const;
  model.set(reference, { ...known, state: after[type] });
  return undefined;
}

async function perform(registry: PluginRegistry, step: Exclude<Step, { type: 'restart' }>): Promise<void> {
  const [name, version] = step.reference.split('@');
  switch (step.type) {
    case 'publish':
      await publish(registry, { name, version }, modules[step.seed]);
      return;
    case 'use': {
      const found = registry.resolve(step.reference);
      expect((await registry.compiled(found, 65_536)).key).toBe(`${found.digest}/65536`);
      return;
    }
    default:
      await registry[step.type](step.reference);
  }
}

async function refusalOf(work: () => Promise<void>): Promise<Reason | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    if (error instanceof ExecError) return error.reason;
    throw error;
  }
}

/** Everything that can be asked of the registry is as the model has it. */
function compare(registry: PluginRegistry, model: Model): void {
  const versions = registry.list({ limit: 100 }).versions;
  const seen = versions.map((version) => {
    const { name, version: number } = version.manifest;
    return [
      `${name}@${number}`,
      { seed: modules.findIndex((bytes) => digestOf(bytes) === version.digest), state: version.state },
    ];
  });
  expect(Object.fromEntries(seen)).toEqual(Object.fromEntries(model));
  for (const name of ['a', 'b']) expect(resolvedBy(registry, name)).toBe(resolvedIn(model, name));
}

function resolvedBy(registry: PluginRegistry, name: string): string | undefined {
  try {
    return registry.resolve(name).manifest.version;
  } catch (error) {
    if (error instanceof ExecError) return undefined;
    throw error;
  }
}

/** The newest release that accepts executions, else the newest pre-release that does. */
function resolvedIn(model: Model, name: string): string | undefined {
  const accepting = versionNumbers.filter((version) =>
    ['running', 'unloaded'].includes(model.get(`${name}@${version}`)?.state ?? ''),
  );
  return (
    maxSatisfying(
      accepting.filter((version) => prerelease(version) === null),
      '*',
    ) ?? rsort(accepting)[0]
  );
}

/** Hands over a registry and takes it back; `restart` closes it and opens another on the same files. */
async function withRegistry(
  work: (current: () => PluginRegistry, restart: () => Promise<void>) => Promise<void>,
): Promise<void> {
  await using data = await dataDirectory();
  let registry = await openRegistry(data.path);
  const restart = async (): Promise<void> => {
    await registry[Symbol.asyncDispose]();
    registry = await openRegistry(data.path);
  };
  try {
    await work(() => registry, restart);
  } finally {
    await registry[Symbol.asyncDispose]();
  }
}

describe('PluginRegistry', () => {
  test('does what the model does, whatever the history', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        await withRegistry(async (registry, restart) => {
          const model: Model = new Map();
          for (const step of steps) {
            if (step.type === 'restart') {
              await restart();
              for (const [reference, known] of model)
                if (known.state === 'running') model.set(reference, { ...known, state: 'unloaded' });
            } else {
              const reason = expected(model, step);
              expect(await refusalOf(() => perform(registry(), step)), JSON.stringify(step)).toBe(reason);
            }
            compare(registry(), model);
          }
        });
      }),
      { numRuns: 60 },
    );
  }, 120_000);

  test('ends in the same state in memory and on disk, whatever happens at once', async () => {
    const settled: readonly PluginState[] = ['running', 'stopped', 'retired'];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(change, { minLength: 2, maxLength: 8 }), { maxLength: 5 }), async (rounds) => {
        await withRegistry(async (registry, restart) => {
          for (const steps of rounds)
            await Promise.all(steps.map((step) => refusalOf(() => perform(registry(), step))));
          const model: Model = new Map();
          for (const { manifest, digest, state } of registry().list({ limit: 100 }).versions) {
            expect(settled).toContain(state);
            const seed = modules.findIndex((bytes) => digestOf(bytes) === digest);
            model.set(`${manifest.name}@${manifest.version}`, {
              seed,
              state: state === 'running' ? 'unloaded' : state,
            });
          }
          await restart();
          compare(registry(), model);
          for (const [reference, { state }] of model)
            if (state === 'unloaded') await perform(registry(), { type: 'use', reference });
        });
      }),
      { numRuns: 60 },
    );
  }, 120_000);
});

/** Runs every case folder, of this directory and of the example plugins, on the real engine in this process. */

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildExamples, examplesDirectory, exampleNames } from '../../plugins-examples/build.ts';
import { systemClock } from '../../src/base/clock.ts';
import { digestOf } from '../../src/base/digest.ts';
import { type Engine, startEngine } from '../../src/engine.ts';
import { ExecError } from '../../src/model/exec-error.ts';
import type { Action, GuestEvent } from '../../src/model/execution.ts';
import { silentLog } from '../../src/model/log.ts';
import type { Outcome } from '../../src/model/outcome.ts';
import { Policy } from '../../src/policy/policy.ts';
import { wat } from '../helpers/wat.ts';
import { bytesOf, type Case, type CaseFolder, caseFolders, type Expectation, exampleFolders } from './case-files.ts';

const builds = await buildExamples();
const folders = [...caseFolders(import.meta.dirname), ...exampleFolders(examplesDirectory, await exampleNames())];
const chunkBytes = 256 * 1_024;

let engine: Engine;
const dataDirectory = mkdtempSync(join(tmpdir(), 'caisson-cases-'));

beforeAll(async () => {
  engine = await startEngine({
    clock: systemClock,
    log: silentLog,
    dataDirectory,
    threadsMin: 1,
    threadsMax: 2,
    queueMax: 100,
    policy: Policy.builtIn,
    environment: {},
    allowedFeatures: [],
    graceMs: 1_000,
  });
});

afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  rmSync(dataDirectory, { recursive: true });
});

test('There are cases', () => {
  expect(folders.length).toBeGreaterThan(15);
  expect(folders.flatMap(({ cases }) => cases).length).toBeGreaterThan(90);
});

describe.each(folders)('$name', (folder) => {
  const skipped = builds.find(({ name }) => name === folder.name);
  const skipReason = skipped?.status === 'skipped' ? skipped.reason : undefined;

  if (folder.refusal) {
    const { reason, message } = folder.refusal;
    test(`is refused with ${reason}`, async () => {
      const error = await publish(folder).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ExecError);
      expect(error).toMatchObject({ reason });
      const { message: said, violations } = error as ExecError;
      expect([said, ...violations.map(({ field, description }) => `${field}: ${description}`)].join('\n')).toContain(
        message,
      );
    });
    return;
  }

  let plugin = '';
  beforeAll(async () => {
    if (skipReason === undefined) plugin = await publish(folder);
  });

  test.for(folder.cases)('$function: $name', async (one, { skip }) => {
    if (skipReason !== undefined) skip(skipReason);
    check(await run(plugin, one), one.expect);
  });
});

/** Publishes the folder's plugin and answers with its name@version. */
async function publish(folder: CaseFolder): Promise<string> {
  const module = folder.moduleText === undefined ? builtModule(folder.name) : wat(folder.moduleText);
  const header = { manifestText: folder.manifestText, sha256: digestOf(module), sizeBytes: module.length };
  const { version } = await engine.registry.publish(header, chunksOf(module), new AbortController().signal);
  return `${version.manifest.name}@${version.manifest.version}`;
}

function builtModule(name: string): Uint8Array {
  const build = builds.find((candidate) => candidate.name === name);
  if (build === undefined || build.status === 'skipped') throw new Error(`${name} is not built`);
  return readFileSync(build.modulePath);
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

interface Run {
  readonly outcome: Outcome;
  readonly events: readonly GuestEvent[];
}

async function run(plugin: string, one: Case): Promise<Run> {
  const { timeout_ms: timeoutMs, memory_bytes: memoryBytes, output_bytes: outputBytes } = one.limits ?? {};
  const action: Action = {
    tenant: 'default',
    plugin,
    function: one.function,
    input: bytesOf(one.input ?? ''),
    config: new Map(Object.entries(one.config ?? {})),
    limits: {
      ...(timeoutMs !== undefined && { timeoutMs }),
      ...(memoryBytes !== undefined && { memoryBytes }),
      ...(outputBytes !== undefined && { outputBytes }),
    },
    requestId: '',
    labels: new Map(),
    randomSeed: new Uint8Array(),
    sessionId: '',
  };
  const handle = engine.executions.start(action);
  const events: GuestEvent[] = [];
  for await (const { event } of engine.executions.attach(handle, 0, new AbortController().signal)) {
    if (event.type === 'log' || event.type === 'progress') events.push(event);
  }
  const { outcome } = await handle.ended;
  if (outcome === undefined) throw new Error('The execution ended without an outcome');
  return { outcome, events };
}

function check({ outcome, events }: Run, expected: Expectation): void {
  expect(outcome, outcome.name === 'OK' ? '' : outcome.error.message).toMatchObject({ name: expected.outcome });
  if (outcome.name === 'OK') checkOutput(outcome.output, expected.output);
  else if (expected.error) expect(outcome.error).toMatchObject(expected.error);
  if (expected.logs)
    expect(events.filter(({ type }) => type === 'log')).toEqual(
      expected.logs.map((line) => ({ type: 'log', ...line })),
    );
  if (expected.progress_min !== undefined)
    expect(outcome.usage.progressEvents).toBeGreaterThanOrEqual(expected.progress_min);
  if (!expected.last_progress) return;
  const last = events.findLast((event) => event.type === 'progress');
  expect({ fraction: last?.fraction, message: last?.message }).toEqual({
    fraction: undefined,
    ...expected.last_progress,
  });
}

/** An OK without an expected output is a case that says nothing. */
function checkOutput(output: Uint8Array, expected: Expectation['output']): void {
  if (expected === undefined) throw new Error('The case does not say which output it expects');
  if (typeof expected === 'object' && 'json' in expected)
    expect(JSON.parse(Buffer.from(output).toString())).toEqual(expected.json);
  else expect(Buffer.from(output).toString('latin1')).toBe(Buffer.from(bytesOf(expected)).toString('latin1'));
}

/** Collaborators of executions for tests: plugins, executors that tests steer, spans that keep what they are told. */

import { ExecError } from '../../../src/model/exec-error.ts';
import type { Action, ExecutionContext, Executor, PreparedAction } from '../../../src/model/execution.ts';
import { emptyUsage, type Outcome } from '../../../src/model/outcome.ts';
import { type PluginVersion, referenceOf } from '../../../src/model/plugin.ts';
import type { TraceAttributes, TraceSpan } from '../../../src/model/trace.ts';
import type { ExecutionFacts } from '../../../src/execution/execution-record.ts';
import type { GrantSource, PluginSource } from '../../../src/execution/executions.ts';
import type { Permit } from '../../../src/execution/prepared-action.ts';
import type { LimitCaps } from '../../../src/model/limit-caps.ts';
import { Policy } from '../../../src/policy/policy.ts';

const digest = `sha256:${'a'.repeat(64)}` as const;

export function version(
  overrides: Partial<PluginVersion['manifest']> & Partial<Pick<PluginVersion, 'functions'>> = {},
): PluginVersion {
  const { functions, ...manifest } = overrides;
  return {
    manifest: {
      name: 'echo',
      version: '1.0.0',
      description: '',
      functions: undefined,
      capabilities: ['log'],
      config: {},
      limits: {},
      instance: { mode: 'fresh', warm: 1 },
      allowedHosts: [],
      secrets: [],
      invoke: [],
      mounts: {},
      ...manifest,
    },
    manifestText: '{}',
    digest,
    sizeBytes: 8,
    functions: functions ?? ['echo', 'fail'],
    otherFunctions: ['takes-parameters'],
    state: 'running',
    failure: '',
    createdMs: 0,
    updatedMs: 0,
  };
}

export function registry(...versions: readonly PluginVersion[]): PluginSource {
  return {
    resolve(reference) {
      const found = versions.find((one) => [one.manifest.name, referenceOf(one)].includes(reference));
      if (!found) throw new ExecError('PLUGIN_NOT_FOUND', `There is no plugin "${reference}"`);
      return found;
    },
  };
}

export function action(overrides: Partial<Action> = {}): Action {
  return {
    tenant: 'default',
    plugin: 'echo',
    function: 'echo',
    input: new Uint8Array(),
    config: new Map(),
    limits: {},
    requestId: '',
    labels: new Map(),
    randomSeed: new Uint8Array(),
    sessionId: '',
    ...overrides,
  };
}

/** The policy that grants what the built-in one grants. */
export const grants: GrantSource = {
  grantFor: (tenant, { manifest }) => ({ ...Policy.builtIn.grantFor({ tenant, manifest }), limitCaps: {} }),
};

/** What a tenant is granted. */
export function permit(limitCaps: LimitCaps = {}): Permit {
  return { ...grants.grantFor('default', version()), limitCaps };
}

export function prepared(overrides: Partial<PreparedAction> = {}): PreparedAction {
  return {
    ...action(),
    version: version(),
    limits: {
      timeoutMs: 30_000,
      fuel: 1_000_000,
      cpuPercent: 100,
      memoryBytes: 65_536,
      inputBytes: 1_024,
      outputBytes: 1_024,
      logBytes: 1_024,
      varBytes: 1_024,
      hostCalls: 1_000,
    },
    grant: permit().grant,
    ...overrides,
  };
}

export function facts(overrides: Partial<ExecutionFacts> = {}): ExecutionFacts {
  return {
    id: 'one',
    tenant: 'default',
    plugin: 'echo@1.0.0',
    pluginName: 'echo',
    digest,
    function: 'echo',
    requestId: '',
    labels: new Map(),
    inputBytes: 0,
    createdMs: 0,
    ...overrides,
  };
}

export function ok(text = ''): Outcome {
  return { name: 'OK', output: new TextEncoder().encode(text), usage: emptyUsage };
}

export function progress(message = ''): {
  readonly type: 'progress';
  readonly message: string;
  readonly data: Uint8Array;
} {
  return { type: 'progress', message, data: new Uint8Array() };
}

export function log(message: string): { readonly type: 'log'; readonly level: 'info'; readonly message: string } {
  return { type: 'log', level: 'info', message };
}

/** One call of a SteeredExecutor. */
export interface SteeredRun {
  readonly action: PreparedAction;
  readonly context: ExecutionContext;
  end(outcome: Outcome): void;
  fail(error: unknown): void;
}

/** An executor whose runs end when the test says so. */
export class SteeredExecutor implements Executor {
  readonly runs: SteeredRun[] = [];

  execute(action: PreparedAction, context: ExecutionContext): Promise<Outcome> {
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    this.runs.push({ action, context, end: resolve, fail: reject });
    return promise;
  }

  /** The newest run. */
  get last(): SteeredRun {
    const run = this.runs.at(-1);
    if (!run) throw new Error('Nothing was executed');
    return run;
  }
}

/** A span that keeps what it is told. */
export class FakeSpan implements TraceSpan {
  readonly traceparent = '';
  readonly name: string;
  readonly startMs: number | undefined;
  readonly children: FakeSpan[] = [];
  attributes: TraceAttributes;
  failure: string | undefined;
  endMs: number | undefined;

  constructor(name: string, options: { readonly startMs?: number; readonly attributes?: TraceAttributes } = {}) {
    this.name = name;
    this.startMs = options.startMs;
    this.attributes = options.attributes ?? {};
  }

  child(name: string, options?: { readonly startMs?: number; readonly attributes?: TraceAttributes }): FakeSpan {
    const span = new FakeSpan(name, options);
    this.children.push(span);
    return span;
  }

  set(attributes: TraceAttributes): void {
    this.attributes = { ...this.attributes, ...attributes };
  }

  fail(kind: string): void {
    this.failure = kind;
  }

  end(endMs?: number): void {
    this.endMs = endMs;
  }
}

/** Everything that there is to read. */
export async function readAll<Item>(items: AsyncIterable<Item>): Promise<readonly Item[]> {
  const read: Item[] = [];
  for await (const item of items) read.push(item);
  return read;
}

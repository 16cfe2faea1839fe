/**
 * The limits of a run: names, defaults, maxima, and how the limits asked for by
 * a request, a manifest and the server become one. Pure.
 */

import { ExecError, type FieldViolation } from './exec-error.ts';

export const wasmPageBytes = 65_536;
const kibi = 1_024;
const mebi = 1_048_576;

/** Every limit that can differ from run to run, resolved. */
export interface RunLimits {
  /** From the start of the run to its end. */
  readonly timeoutMs: number;
  /** Units of fuel; see docs/fuel.md. */
  readonly fuel: number;
  /** Percentage of a processor that the guest may take over time. */
  readonly cpuPercent: number;
  /** All linear memories and growable tables of the guest together; a multiple of 64 KiB. */
  readonly memoryBytes: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  /** Bytes of log kept; what comes later is dropped and counted. */
  readonly logBytes: number;
  /** Bytes of all variables, names included. */
  readonly varBytes: number;
  /** Calls of host functions. */
  readonly hostCalls: number;
}

export type RunLimitName = keyof RunLimits;

interface LimitRange {
  readonly default: number;
  readonly max: number;
  /** Proto path in a request, or manifest path where requests cannot set it. */
  readonly field: string;
}

export const runLimitRanges: Readonly<Record<RunLimitName, LimitRange>> = {
  timeoutMs: { default: 30_000, max: 300_000, field: 'limits.timeout' },
  fuel: { default: 1e12, max: 1e13, field: 'limits.fuel' },
  cpuPercent: { default: 100, max: 100, field: 'limits.cpu_percent' },
  memoryBytes: { default: 64 * mebi, max: 512 * mebi, field: 'limits.memory_bytes' },
  inputBytes: { default: 4 * mebi, max: 16 * mebi, field: 'limits.input_bytes' },
  outputBytes: { default: 4 * mebi, max: 16 * mebi, field: 'limits.output_bytes' },
  logBytes: { default: 64 * kibi, max: 1 * mebi, field: 'limits.log_bytes' },
  varBytes: { default: 1 * mebi, max: 16 * mebi, field: 'memory.max_var_bytes' },
  hostCalls: { default: 10_000_000, max: 1_000_000_000, field: 'limits.host_calls' },
};

/** Bounds that hold for every run alike. */
export const fixedLimits = {
  /** Kernel memory beyond input and output: blocks for log lines, keys, scratch. */
  kernelScratchBytes: 16 * mebi,
  /** Lines of log kept. */
  logLines: 1_000,
  logLineBytes: 8 * kibi,
  progressMessageBytes: 1 * kibi,
  progressDataBytes: 4 * kibi,
  /** Progress events a second; faster ones are merged, the newest kept. */
  progressPerSecond: 1_000,
  configEntries: 64,
  configKeyBytes: 128,
  configValueBytes: 16 * kibi,
  errorMessageBytes: 4 * kibi,
  guestStackFrames: 64,
  labels: 32,
  labelKeyLength: 63,
  labelValueLength: 255,
  requestIdLength: 128,
  /** Bytes of the seed of a run's randomness. */
  randomSeedBytes: 64,
  /** Bytes that one call of random_bytes yields. */
  randomBytes: 64 * kibi,
  /** Counters that a run may name itself, and bytes of one's name. */
  counters: 32,
  counterNameBytes: 64,
  /** Spans that a guest may start, and bytes of a name, a key or a value. */
  spans: 100,
  spanTextBytes: 256,
  spanAttributes: 16,
  kvKeyBytes: 512,
  kvValueBytes: 1 * mebi,
  /** Keys that one kv_list yields. */
  kvListedKeys: 1_000,
  tenantLength: 63,
  sessionIdLength: 128,
  /** Bytes of manifest. */
  manifestBytes: 64 * kibi,
  /** Bytes of one upload chunk. */
  chunkBytes: 1 * mebi,
} as const;

export type LimitsAsked = { readonly [Name in RunLimitName]?: number };

/**
 * The limits of one run: what the request asks, else what the manifest asks,
 * else the default, each at most the server's maximum. Zero means "not asked".
 * Throws LIMIT_OUT_OF_RANGE naming every limit of the request that is negative
 * or over its maximum. A manifest's limits are checked when it is published.
 */
export function resolveLimits(request: LimitsAsked, manifest: LimitsAsked): RunLimits {
  if (Object.keys(request).length > 0) return resolve(request, manifest);
  const known = withoutRequest.get(manifest) ?? resolve(request, manifest);
  withoutRequest.set(manifest, known);
  return known;
}

/** Most requests ask for no limits: by the manifest's, which are one object for each version. */
const withoutRequest = new WeakMap<LimitsAsked, RunLimits>();

function resolve(request: LimitsAsked, manifest: LimitsAsked): RunLimits {
  const violations = limitViolations(request);
  const first = violations[0];
  if (first) throw new ExecError('LIMIT_OUT_OF_RANGE', `${first.field}: ${first.description}`, { violations });
  const of = (name: RunLimitName): number =>
    Math.min(request[name] || manifest[name] || runLimitRanges[name].default, runLimitRanges[name].max);
  const memoryBytes = of('memoryBytes');
  return {
    timeoutMs: of('timeoutMs'),
    fuel: of('fuel'),
    cpuPercent: of('cpuPercent'),
    memoryBytes: Math.max(wasmPageBytes, memoryBytes - (memoryBytes % wasmPageBytes)),
    inputBytes: of('inputBytes'),
    outputBytes: of('outputBytes'),
    logBytes: of('logBytes'),
    varBytes: of('varBytes'),
    hostCalls: of('hostCalls'),
  };
}

/** Which of the limits asked for are negative, not whole, or over the server's maximum. */
export function limitViolations(asked: LimitsAsked): readonly FieldViolation[] {
  const violations: FieldViolation[] = [];
  for (const name of Object.keys(runLimitRanges) as RunLimitName[]) {
    const value = asked[name];
    const { field, max } = runLimitRanges[name];
    if (value === undefined || (isWhole(name, value) && value >= 0 && value <= max)) continue;
    violations.push({
      field,
      description: `must be from 0 (the default) to ${describeLimit(name, max)}, but is ${describeLimit(name, value)}`,
    });
  }
  return violations;
}

/** Bytes and units come whole; a time may have a fraction of a millisecond. */
function isWhole(name: RunLimitName, value: number): boolean {
  return name === 'timeoutMs' ? Number.isFinite(value) : Number.isInteger(value);
}

function describeLimit(name: RunLimitName, value: number): string {
  switch (name) {
    case 'timeoutMs':
      return `${value / 1_000} s`;
    case 'fuel':
      return `${value} units`;
    case 'cpuPercent':
      return `${value} %`;
    case 'hostCalls':
      return `${value} calls`;
    default:
      return `${value} bytes`;
  }
}

/** What is aimed at: the figures that the benchmarks are held against, and how they compare. Pure. */

export interface Target {
  /** What is measured against what. */
  readonly what: string;
  /** The case that measures it. */
  readonly case: string;
  readonly bound: 'at least' | 'at most' | 'no bound';
  readonly value: number;
  readonly unit: '×' | 'µs' | '/s';
  /** Why it cannot be reached as things are, if that is known. */
  readonly known?: string;
}

const atLeast = (value: number, unit: Target['unit']) => ({ bound: 'at least', value, unit }) as const;
const atMost = (value: number, unit: Target['unit']) => ({ bound: 'at most', value, unit }) as const;

/** Two processors, one run, medians. */
export const targets = {
  reuseThroughput: {
    what: 'unary no-op, reuse, saturation, against bare grpc-js echo',
    case: 'unary',
    ...atLeast(0.6, '×'),
  },
  freshThroughput: {
    what: 'unary no-op, fresh, saturation, against bare grpc-js echo',
    case: 'unary',
    ...atLeast(0.45, '×'),
  },
  reuseLatency: {
    what: 'unary no-op, reuse, 1 in flight, p50 over bare grpc-js echo',
    case: 'unary',
    ...atMost(60, 'µs'),
  },
  freshLatency: {
    what: 'unary no-op, fresh, 1 in flight, p50 over bare grpc-js echo',
    case: 'unary',
    ...atMost(150, 'µs'),
  },
  many: { what: 'ExecuteMany against unary, reuse', case: 'many', ...atLeast(2.5, '×') },
  worker: {
    what: 'reuse against Extism runInWorker behind the same edge, count-vowels',
    case: 'peers',
    ...atLeast(50, '×'),
    known:
      'new workers of Extism answer in some tenths of a millisecond and get slower with every call; see the row "after many calls"',
  },
  create: {
    what: 'fresh with all limits on against Extism createPlugin per call without any, count-vowels',
    case: 'peers',
    ...atLeast(1, '×'),
  },
  mebibyte: { what: '1 MiB echo, fresh, against plain Extism createPlugin', case: 'peers', ...atLeast(10, '×') },
  progressLive: {
    what: 'progress events of one execution to one subscriber',
    case: 'progress',
    ...atLeast(50_000, '/s'),
    known: 'an execution may report 1,000 progress events a second at most; faster ones are merged',
  },
  progressRecorded: {
    what: 'recorded events to one subscriber (AttachExecution)',
    case: 'progress',
    ...atLeast(50_000, '/s'),
  },
  processes: {
    what: '2 processes against 1, load from outside the two',
    case: 'processes',
    bound: 'no bound',
    value: 0,
    unit: '×',
  },
  cpu: {
    what: 'CPU-bound kernels, metered, against the Go (wazero) peer that can stop a guest, geometric mean',
    case: 'cpu',
    ...atLeast(2, '×'),
  },
  cpuUnbounded: {
    what: 'the same against the Go (wazero) peer that cannot',
    case: 'cpu',
    ...atLeast(2, '×'),
  },
  meteredKernels: {
    what: 'metered kernels, time against raw, geometric mean',
    case: 'metering',
    ...atMost(1.12, '×'),
  },
  meteredPrograms: {
    what: 'metered programs, time against raw, geometric mean',
    case: 'metering',
    ...atMost(1.22, '×'),
  },
} as const satisfies Readonly<Record<string, Target>>;

export type TargetName = keyof typeof targets;

/** What a case found: a figure, or why there is none. */
export type Finding = number | string;

export type Findings = Readonly<Partial<Record<TargetName, Finding>>>;

/** The same finding for all that a case was to measure. */
export function findingsAll(caseName: string, finding: Finding): Findings {
  const names = (Object.keys(targets) as TargetName[]).filter((name) => targets[name].case === caseName);
  return Object.fromEntries(names.map((name) => [name, finding]));
}

export interface Verdict {
  readonly target: TargetName;
  readonly what: string;
  readonly wanted: string;
  readonly found: string;
  /** Undefined if it was not measured, or if there is no bound. */
  readonly isMet: boolean | undefined;
  readonly verdict: string;
}

/** One verdict for each target, in their order. */
export function verdictsOf(findings: Findings): readonly Verdict[] {
  return (Object.keys(targets) as TargetName[]).map((name) => verdictOf(name, findings[name]));
}

function verdictOf(name: TargetName, finding: Finding | undefined): Verdict {
  const target: Target = targets[name];
  const head = { target: name, what: target.what, wanted: wantedText(target) };
  if (typeof finding !== 'number' || !Number.isFinite(finding)) {
    const why = typeof finding === 'string' ? finding : `case "${target.case}" was not run`;
    return { ...head, found: '–', isMet: undefined, verdict: `not measured: ${why}` };
  }
  const found = figureText(finding, target.unit);
  if (target.bound === 'no bound') return { ...head, found, isMet: undefined, verdict: 'no bound' };
  const isMet = target.bound === 'at least' ? finding >= target.value : finding <= target.value;
  return { ...head, found, isMet, verdict: isMet ? 'met' : missText(target, finding) };
}

function wantedText({ bound, value, unit }: Target): string {
  return bound === 'no bound' ? 'what the cores allow' : `${bound} ${figureText(value, unit)}`;
}

function missText(target: Target, finding: number): string {
  const by = figureText(Math.abs(target.value - finding), target.unit);
  const part = Math.round((Math.abs(target.value - finding) / target.value) * 100);
  const known = target.known === undefined ? '' : `: ${target.known}`;
  return `missed by ${by} (${part} %)${known}`;
}

function figureText(value: number, unit: Target['unit']): string {
  if (unit === '×') return `${value.toFixed(2)} ×`;
  return unit === '/s' ? `${Math.round(value).toLocaleString('en')}/s` : `${Math.round(value)} µs`;
}

/**
 * How a run ended: a value, also when the guest failed. The kinds are the stable
 * names that callers see in ExecutionError.kind; docs/errors.md is generated
 * from this table.
 */

import type { CapabilityName } from './capability.ts';

export type OutcomeName =
  | 'OK'
  | 'PLUGIN_ERROR'
  | 'TRAP'
  | 'FUEL_EXHAUSTED'
  | 'MEMORY_EXHAUSTED'
  | 'TIMED_OUT'
  | 'CANCELED'
  | 'OUTPUT_TOO_LARGE'
  | 'DENIED';

interface KindInfo {
  readonly outcome: Exclude<OutcomeName, 'OK'>;
  readonly help: string;
}

export const outcomeKinds = {
  GUEST_ERROR: { outcome: 'PLUGIN_ERROR', help: 'The guest reported an error of its own; the message is its text.' },
  NONZERO_EXIT: {
    outcome: 'PLUGIN_ERROR',
    help: 'The function returned a code other than 0 without reporting an error.',
  },
  UNREACHABLE: {
    outcome: 'TRAP',
    help: 'The guest executed unreachable: usually a panic, an abort or a failed assertion.',
  },
  OUT_OF_BOUNDS: { outcome: 'TRAP', help: 'The guest accessed memory or a table out of bounds.' },
  STACK_OVERFLOW: { outcome: 'TRAP', help: 'The guest’s calls nested too deeply.' },
  ARITHMETIC: { outcome: 'TRAP', help: 'The guest divided by zero, or a result did not fit its type.' },
  INDIRECT_CALL: { outcome: 'TRAP', help: 'The guest called through a null or mistyped reference.' },
  UNCAUGHT_EXCEPTION: { outcome: 'TRAP', help: 'The guest threw a WebAssembly exception that nobody caught.' },
  TRAP: { outcome: 'TRAP', help: 'The guest trapped in another way; the message says which.' },
  FUEL: { outcome: 'FUEL_EXHAUSTED', help: 'The run needed more fuel than limits.fuel.' },
  GUEST_MEMORY: {
    outcome: 'MEMORY_EXHAUSTED',
    help: 'The guest trapped after it was refused more memory, by limits.memory_bytes or by the maximum that its module declares.',
  },
  KERNEL_MEMORY: {
    outcome: 'MEMORY_EXHAUSTED',
    help: 'The guest held more kernel blocks (input, output, log lines, keys) than allowed.',
  },
  TIMEOUT: { outcome: 'TIMED_OUT', help: 'The run lasted longer than limits.timeout.' },
  CANCELED: { outcome: 'CANCELED', help: 'The caller canceled the call or CancelExecution was called.' },
  DISCONNECTED: { outcome: 'CANCELED', help: 'The caller went away.' },
  DEADLINE: { outcome: 'CANCELED', help: 'The deadline of the caller passed.' },
  SHUTDOWN: { outcome: 'CANCELED', help: 'The server shut down before the run ended.' },
  OUTPUT_TOO_LARGE: { outcome: 'OUTPUT_TOO_LARGE', help: 'The output was larger than limits.output_bytes.' },
  HOST_CALLS: { outcome: 'DENIED', help: 'The guest made more host calls than limits.host_calls.' },
  NOT_GRANTED: {
    outcome: 'DENIED',
    help: 'The guest asked for something that manifest and policy do not both allow; the message names the rule and the line to add.',
  },
} as const satisfies Record<string, KindInfo>;

export type OutcomeKind = keyof typeof outcomeKinds;

export interface GuestFrame {
  /** Empty if the module carries no names. */
  readonly function: string;
  readonly functionIndex: number;
  readonly offset: number;
}

export interface OutcomeError {
  readonly kind: OutcomeKind;
  /** Made well-formed and bounded already. */
  readonly message: string;
  readonly guestStack: readonly GuestFrame[];
}

/** How a run came by its instance; NONE if it never had one. */
export type InstanceSource = 'NONE' | 'CREATED' | 'PREPARED' | 'REUSED';

/** The receipt of a run. */
export interface Usage {
  readonly wallMs: number;
  readonly queueMs: number;
  readonly runMs: number;
  readonly memoryPeakBytes: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly hostCalls: number;
  /** By capability; those without a call are left out. */
  readonly hostCallsByCapability: Readonly<Partial<Record<CapabilityName, number>>>;
  /** Counters that the guest named itself. */
  readonly counters: Readonly<Record<string, number>>;
  readonly progressEvents: number;
  readonly progressCoalesced: number;
  readonly logBytes: number;
  readonly logLinesDropped: number;
  /** Units; see docs/fuel.md. */
  readonly fuel: number;
  /** Whether up to one slice is missing from it. */
  readonly fuelIsLowerBound: boolean;
  readonly instanceSource: InstanceSource;
}

export const emptyUsage: Usage = {
  wallMs: 0,
  queueMs: 0,
  runMs: 0,
  memoryPeakBytes: 0,
  inputBytes: 0,
  outputBytes: 0,
  hostCalls: 0,
  hostCallsByCapability: {},
  counters: {},
  progressEvents: 0,
  progressCoalesced: 0,
  logBytes: 0,
  logLinesDropped: 0,
  fuel: 0,
  fuelIsLowerBound: false,
  instanceSource: 'NONE',
};

export type Outcome =
  | { readonly name: 'OK'; readonly output: Uint8Array; readonly usage: Usage }
  | { readonly name: Exclude<OutcomeName, 'OK'>; readonly error: OutcomeError; readonly usage: Usage };

/** An outcome other than OK; its name follows from the kind. */
export function failedOutcome(
  kind: OutcomeKind,
  message: string,
  usage: Usage,
  guestStack: readonly GuestFrame[] = [],
): Outcome {
  return { name: outcomeKinds[kind].outcome, error: { kind, message, guestStack }, usage };
}

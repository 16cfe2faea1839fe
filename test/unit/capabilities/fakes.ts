/** A call as host functions see it, without a guest: blocks in a map, events in a list. */

import type { CallContext, CallMeters, HostFunctions } from '../../../src/capabilities/call-context.ts';
import { noVariables } from '../../../src/capabilities/vars.ts';
import { capabilityNames, type CapabilityName } from '../../../src/model/capability.ts';
import type { GuestEvent, GuestNote } from '../../../src/model/execution.ts';
import type { Grant } from '../../../src/model/grant.ts';
import type { HostAnswer, OperationName } from '../../../src/model/operation.ts';
import { type LimitsAsked, resolveLimits } from '../../../src/model/limits.ts';
import type { OutcomeKind } from '../../../src/model/outcome.ts';
import { ManualClock } from '../base/manual-clock.ts';

const encoder = new TextEncoder();

export interface FakeCall extends CallContext {
  readonly clock: ManualClock;
  readonly meters: CallMeters;
  readonly held: Map<bigint, Uint8Array>;
  readonly sent: (GuestEvent | GuestNote)[];
  readonly exits: number[];
  /** What was asked, in order. */
  readonly asked: { readonly operation: OperationName; readonly request: Uint8Array }[];
  memory: Uint8Array | undefined;
  readonly stops: { readonly kind: OutcomeKind; readonly message: string }[];
  readonly faults: unknown[];
  /** Bytes that the guest was charged for. */
  chargedBytes: number;
  /** Whether the main thread is behind. */
  isCrowded: boolean;
  /** Whether the kernel has room for blocks. */
  hasRoom: boolean;
  /** The address of a new block. */
  block(content: string | Uint8Array): bigint;
}

export interface FakeCallOptions {
  readonly limits?: LimitsAsked;
  readonly config?: Readonly<Record<string, string>>;
  readonly grant?: Partial<Grant>;
  readonly functionName?: string;
  readonly input?: Uint8Array;
  readonly memory?: Uint8Array;
  readonly randomSeed?: Uint8Array;
  /** Answers what the call asks; without it, asking is a fault of the test. */
  readonly answer?: (operation: OperationName, request: Uint8Array) => HostAnswer;
}

/** A grant of everything, with bounds small enough to be reached. */
export const fakeGrant: Grant = {
  tenant: 'default',
  plugin: 'fake',
  capabilities: capabilityNames,
  http: {
    askedHosts: [],
    targets: [],
    requestBytesMax: 1_000,
    responseBytesMax: 1_000,
    timeoutMsMax: 1_000,
    connectionsMax: 2,
    requestsMax: 10,
    requestsPerSecond: 100,
    redirectsMax: 3,
  },
  kv: { bytesMax: 1_000, keysMax: 10 },
  wasi: { fileBytesMax: 10_000, descriptorsMax: 4, inodesMax: 10, mounts: [] },
  invoke: { plugins: [], depthMax: 3 },
  secrets: [],
};

function noCalls(): Record<CapabilityName, number> {
  return Object.fromEntries(capabilityNames.map((name) => [name, 0])) as Record<CapabilityName, number>;
}

export function fakeCall(options: FakeCallOptions = {}): FakeCall {
  const { limits = {}, config = {} } = options;
  const held = new Map<bigint, Uint8Array>();
  const write = (bytes: Uint8Array): bigint | undefined => {
    if (bytes.length === 0) return 0n;
    if (!call.hasRoom) return undefined;
    const address = BigInt(1048 + 8 * ++made);
    held.set(address, bytes.slice());
    return address;
  };
  let made = 0;
  const call: FakeCall = {
    held,
    blocks: {
      view: (address) => (address === 0n ? new Uint8Array() : held.get(address)),
      write,
      free: (address) => void held.delete(address),
    },
    meters: {
      hostCalls: 0,
      progressEvents: 0,
      progressCoalesced: 0,
      logBytes: 0,
      logLinesDropped: 0,
      calls: noCalls(),
    },
    exits: [],
    exit: (code) => void call.exits.push(code),
    asked: [],
    ask: (operation, request) => {
      call.asked.push({ operation, request });
      if (options.answer === undefined) throw new Error(`Nobody answers "${operation}"`);
      return options.answer(operation, request);
    },
    sleep: (ms) => void call.clock.advance(ms),
    grant: { ...fakeGrant, ...options.grant },
    functionName: options.functionName ?? 'run',
    input: options.input ?? new Uint8Array(),
    memory: options.memory,
    variables: noVariables(),
    randomSeed: options.randomSeed ?? new Uint8Array(),
    sent: [],
    events: {
      get crowded() {
        return call.isCrowded;
      },
      send: (event) => void call.sent.push(event),
    },
    clock: new ManualClock(),
    limits: { ...resolveLimits({}, {}), ...limits },
    config: new Map(Object.entries(config)),
    chargedBytes: 0,
    chargeBytes: (bytes) => {
      call.chargedBytes += bytes;
    },
    stops: [],
    stop: (kind, message) => void call.stops.push({ kind, message }),
    faults: [],
    fault: (error) => void call.faults.push(error),
    isCrowded: false,
    hasRoom: true,
    block: (content) => write(typeof content === 'string' ? encoder.encode(content) : content) ?? 0n,
  };
  return call;
}

/** Calls a host function as a guest would. */
export function callHost(functions: HostFunctions, name: string, ...parameters: readonly (number | bigint)[]): unknown {
  const fn = functions[name] as ((...parameters: readonly (number | bigint)[]) => unknown) | undefined;
  if (fn === undefined) throw new TypeError(`There is no host function "${name}"`);
  return fn(...parameters);
}

/** The text of the block at an address that a host function answered with. */
export function textAt(call: FakeCall, address: unknown): string | undefined {
  const bytes = call.held.get(address as bigint);
  return bytes && Buffer.from(bytes).toString();
}

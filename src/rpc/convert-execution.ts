/** Executions, their events and refusals of the model as messages of ExecutionService. */

import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ExecutionSnapshot, StoredEvent } from '../execution/execution-record.ts';
import {
  type ExecutionEventSchema,
  type ExecutionErrorSchema,
  type ExecutionSchema,
  InstanceSource,
  LogLevel,
  Outcome,
  type RefusalSchema,
  Stage,
  type UsageSchema,
} from '../gen/caisson/v1/execution_pb.ts';
import type { LogLevel as LogLevelName } from '../model/execution.ts';
import type { InstanceSource as InstanceSourceName, OutcomeName, Usage } from '../model/outcome.ts';
import { costTableVersion } from '../wasm/metering/costs.ts';
import type { Refusal } from './details.ts';
import { refusalText, statusCodeNumber } from './status.ts';
import { durationOf, timestampOf } from './wire-time.ts';

const stages = { QUEUED: Stage.QUEUED, RUNNING: Stage.RUNNING, COMPLETED: Stage.COMPLETED } as const;

/** The stages by their numbers on the wire. */
export const stageNames: ReadonlyMap<Stage, keyof typeof stages> = new Map(
  Object.entries(stages).map(([name, stage]) => [stage, name as keyof typeof stages]),
);

const outcomes: Readonly<Record<OutcomeName, Outcome>> = {
  OK: Outcome.OK,
  PLUGIN_ERROR: Outcome.PLUGIN_ERROR,
  TRAP: Outcome.TRAP,
  FUEL_EXHAUSTED: Outcome.FUEL_EXHAUSTED,
  MEMORY_EXHAUSTED: Outcome.MEMORY_EXHAUSTED,
  TIMED_OUT: Outcome.TIMED_OUT,
  CANCELED: Outcome.CANCELED,
  OUTPUT_TOO_LARGE: Outcome.OUTPUT_TOO_LARGE,
  DENIED: Outcome.DENIED,
};

const instanceSources: Readonly<Record<InstanceSourceName, InstanceSource>> = {
  NONE: InstanceSource.UNSPECIFIED,
  CREATED: InstanceSource.CREATED,
  PREPARED: InstanceSource.PREPARED,
  REUSED: InstanceSource.REUSED,
};

const logLevels: Readonly<Record<LogLevelName, LogLevel>> = {
  trace: LogLevel.TRACE,
  debug: LogLevel.DEBUG,
  info: LogLevel.INFO,
  warn: LogLevel.WARN,
  error: LogLevel.ERROR,
};

/** Lists leave the output out. */
export function executionMessage(
  snapshot: ExecutionSnapshot,
  options: { readonly withOutput: boolean },
): MessageInitShape<typeof ExecutionSchema> {
  const { outcome } = snapshot;
  return {
    id: snapshot.id,
    outcome: outcome ? outcomes[outcome.name] : Outcome.UNSPECIFIED,
    ...(outcome?.name === 'OK' && options.withOutput && { output: outcome.output }),
    error: errorMessage(snapshot),
    ...(outcome && { usage: usageMessage(outcome.usage) }),
    stage: stages[snapshot.stage],
    plugin: snapshot.plugin,
    digest: snapshot.digest,
    function: snapshot.function,
    requestId: snapshot.requestId,
    labels: Object.fromEntries(snapshot.labels),
    createTime: timestampOf(snapshot.createdMs),
    ...(snapshot.endedMs !== undefined && { endTime: timestampOf(snapshot.endedMs) }),
    lastSequence: BigInt(snapshot.lastSequence),
  };
}

function errorMessage({
  outcome,
  failure,
}: ExecutionSnapshot): MessageInitShape<typeof ExecutionErrorSchema> | undefined {
  if (failure) return { kind: failure.reason, message: failure.message.toWellFormed() };
  if (outcome === undefined || outcome.name === 'OK') return undefined;
  const { kind, message, guestStack } = outcome.error;
  const frames = guestStack.map((frame) => ({ ...frame, offset: BigInt(frame.offset) }));
  return { kind, message, guestStack: frames };
}

function usageMessage(usage: Usage): MessageInitShape<typeof UsageSchema> {
  return {
    wallDuration: durationOf(usage.wallMs),
    queueDuration: durationOf(usage.queueMs),
    runDuration: durationOf(usage.runMs),
    memoryPeakBytes: BigInt(usage.memoryPeakBytes),
    inputBytes: BigInt(usage.inputBytes),
    outputBytes: BigInt(usage.outputBytes),
    hostCalls: BigInt(usage.hostCalls),
    progressEvents: BigInt(usage.progressEvents),
    progressCoalesced: BigInt(usage.progressCoalesced),
    logBytes: BigInt(usage.logBytes),
    logLinesDropped: BigInt(usage.logLinesDropped),
    fuel: BigInt(usage.fuel),
    fuelIsLowerBound: usage.fuelIsLowerBound,
    fuelCostVersion: costTableVersion,
    hostCallsByCapability: bigints(usage.hostCallsByCapability),
    counters: bigints(usage.counters),
    instanceSource: instanceSources[usage.instanceSource],
  };
}

function bigints(counts: Readonly<Record<string, number>>): Record<string, bigint> {
  return Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, BigInt(count)]));
}

/** `previous` is the sequence of the event before it in the same stream. */
export function eventMessage(
  { sequence, timeMs, event }: StoredEvent,
  stream: { readonly executionId: string; readonly previous: number },
): MessageInitShape<typeof ExecutionEventSchema> {
  return {
    sequence: BigInt(sequence),
    time: timestampOf(timeMs),
    executionId: stream.executionId,
    coalesced: BigInt(sequence - stream.previous - 1),
    event: eventCase(event),
  };
}

type EventCase = NonNullable<MessageInitShape<typeof ExecutionEventSchema>['event']>;

function eventCase(event: StoredEvent['event']): EventCase {
  switch (event.type) {
    case 'stage':
      return { case: 'stage', value: stages[event.stage] };
    case 'progress': {
      const { fraction, message, data } = event;
      return { case: 'progress', value: { message, data, ...(fraction !== undefined && { fraction }) } };
    }
    case 'log':
      return { case: 'log', value: { level: logLevels[event.level], message: event.message } };
    case 'outcome':
      return { case: 'outcome', value: executionMessage(event.execution, { withOutput: true }) };
  }
}

/** What a status would have said, inside a message. */
export function refusalMessage(refusal: Refusal): MessageInitShape<typeof RefusalSchema> {
  const { reason, retryDelayMs } = refusal;
  return {
    code: statusCodeNumber(refusal.code),
    reason,
    message: refusalText(refusal),
    ...(retryDelayMs !== undefined && { retryDelay: durationOf(retryDelayMs) }),
  };
}

/** About how many bytes an execution takes in a list. */
export function listedExecutionBytes({ labels, outcome }: ExecutionSnapshot): number {
  let bytes = factsBytes;
  for (const [key, value] of labels) bytes += Buffer.byteLength(key) + Buffer.byteLength(value) + frameBytes;
  if (outcome === undefined || outcome.name === 'OK') return bytes;
  bytes += Buffer.byteLength(outcome.error.message);
  return outcome.error.guestStack.reduce((sum, frame) => sum + frameBytes + Buffer.byteLength(frame.function), bytes);
}

const factsBytes = 1_024;
const frameBytes = 32;

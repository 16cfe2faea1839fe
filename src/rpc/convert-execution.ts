/**
 * Messages of ExecutionService to and from the model. Requests are checked here
 * for form, every field of them; what needs the plugin is checked by execution/.
 */

import type { MessageInitShape } from '@bufbuild/protobuf';
import { hasControlCharacter } from '../base/text.ts';
import type { ExecutionSnapshot, StoredEvent } from '../execution/execution-record.ts';
import type { ExecutionQuery } from '../execution/execution-store.ts';
import {
  type ExecuteManyRequest,
  type ExecuteRequest,
  type ExecuteStreamRequest,
  type ExecutionEventSchema,
  type ExecutionErrorSchema,
  type ExecutionSchema,
  type Limits,
  type ListExecutionsRequest,
  LogLevel,
  Outcome,
  type RefusalSchema,
  Stage,
  type UsageSchema,
} from '../gen/caisson/v1/execution_pb.ts';
import type { Action, LogLevel as LogLevelName } from '../model/execution.ts';
import { fixedLimits, type LimitsAsked, limitViolations } from '../model/limits.ts';
import type { OutcomeName, Usage } from '../model/outcome.ts';
import { costTableVersion } from '../wasm/metering/costs.ts';
import type { Refusal } from './details.ts';
import { cursorOf, pageSizeOf } from './pages.ts';
import { checkReference } from './references.ts';
import { refusalText, statusCodeNumber } from './status.ts';
import { entryPath, shown, Violations } from './violations.ts';
import { durationOf, millisecondsOf, timestampOf } from './wire-time.ts';

type AnyExecuteRequest = ExecuteRequest | ExecuteStreamRequest | ExecuteManyRequest;

/** Longer than any export that a published module can have. */
const functionNameBytesMax = 255;
const executionIdLengthMax = 64;
const printableAscii = /^[\x20-\x7e]*$/;

/** The action that a request asks for. Throws REQUEST_INVALID or LIMIT_OUT_OF_RANGE naming every wrong field. */
export function actionOf(request: AnyExecuteRequest, options: { readonly requestIdRequired?: boolean } = {}): Action {
  const violations = new Violations();
  checkReference(violations, request.plugin);
  checkFunction(violations, request.function);
  checkConfig(violations, request.config);
  if (options.requestIdRequired === true && request.requestId === '') violations.add('request_id', 'is required');
  checkRequestId(violations, request.requestId);
  checkLabels(violations, request.labels);
  const limits = limitsOf(violations, request.limits);
  const formIsWrong = violations.any;
  violations.addAll(limitViolations(limits));
  violations.throwIfAny(formIsWrong ? 'REQUEST_INVALID' : 'LIMIT_OUT_OF_RANGE');
  return {
    plugin: request.plugin,
    function: request.function,
    // A copy: the bytes are a view into a receive buffer that other calls share.
    input: new Uint8Array(request.input),
    config: new Map(Object.entries(request.config)),
    limits,
    requestId: request.requestId,
    labels: new Map(Object.entries(request.labels)),
  };
}

/** The execution that a request names. */
export function executionIdOf(request: { readonly id: string }): string {
  const violations = new Violations();
  checkExecutionId(violations, request.id);
  violations.throwIfAny();
  return request.id;
}

/** What execution/ is asked for one page. */
export interface ListQuery extends ExecutionQuery {
  /** What the page token is tied to. */
  readonly key: string;
}

/** Throws REQUEST_INVALID naming every wrong field. */
export function executionQueryOf(request: ListExecutionsRequest): ListQuery {
  const violations = new Violations();
  const limit = pageSizeOf(violations, request.pageSize);
  if (request.plugin !== '') checkReference(violations, request.plugin, ['name', 'version']);
  const stage = stageNames.get(request.stage);
  if (stage === undefined && request.stage !== Stage.UNSPECIFIED) {
    violations.add('stage', `must be a known stage, but is ${request.stage}`);
  }
  const key = `executions ${request.plugin} ${request.stage}`;
  const after = cursorOf(violations, key, request.pageToken);
  violations.throwIfAny();
  return {
    key,
    limit,
    ...(request.plugin !== '' && { plugin: request.plugin }),
    ...(stage !== undefined && { stage }),
    ...(after !== undefined && { after }),
  };
}

function checkFunction(violations: Violations, name: string): void {
  if (name === '') violations.add('function', 'is required: the name of an exported function');
  else if (Buffer.byteLength(name) > functionNameBytesMax) {
    violations.add('function', `must have at most ${functionNameBytesMax} bytes`);
  } else if (hasControlCharacter(name)) violations.add('function', 'must not hold control characters');
}

function checkConfig(violations: Violations, config: Readonly<Record<string, string>>): void {
  const { configEntries, configKeyBytes, configValueBytes } = fixedLimits;
  const entries = Object.entries(config);
  if (entries.length > configEntries) {
    return violations.add('config', `must have at most ${configEntries} entries, but has ${entries.length}`);
  }
  for (const [key, value] of entries) {
    if (key === '' || Buffer.byteLength(key) > configKeyBytes) {
      violations.add(entryPath('config', key), `must have a key of 1 to ${configKeyBytes} bytes`);
    }
    if (Buffer.byteLength(value) > configValueBytes) {
      violations.add(entryPath('config', key), `must have a value of at most ${configValueBytes} bytes`);
    }
  }
}

function checkRequestId(violations: Violations, requestId: string): void {
  if (requestId.length <= fixedLimits.requestIdLength && printableAscii.test(requestId)) return;
  violations.add('request_id', `must have at most ${fixedLimits.requestIdLength} printable ASCII characters`);
}

function checkLabels(violations: Violations, labels: Readonly<Record<string, string>>): void {
  const { labels: labelsMax, labelKeyLength, labelValueLength } = fixedLimits;
  const entries = Object.entries(labels);
  if (entries.length > labelsMax) {
    return violations.add('labels', `must have at most ${labelsMax} entries, but has ${entries.length}`);
  }
  for (const [key, value] of entries) {
    const path = entryPath('labels', key);
    if (key === '' || lengthOf(key) > labelKeyLength)
      violations.add(path, `must have a key of 1 to ${labelKeyLength} characters`);
    if (lengthOf(value) > labelValueLength)
      violations.add(path, `must have a value of at most ${labelValueLength} characters`);
    if (hasControlCharacter(key) || hasControlCharacter(value))
      violations.add(path, 'must not hold control characters');
  }
}

/** Characters, not UTF-16 units. */
function lengthOf(text: string): number {
  return Array.from(text).length;
}

/** The limits asked for; zero means not asked. */
function limitsOf(violations: Violations, limits: Limits | undefined): LimitsAsked {
  if (!limits) return {};
  const timeoutMs = limits.timeout && millisecondsOf(limits.timeout);
  if (limits.timeout && timeoutMs === undefined) {
    violations.add('limits.timeout', 'must have nanos from -999999999 to 999999999 of the same sign as seconds');
  }
  return {
    ...(timeoutMs !== undefined && timeoutMs !== 0 && { timeoutMs }),
    ...(limits.fuel !== 0n && { fuel: Number(limits.fuel) }),
    ...(limits.memoryBytes !== 0n && { memoryBytes: Number(limits.memoryBytes) }),
    ...(limits.outputBytes !== 0n && { outputBytes: Number(limits.outputBytes) }),
  };
}

function checkExecutionId(violations: Violations, id: string): void {
  if (id === '') violations.add('id', 'is required: the id of an execution');
  else if (id.length > executionIdLengthMax || !printableAscii.test(id)) {
    violations.add('id', `must be the id of an execution, but is ${shown(id)}`);
  }
}

const stages = { QUEUED: Stage.QUEUED, RUNNING: Stage.RUNNING, COMPLETED: Stage.COMPLETED } as const;

const stageNames: ReadonlyMap<Stage, keyof typeof stages> = new Map(
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
  };
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

/**
 * Requests of ExecutionService into the model. They are checked here for form,
 * every field of them; what needs the plugin is checked by execution/.
 */

import type { Metadata } from '@grpc/grpc-js';
import { hasControlCharacter } from '../base/text.ts';
import type { ExecutionKey, ExecutionQuery } from '../execution/execution-store.ts';
import {
  type ExecuteManyRequest,
  type ExecuteRequest,
  type ExecuteStreamRequest,
  type Limits,
  type ListExecutionsRequest,
  Stage,
} from '../gen/caisson/v1/execution_pb.ts';
import type { Action } from '../model/execution.ts';
import { fixedLimits, type LimitsAsked, limitViolations } from '../model/limits.ts';
import { stageNames } from './convert-execution.ts';
import { cursorOf, pageSizeOf } from './pages.ts';
import { checkReference } from './references.ts';
import { checkTenant } from './tenants.ts';
import { entryPath, shown, Violations } from './violations.ts';
import { millisecondsOf } from './wire-time.ts';

type AnyExecuteRequest = ExecuteRequest | ExecuteStreamRequest | ExecuteManyRequest;

/** Longer than any export that a published module can have. */
const functionNameBytesMax = 255;
const executionIdLengthMax = 64;
const printableAscii = /^[\x20-\x7e]*$/;

/** The action that a request asks for. Throws REQUEST_INVALID or LIMIT_OUT_OF_RANGE naming every wrong field. */
export function actionOf(
  request: AnyExecuteRequest,
  metadata: Metadata,
  options: { readonly requestIdRequired?: boolean } = {},
): Action {
  const violations = new Violations();
  const tenant = checkTenant(violations, metadata);
  checkReference(violations, request.plugin);
  checkFunction(violations, request.function);
  checkConfig(violations, request.config);
  if (options.requestIdRequired === true && request.requestId === '') violations.add('request_id', 'is required');
  checkRequestId(violations, request.requestId);
  checkLabels(violations, request.labels);
  checkRandomSeed(violations, request.randomSeed);
  checkSessionId(violations, request.sessionId);
  const limits = limitsOf(violations, request.limits);
  const formIsWrong = violations.any;
  violations.addAll(limitViolations(limits));
  violations.throwIfAny(formIsWrong ? 'REQUEST_INVALID' : 'LIMIT_OUT_OF_RANGE');
  return {
    tenant,
    plugin: request.plugin,
    function: request.function,
    // A copy: the bytes are a view into a receive buffer that other calls share.
    input: new Uint8Array(request.input),
    config: new Map(Object.entries(request.config)),
    limits,
    requestId: request.requestId,
    labels: new Map(Object.entries(request.labels)),
    randomSeed: new Uint8Array(request.randomSeed),
    sessionId: request.sessionId,
  };
}

/** The execution that a request names, among those of the caller's tenant. */
export function executionKeyOf(request: { readonly id: string }, metadata: Metadata): ExecutionKey {
  const violations = new Violations();
  const tenant = checkTenant(violations, metadata);
  checkExecutionId(violations, request.id);
  violations.throwIfAny();
  return { tenant, id: request.id };
}

/** What execution/ is asked for one page. */
export interface ListQuery extends ExecutionQuery {
  /** What the page token is tied to. */
  readonly key: string;
}

/** Throws REQUEST_INVALID naming every wrong field. */
export function executionQueryOf(request: ListExecutionsRequest, metadata: Metadata): ListQuery {
  const violations = new Violations();
  const tenant = checkTenant(violations, metadata);
  const limit = pageSizeOf(violations, request.pageSize);
  if (request.plugin !== '') checkReference(violations, request.plugin, ['name', 'version']);
  const stage = stageNames.get(request.stage);
  if (stage === undefined && request.stage !== Stage.UNSPECIFIED) {
    violations.add('stage', `must be a known stage, but is ${request.stage}`);
  }
  const key = `executions ${tenant} ${request.plugin} ${request.stage}`;
  const after = cursorOf(violations, key, request.pageToken);
  violations.throwIfAny();
  return {
    key,
    tenant,
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

function checkRandomSeed(violations: Violations, seed: Uint8Array): void {
  if (seed.byteLength <= fixedLimits.randomSeedBytes) return;
  violations.add('random_seed', `must have at most ${fixedLimits.randomSeedBytes} bytes, but has ${seed.byteLength}`);
}

function checkSessionId(violations: Violations, sessionId: string): void {
  if (sessionId.length <= fixedLimits.sessionIdLength && printableAscii.test(sessionId)) return;
  violations.add('session_id', `must have at most ${fixedLimits.sessionIdLength} printable ASCII characters`);
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
    ...(limits.hostCalls !== 0n && { hostCalls: Number(limits.hostCalls) }),
  };
}

function checkExecutionId(violations: Violations, id: string): void {
  if (id === '') violations.add('id', 'is required: the id of an execution');
  else if (id.length > executionIdLengthMax || !printableAscii.test(id)) {
    violations.add('id', `must be the id of an execution, but is ${shown(id)}`);
  }
}

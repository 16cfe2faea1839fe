/**
 * Checks an action against the plugin's version that it names, and resolves what
 * it leaves open. Pure: finding the version is the registry's business, and what
 * it may do the policy's.
 */

import { boundedText, singleLine } from '../base/text.ts';
import { ExecError } from '../model/exec-error.ts';
import type { Action, PreparedAction } from '../model/execution.ts';
import type { Grant } from '../model/grant.ts';
import { cappedLimits, type LimitCaps } from '../model/limit-caps.ts';
import { type RunLimits, resolveLimits } from '../model/limits.ts';
import { type PluginVersion, referenceOf } from '../model/plugin.ts';

/** Names from a module are listed no further than this. */
const listedNamesMax = 20;
const nameBytesMax = 128;

/** What the policy makes of a tenant's runs of a version. */
export interface Permit {
  readonly grant: Grant;
  readonly limitCaps: LimitCaps;
}

/** Throws FUNCTION_NOT_FOUND, FUNCTION_NOT_EXECUTABLE, LIMIT_OUT_OF_RANGE, INPUT_TOO_LARGE or REQUEST_INVALID. */
export function prepareAction(action: Action, version: PluginVersion, permit: Permit): PreparedAction {
  if (!version.functions.includes(action.function)) throw functionRefused(action, version);
  const { grant, limitCaps } = permit;
  const limits = cappedLimits(resolveLimits(action.limits, version.manifest.limits), limitCaps);
  checkInput(action, limits);
  checkSession(action, version);
  return { ...action, version, limits, grant, config: mergedConfig(version.manifest.config, action.config) };
}

function checkSession(action: Action, version: PluginVersion): void {
  const { mode } = version.manifest.instance;
  const isAsked = action.sessionId !== '';
  if (isAsked === (mode === 'session')) return;
  const description = isAsked
    ? `must be empty: ${referenceOf(version)} has instance mode "${mode}", and only "session" has sessions`
    : `is required: ${referenceOf(version)} has instance mode "session"`;
  throw new ExecError('REQUEST_INVALID', `session_id: ${description}`, {
    violations: [{ field: 'session_id', description }],
  });
}

function checkInput(action: Action, limits: RunLimits): void {
  const { byteLength } = action.input;
  if (byteLength <= limits.inputBytes) return;
  throw new ExecError(
    'INPUT_TOO_LARGE',
    `The input has ${byteLength} bytes, more than the ${limits.inputBytes} that the plugin takes`,
    {
      violations: [{ field: 'input', description: `must be at most ${limits.inputBytes} bytes` }],
    },
  );
}

function mergedConfig(
  manifest: Readonly<Record<string, string>>,
  action: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  return new Map([...Object.entries(manifest), ...action]);
}

function functionRefused(action: Action, version: PluginVersion): ExecError {
  const names = version.functions.slice(0, listedNamesMax).map(quoted);
  const more = version.functions.length - names.length;
  const has = names.length === 0 ? 'has none' : `has ${names.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
  const [reason, found] = version.otherFunctions.includes(action.function)
    ? (['FUNCTION_NOT_EXECUTABLE', 'exports, but not as an executable function,'] as const)
    : (['FUNCTION_NOT_FOUND', 'has no function'] as const);
  return new ExecError(reason, `${referenceOf(version)} ${found} ${quoted(action.function)}; to execute, it ${has}`);
}

function quoted(name: string): string {
  return `"${singleLine(boundedText(name, nameBytesMax))}"`;
}

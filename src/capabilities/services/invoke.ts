/**
 * Answers invoke.call: whether the asking run may make the call, and what of its
 * own fuel the call may use. Who carries it out is handed in.
 */

import { boundedText } from '../../base/text.ts';
import { ExecError } from '../../model/exec-error.ts';
import { fixedLimits } from '../../model/limits.ts';
import { nameMatches } from '../../model/name-pattern.ts';
import type { HostAnswer, OperationName } from '../../model/operation.ts';
import type { Outcome } from '../../model/outcome.ts';
import { type InvokeCall, invokeCodes, type InvokeFailure, readInvoke } from '../invoke-requests.ts';
import { deniedAnswer, quoted, type RulesOf } from './denied.ts';
import type { AskingRun, HostService } from './service.ts';
import { untilStopped } from './until-stopped.ts';

export interface InvokeRequest extends InvokeCall {
  /** The most fuel that the call may use, at least 1: what the asking run has left. */
  readonly fuelMax: number;
}

/** Carries out calls. */
export interface Invoker {
  /** Resolves for everything that the called guest did, also when the signal of the asking run stopped it; rejects with an ExecError for what the platform refuses. */
  execute(request: InvokeRequest, run: AskingRun): Promise<Outcome>;
}

/** Times that a plugin may be in a chain of calls: it may call itself, also by way of others, but once. */
const appearancesMax = 2;

const encoder = new TextEncoder();

export class InvokeService implements HostService {
  readonly #invoker: Invoker;
  readonly #rulesOf: RulesOf;

  constructor(invoker: Invoker, rulesOf: RulesOf) {
    this.#invoker = invoker;
    this.#rulesOf = rulesOf;
  }

  async answer(operation: OperationName, request: Uint8Array, run: AskingRun): Promise<HostAnswer> {
    if (operation !== 'invoke.call') throw new TypeError(`"${operation}" is no operation of invoke`);
    run.signal.throwIfAborted();
    const call = readInvoke(request);
    if (call === undefined) return refused('REQUEST_INVALID', 'Plugin and function must be named, in UTF-8');
    if (isDigest(call.plugin)) return refused('REQUEST_INVALID', 'Name the plugin as "name" or "name@version"');
    const name = nameOf(call.plugin);
    if (!isGranted(run, name)) return this.#denied(run, name);
    return forbidden(run, name) ?? (await this.#execute(call, run));
  }

  async #execute(call: InvokeCall, run: AskingRun): Promise<HostAnswer> {
    const request = { ...call, fuelMax: Math.floor(run.fuelLeft) };
    try {
      return answerOf(await untilStopped(run.signal, () => this.#invoker.execute(request, run)), run);
    } catch (error) {
      run.signal.throwIfAborted();
      if (error instanceof ExecError) return refused(error.reason, error.message);
      throw error;
    }
  }

  #denied({ grant }: AskingRun, name: string): HostAnswer {
    const denied = {
      capability: 'invoke',
      wish: `call plugin ${quoted(name)}`,
      manifestLine: `${quoted(name)} in "invoke"`,
      policyLine: `${quoted(name)} in "invoke.plugins"`,
    } as const;
    return deniedAnswer(grant, denied, this.#rulesOf(grant));
  }
}

/** A plugin named by its digest could be one that the chain has already. */
function isDigest(reference: string): boolean {
  return reference.includes(':');
}

function nameOf(reference: string): string {
  const [name = ''] = reference.split('@', 1);
  return name;
}

function isGranted({ grant }: AskingRun, name: string): boolean {
  return grant.invoke.plugins.some((pattern) => nameMatches(pattern, name));
}

/** Why the call may not be made from here, though it is granted; undefined if it may. */
function forbidden({ chain, grant, fuelLeft }: AskingRun, name: string): HostAnswer | undefined {
  const { depthMax } = grant.invoke;
  if (chain.length > depthMax) {
    return refused(
      'INVOKE_DEPTH',
      `Calls nest at most ${depthMax} deep, and this one would be at depth ${chain.length}`,
    );
  }
  if (chain.filter((reference) => nameOf(reference) === name).length >= appearancesMax) {
    return refused('INVOKE_CYCLE', `Plugin ${quoted(name)} is in the chain of calls ${appearancesMax} times already`);
  }
  if (fuelLeft >= 1) return undefined;
  return failed({ outcome: 'FUEL_EXHAUSTED', kind: 'FUEL', message: 'No fuel is left for the call' });
}

function answerOf(outcome: Outcome, { signal, fuelLeft }: AskingRun): HostAnswer {
  // A call that the end of the asking run stopped is no answer for it.
  signal.throwIfAborted();
  const fuel = Math.min(outcome.usage.fuel, fuelLeft);
  if (outcome.name === 'OK') return { code: invokeCodes.ok, payload: outcome.output, fuel };
  const { kind, message } = outcome.error;
  return { ...failed({ outcome: outcome.name, kind, message }), fuel };
}

function refused(kind: InvokeFailure['kind'], message: string): HostAnswer {
  return failed({ outcome: 'REFUSED', kind, message });
}

function failed(failure: InvokeFailure): HostAnswer {
  const message = boundedText(failure.message, fixedLimits.errorMessageBytes);
  return { code: invokeCodes.failed, payload: encoder.encode(JSON.stringify({ ...failure, message })) };
}

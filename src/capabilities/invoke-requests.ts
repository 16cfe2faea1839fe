/** What both halves of capability "invoke" agree on: how a call is written, and how its failure. */

import type { OutcomeKind, OutcomeName } from '../model/outcome.ts';
import type { Reason } from '../model/reasons.ts';
import { exactText } from './guest-text.ts';
import { joinParts, splitParts } from './parts.ts';

/** Bytes of "name@version". */
export const invokedReferenceBytesMax = 255;
export const invokedFunctionBytesMax = 255;

/** Codes of the answer. */
export const invokeCodes = {
  /** The payload is the output. */
  ok: 0,
  /** The payload is an InvokeFailure. */
  failed: 1,
} as const;

export interface InvokeCall {
  /** "name" or "name@version". */
  readonly plugin: string;
  readonly function: string;
  readonly input: Uint8Array;
}

/** How a call failed, sent as JSON. */
export interface InvokeFailure {
  /** REFUSED if it never began, or the host failed. */
  readonly outcome: Exclude<OutcomeName, 'OK'> | 'REFUSED';
  readonly kind: OutcomeKind | Reason | 'INVOKE_DEPTH' | 'INVOKE_CYCLE';
  readonly message: string;
}

export function writeInvoke({ plugin, function: name, input }: InvokeCall): Uint8Array {
  return joinParts(plugin, name, input);
}

/** Undefined if names are not text. */
export function readInvoke(request: Uint8Array): InvokeCall | undefined {
  const [plugin, name, input] = splitParts(request);
  const [reference, functionName] = [plugin, name].map((bytes) => bytes && exactText(bytes));
  if (!reference || !functionName || input === undefined) return undefined;
  return { plugin: reference, function: functionName, input };
}

/**
 * What a call has read of secrets, and how to keep it out of what the call says:
 * log lines, progress and errors pass through here before they are cut.
 */

import { Redactor } from '../base/redaction.ts';
import type { CallContext } from './call-context.ts';

const redactors = new WeakMap<CallContext, Redactor>();

export function rememberSecret(call: CallContext, value: Uint8Array): void {
  const redactor = redactors.get(call) ?? new Redactor();
  redactor.add(value);
  redactors.set(call, redactor);
}

/** The first `lengthMax` bytes of what the guest says, without secrets. The bytes as they are in a call that has read none. */
export function withoutSecrets(call: CallContext, bytes: Uint8Array, lengthMax: number = bytes.length): Uint8Array {
  const redactor = redactors.get(call);
  return redactor === undefined ? bytes.subarray(0, lengthMax) : redactor.bytes(bytes, lengthMax);
}

/** The same for text that is not cut. */
export function textWithoutSecrets(call: CallContext, text: string): string {
  return redactors.get(call)?.text(text) ?? text;
}

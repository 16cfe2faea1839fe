/**
 * What V8 throws when a guest fails, by our names. V8 tells traps apart only by
 * their messages; an unknown one is a TRAP that carries the message.
 */

import { boundedText, singleLine } from '../../base/text.ts';
import { isStackOverflow } from '../../capabilities/stack-overflow.ts';
import type { GuestFrame, OutcomeKind } from '../../model/outcome.ts';
import type { CodeOrigin } from '../../wasm/merge/code-origin.ts';
import { guestStackOf } from './guest-stack.ts';

export interface Trap {
  readonly kind: OutcomeKind;
  readonly message: string;
  readonly guestStack: readonly GuestFrame[];
}

const messageBytesMax = 512;

const forms: readonly (readonly [RegExp, OutcomeKind])[] = [
  [/^unreachable/, 'UNREACHABLE'],
  [/out of bounds|table index/, 'OUT_OF_BOUNDS'],
  [/divide|remainder|unrepresentable/, 'ARITHMETIC'],
  [/signature mismatch|null function|null pointer|illegal cast|null reference/, 'INDIRECT_CALL'],
];

/** The trap behind something thrown by a guest; undefined if it is none, but a fault of the host. */
export function trapOf(thrown: unknown, offsets: CodeOrigin): Trap | undefined {
  if (thrown instanceof WebAssembly.Exception) {
    return { kind: 'UNCAUGHT_EXCEPTION', message: 'The guest threw an exception that nobody caught', guestStack: [] };
  }
  if (thrown instanceof WebAssembly.RuntimeError) return trap(runtimeErrorKind(thrown.message), thrown, offsets);
  if (isStackOverflow(thrown)) return trap('STACK_OVERFLOW', thrown, offsets);
  return undefined;
}

function runtimeErrorKind(message: string): OutcomeKind {
  return forms.find(([form]) => form.test(message))?.[1] ?? 'TRAP';
}

function trap(kind: OutcomeKind, error: Error, offsets: CodeOrigin): Trap {
  const message = `The guest trapped: ${boundedText(singleLine(error.message), messageBytesMax)}`;
  return { kind, message, guestStack: guestStackOf(error, offsets) };
}

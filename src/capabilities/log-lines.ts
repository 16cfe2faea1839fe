/**
 * Lines of log of one call, as many and as long as the limits allow; what is more
 * is dropped and counted. All families that log share what one call may.
 */

import type { LogLevel } from '../model/execution.ts';
import { fixedLimits } from '../model/limits.ts';
import type { CallContext } from './call-context.ts';
import { shownText } from './guest-text.ts';
import { withoutSecrets } from './secrets-read.ts';

const linesKept = new WeakMap<CallContext, number>();

/** Sends the line, or counts it as dropped. Answers whether it was sent. */
export function keepLogLine(call: CallContext, level: LogLevel, bytes: Uint8Array): boolean {
  const isKept = sendIfAllowed(call, level, bytes);
  if (!isKept) call.meters.logLinesDropped++;
  return isKept;
}

function sendIfAllowed(call: CallContext, level: LogLevel, bytes: Uint8Array): boolean {
  const lines = linesKept.get(call) ?? 0;
  if (lines >= fixedLimits.logLines || call.meters.logBytes >= call.limits.logBytes) return false;
  call.chargeBytes(Math.min(bytes.length, fixedLimits.logLineBytes));
  // One byte beyond the bound is enough to see that the line is longer.
  const told = withoutSecrets(call, bytes, fixedLimits.logLineBytes + 1);
  const message = shownText(told, fixedLimits.logLineBytes);
  const messageBytes = Buffer.byteLength(message);
  if (call.meters.logBytes + messageBytes > call.limits.logBytes) return false;
  linesKept.set(call, lines + 1);
  call.meters.logBytes += messageBytes;
  call.events.send({ type: 'log', level, message });
  return true;
}

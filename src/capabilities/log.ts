/** Capability "log": lines of text, as many and as long as the limits allow; what is more is dropped and counted. */

import type { LogLevel } from '../model/execution.ts';
import { fixedLimits } from '../model/limits.ts';
import type { CallContext, HostFunctions } from './call-context.ts';
import { shownText } from './guest-text.ts';

/** Extism's number for "everything". */
const levelTrace = 0;

export function logFunctions(call: CallContext): HostFunctions {
  let lines = 0;

  const keep = (level: LogLevel, bytes: Uint8Array): boolean => {
    if (lines >= fixedLimits.logLines || call.meters.logBytes >= call.limits.logBytes) return false;
    call.chargeBytes(Math.min(bytes.length, fixedLimits.logLineBytes));
    const message = shownText(bytes, fixedLimits.logLineBytes);
    const messageBytes = Buffer.byteLength(message);
    if (call.meters.logBytes + messageBytes > call.limits.logBytes) return false;
    lines++;
    call.meters.logBytes += messageBytes;
    call.events.send({ type: 'log', level, message });
    return true;
  };

  const log = (level: LogLevel, address: bigint): void => {
    const bytes = call.blocks.view(address);
    if (bytes === undefined || !keep(level, bytes)) call.meters.logLinesDropped++;
    call.blocks.free(address);
  };

  return {
    log_trace: (address: bigint) => log('trace', address),
    log_debug: (address: bigint) => log('debug', address),
    log_info: (address: bigint) => log('info', address),
    log_warn: (address: bigint) => log('warn', address),
    log_error: (address: bigint) => log('error', address),
    get_log_level: () => levelTrace,
  };
}

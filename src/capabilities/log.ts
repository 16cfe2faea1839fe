/** Capability "log": lines of text, as many and as long as the limits allow. */

import type { LogLevel } from '../model/execution.ts';
import type { CallContext, HostFunctions } from './call-context.ts';
import { keepLogLine } from './log-lines.ts';

/** Extism's number for "everything". */
const levelTrace = 0;

export function logFunctions(call: CallContext): HostFunctions {
  const log = (level: LogLevel, address: bigint): void => {
    const bytes = call.blocks.view(address);
    if (bytes === undefined) call.meters.logLinesDropped++;
    else keepLogLine(call, level, bytes);
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

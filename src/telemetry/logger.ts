/**
 * The structured logger: JSON lines to stderr, one for each start, stop and
 * failure. What single executions do belongs into spans and events, not here.
 */

import { type DestinationStream, destination, type Logger, pino, stdTimeFunctions } from 'pino';
import type { Log } from '../model/log.ts';
import { loggable } from './loggable.ts';

export type LogThreshold = 'debug' | 'info' | 'warn' | 'error';

export interface LoggerOptions {
  /** Lines below this level are not written. */
  readonly level: LogThreshold;
  /** Where lines go; default stderr. */
  readonly destination?: DestinationStream;
}

const stderr = 2;
/** Lines that nobody reads wait in memory; beyond this they are dropped, so that the server never blocks on its log. */
const waitingBytesMax = 4_194_304;

export function createLog(options: LoggerOptions): Log {
  const lines = options.destination ?? destination({ dest: stderr, sync: false, maxLength: waitingBytesMax });
  return logOf(
    pino(
      {
        level: options.level,
        base: null,
        timestamp: stdTimeFunctions.isoTime,
        messageKey: 'message',
        formatters: { level: (level) => ({ level }) },
        // pino's own would fold the messages of causes into one.
        serializers: { err: (error: unknown) => error },
      },
      lines,
    ),
  );
}

function logOf(logger: Logger): Log {
  const at = (level: LogThreshold) => (fields: object, text: string) => {
    if (logger.isLevelEnabled(level)) logger[level](loggable(fields), text);
  };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => logOf(logger.child(loggable(fields))),
  };
}

/**
 * Tracing as the server uses it: off, which costs nothing and loads nothing, or
 * on, as the OTEL_* environment variables say. The SDK is behind opentelemetry.ts,
 * which is loaded only if tracing is on.
 */

import type { Clock } from '../base/clock.ts';
import type { Log } from '../model/log.ts';
import type { Tracing } from './call-tracing.ts';
import { type Environment, readTraceSettings } from './trace-settings.ts';

export interface TracingOptions {
  readonly environment: Environment;
  readonly serviceVersion: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Undefined if tracing is off. What is wrong in the environment is logged and never fatal. */
export async function startTracing(options: TracingOptions): Promise<Tracing | undefined> {
  const { settings, problems } = readTraceSettings(options.environment);
  for (const problem of problems) options.log.warn({}, problem);
  if (!settings) return undefined;
  const { OpenTelemetryTracing } = await import('./opentelemetry.ts');
  return new OpenTelemetryTracing({ ...options, settings });
}

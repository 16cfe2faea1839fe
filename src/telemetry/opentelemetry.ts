/**
 * Tracing with OpenTelemetry's SDK, set up by hand: no globals but the SDK's own
 * diagnostics, no context manager, no instrumentation. Spans are handed down as
 * values. The only file to import OpenTelemetry.
 */

import { randomUUID } from 'node:crypto';
import {
  type Attributes,
  type Context,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { parseKeyPairsIntoRecord, setGlobalErrorHandler, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { defaultResource, type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ConsoleSpanExporter,
  ParentBasedSampler,
  type Sampler,
  type SpanProcessor,
  SimpleSpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import {
  ATTR_ERROR_TYPE,
  ATTR_RPC_METHOD,
  ATTR_RPC_SYSTEM_NAME,
  ATTR_SERVICE_INSTANCE_ID,
  ATTR_SERVICE_NAME,
  ATTR_SERVICE_VERSION,
} from '@opentelemetry/semantic-conventions';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../model/log.ts';
import type { TraceAttributes, TraceSpan } from '../model/trace.ts';
import type { HeaderReader, Tracing } from './call-tracing.ts';
import type { SamplerSettings, TraceExporter, TraceSettings } from './trace-settings.ts';

const serviceNameDefault = 'caisson';
const shutdownMsMax = 2_000;
const spanLimits = { attributeCountLimit: 64, attributeValueLengthLimit: 1_024, eventCountLimit: 64 };

export interface OpenTelemetryOptions {
  readonly settings: TraceSettings;
  readonly serviceVersion: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** What every span needs of its surroundings. */
interface SpanMaker {
  readonly tracer: Tracer;
  readonly clock: Clock;
}

const headerGetter: TextMapGetter<HeaderReader> = {
  keys: () => [],
  get: (headers, name) => [...headers.get(name)],
};

export class OpenTelemetryTracing implements Tracing {
  readonly #provider: TracerProvider;
  readonly #propagator = new W3CTraceContextPropagator();
  readonly #maker: SpanMaker;
  readonly #log: Log;

  constructor({ settings, serviceVersion, clock, log }: OpenTelemetryOptions) {
    sendDiagnosticsTo(log);
    this.#provider = new TracerProvider({
      resource: resourceOf(settings, serviceVersion),
      sampler: samplerOf(settings.sampler),
      spanLimits,
      spanProcessors: settings.exporters.map((exporter) => processorOf(exporter, settings)),
    });
    this.#maker = { tracer: this.#provider.getTracer('caisson', serviceVersion), clock };
    this.#log = log;
  }

  startCall(path: string, headers: HeaderReader): TraceSpan | undefined {
    const parent = this.#propagator.extract(ROOT_CONTEXT, headers, headerGetter);
    const method = path.slice(1);
    const attributes = { [ATTR_RPC_SYSTEM_NAME]: 'grpc', [ATTR_RPC_METHOD]: method };
    const options = { kind: SpanKind.SERVER, startTime: this.#maker.clock.now(), attributes };
    const span = this.#maker.tracer.startSpan(method, options, parent);
    return span.isRecording() ? new OpenTelemetrySpan(span, this.#maker) : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const late = Promise.withResolvers<void>();
    using _timer = this.#maker.clock.after(shutdownMsMax, late.resolve, { keepAlive: true });
    await Promise.race([this.#shutdown(), late.promise]);
  }

  /** Without a collector the SDK rejects, and only after many seconds. */
  async #shutdown(): Promise<void> {
    try {
      await this.#provider.shutdown();
    } catch (error) {
      this.#log.warn({ error }, 'The last spans could not be sent');
    }
  }
}

class OpenTelemetrySpan implements TraceSpan {
  readonly #span: Span;
  readonly #maker: SpanMaker;
  readonly #context: Context;
  #ended = false;

  constructor(span: Span, maker: SpanMaker) {
    this.#span = span;
    this.#maker = maker;
    this.#context = trace.setSpan(ROOT_CONTEXT, span);
  }

  child(name: string, options: { readonly startMs?: number; readonly attributes?: TraceAttributes } = {}): TraceSpan {
    const startTime = options.startMs ?? this.#maker.clock.now();
    const attributes: Attributes = options.attributes ?? {};
    const span = this.#maker.tracer.startSpan(name, { kind: SpanKind.INTERNAL, startTime, attributes }, this.#context);
    return new OpenTelemetrySpan(span, this.#maker);
  }

  get traceparent(): string {
    const { traceId, spanId, traceFlags } = this.#span.spanContext();
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  }

  set(attributes: TraceAttributes): void {
    if (!this.#ended) this.#span.setAttributes(attributes);
  }

  fail(kind: string): void {
    if (this.#ended) return;
    this.#span.setAttribute(ATTR_ERROR_TYPE, kind);
    this.#span.setStatus({ code: SpanStatusCode.ERROR });
  }

  end(endMs?: number): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#span.end(endMs ?? this.#maker.clock.now());
  }
}

/** The SDK reports failed exports and the like to a global of its own. */
function sendDiagnosticsTo(log: Log): void {
  const warn = (text: string, ...details: unknown[]): void => log.warn({ details }, `OpenTelemetry: ${text}`);
  const silent = (): void => {};
  diag.setLogger(
    { error: warn, warn, info: silent, debug: silent, verbose: silent },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
  setGlobalErrorHandler((error) => log.warn({ error }, 'Spans could not be sent'));
}

function resourceOf(settings: TraceSettings, serviceVersion: string): Resource {
  return defaultResource().merge(
    resourceFromAttributes({
      [ATTR_SERVICE_NAME]: serviceNameDefault,
      [ATTR_SERVICE_VERSION]: serviceVersion,
      [ATTR_SERVICE_INSTANCE_ID]: randomUUID(),
      ...parseKeyPairsIntoRecord(settings.resourceAttributes),
      ...(settings.serviceName !== undefined && { [ATTR_SERVICE_NAME]: settings.serviceName }),
    }),
  );
}

/**
 * Callers are not trusted: where a ratio is asked for, a caller that says its
 * trace is sampled is sampled by that ratio too and cannot force more.
 */
function samplerOf({ root, parentBased, ratio }: SamplerSettings): Sampler {
  const sampler = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
  }[root]();
  if (!parentBased) return sampler;
  return new ParentBasedSampler({ root: sampler, ...(root === 'traceidratio' && { remoteParentSampled: sampler }) });
}

function processorOf(exporter: TraceExporter, settings: TraceSettings): SpanProcessor {
  if (exporter === 'console') return new SimpleSpanProcessor({ exporter: new ConsoleSpanExporter() });
  const headers = parseKeyPairsIntoRecord(settings.otlpHeaders);
  return new BatchSpanProcessor({
    exporter: new OTLPTraceExporter({ url: settings.otlpUrl, headers }),
    ...settings.batch,
  });
}

/**
 * What the OTEL_* environment variables say about tracing, checked and with
 * defaults. Pure; the SDK is not loaded to find out that tracing is off. Unlike
 * the SDK's, our default exporter is none: without a collector nothing is sent.
 */

export type Environment = Readonly<Record<string, string | undefined>>;

export type TraceExporter = 'otlp' | 'console';

/** Which calls are traced. With `parentBased`, a call that brings a trace along follows its caller. */
export interface SamplerSettings {
  readonly root: 'always_on' | 'always_off' | 'traceidratio';
  readonly parentBased: boolean;
  /** Of the root sampler traceidratio: from 0 to 1. */
  readonly ratio: number;
}

interface BatchSettings {
  readonly scheduledDelayMillis: number;
  readonly exportTimeoutMillis: number;
  readonly maxQueueSize: number;
  readonly maxExportBatchSize: number;
}

export interface TraceSettings {
  readonly exporters: readonly TraceExporter[];
  /** Absent if the environment does not say. */
  readonly serviceName: string | undefined;
  /** "key=value" pairs, separated by commas, percent-encoded. */
  readonly resourceAttributes: string;
  readonly otlpUrl: string;
  /** Written as resourceAttributes; later ones win. */
  readonly otlpHeaders: string;
  readonly sampler: SamplerSettings;
  readonly batch: BatchSettings;
}

export interface TraceSettingsReading {
  /** Undefined if tracing is off. */
  readonly settings: TraceSettings | undefined;
  /** What was wrong and what holds instead, for the log. */
  readonly problems: readonly string[];
}

const otlpEndpointDefault = 'http://localhost:4318';
const otlpTracesPath = 'v1/traces';
const batchDefaults: BatchSettings = {
  scheduledDelayMillis: 5_000,
  exportTimeoutMillis: 30_000,
  maxQueueSize: 2_048,
  maxExportBatchSize: 512,
};
/** The exporter sends this many batches at once at most; a flush of more would fail. */
const batchesMax = 30;
const batchNumberMax = 1_000_000;

export function readTraceSettings(environment: Environment): TraceSettingsReading {
  const reader = new EnvironmentReader(environment);
  const settings = read(reader);
  return { settings, problems: reader.problems };
}

function read(reader: EnvironmentReader): TraceSettings | undefined {
  if (reader.text('OTEL_SDK_DISABLED').toLowerCase() === 'true') return undefined;
  const asked = readExporters(reader);
  if (asked.length === 0) return undefined;
  const otlpUrl = readOtlpUrl(reader);
  const exporters = asked.filter((exporter) => exporter !== 'otlp' || otlpUrl !== undefined);
  if (exporters.length === 0) return undefined;
  return {
    exporters,
    serviceName: reader.text('OTEL_SERVICE_NAME') || undefined,
    resourceAttributes: reader.text('OTEL_RESOURCE_ATTRIBUTES'),
    otlpUrl: otlpUrl ?? '',
    otlpHeaders: `${reader.text('OTEL_EXPORTER_OTLP_HEADERS')},${reader.text('OTEL_EXPORTER_OTLP_TRACES_HEADERS')}`,
    sampler: readSampler(reader),
    batch: readBatch(reader),
  };
}

function readExporters(reader: EnvironmentReader): readonly TraceExporter[] {
  const variable = 'OTEL_TRACES_EXPORTER';
  const names = new Set(
    reader
      .text(variable)
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
  );
  names.delete('none');
  return [...names].filter((name): name is TraceExporter => {
    const known = name === 'otlp' || name === 'console';
    if (!known) reader.report(variable, `has the unknown exporter "${name}": use otlp, console or none`);
    return known;
  });
}

/** Undefined, and a problem, if there is no endpoint to send to. */
function readOtlpUrl(reader: EnvironmentReader): string | undefined {
  const protocol = reader.text('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') || reader.text('OTEL_EXPORTER_OTLP_PROTOCOL');
  if (protocol !== '' && protocol !== 'http/protobuf')
    reader.report('OTEL_EXPORTER_OTLP_PROTOCOL', `is "${protocol}", but only http/protobuf is spoken, and used`);
  const own = 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';
  if (reader.text(own) !== '') return reader.url(own, reader.text(own));
  const shared = 'OTEL_EXPORTER_OTLP_ENDPOINT';
  const base = reader.text(shared) || otlpEndpointDefault;
  return reader.url(shared, `${base}${base.endsWith('/') ? '' : '/'}${otlpTracesPath}`);
}

function readSampler(reader: EnvironmentReader): SamplerSettings {
  const variable = 'OTEL_TRACES_SAMPLER';
  const name = reader.text(variable) || 'parentbased_always_on';
  const parentBased = name.startsWith('parentbased_');
  const root = parentBased ? name.slice('parentbased_'.length) : name;
  if (root === 'always_on' || root === 'always_off') return { root, parentBased, ratio: 1 };
  if (root === 'traceidratio') return { root, parentBased, ratio: readRatio(reader) };
  reader.report(variable, `is "${name}", which is no known sampler: parentbased_always_on is used`);
  return { root: 'always_on', parentBased: true, ratio: 1 };
}

function readRatio(reader: EnvironmentReader): number {
  const variable = 'OTEL_TRACES_SAMPLER_ARG';
  const text = reader.text(variable);
  const ratio = text === '' ? 1 : Number(text);
  if (ratio >= 0 && ratio <= 1) return ratio;
  reader.report(variable, `is "${text}" and not a number from 0 to 1: 1 is used`);
  return 1;
}

function readBatch(reader: EnvironmentReader): BatchSettings {
  const queue = reader.count('OTEL_BSP_MAX_QUEUE_SIZE', batchDefaults.maxQueueSize);
  const batch = reader.count('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', batchDefaults.maxExportBatchSize);
  const maxExportBatchSize = Math.min(batch, queue);
  const maxQueueSize = Math.min(queue, batchesMax * maxExportBatchSize);
  if (maxQueueSize < queue)
    reader.report('OTEL_BSP_MAX_QUEUE_SIZE', `is ${queue}, more than ${batchesMax} batches: ${maxQueueSize} is used`);
  return {
    scheduledDelayMillis: reader.count('OTEL_BSP_SCHEDULE_DELAY', batchDefaults.scheduledDelayMillis),
    exportTimeoutMillis: reader.count('OTEL_BSP_EXPORT_TIMEOUT', batchDefaults.exportTimeoutMillis),
    maxQueueSize,
    maxExportBatchSize,
  };
}

/** Reads variables, an empty one being as good as none, and keeps what is wrong with them. */
class EnvironmentReader {
  readonly problems: string[] = [];
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  report(variable: string, problem: string): void {
    this.problems.push(`${variable} ${problem}`);
  }

  text(variable: string): string {
    return this.#environment[variable]?.trim() ?? '';
  }

  /** A whole number from 1. */
  count(variable: string, fallback: number): number {
    const text = this.text(variable);
    if (text === '') return fallback;
    const value = Number(text);
    if (Number.isInteger(value) && value >= 1 && value <= batchNumberMax) return value;
    this.report(variable, `is "${text}" and not a whole number from 1 to ${batchNumberMax}: ${fallback} is used`);
    return fallback;
  }

  /** The text is not quoted: it may hold a password. */
  url(variable: string, text: string): string | undefined {
    const url = URL.parse(text);
    if (url && (url.protocol === 'http:' || url.protocol === 'https:')) return url.href;
    this.report(variable, 'is not an http or https URL: no traces are sent');
    return undefined;
  }
}

import { describe, expect, test } from 'vitest';
import { type Environment, readTraceSettings, type TraceSettings } from '../../../src/telemetry/trace-settings.ts';

const on = { OTEL_TRACES_EXPORTER: 'otlp' };

function settings(environment: Environment): TraceSettings {
  const read = readTraceSettings({ ...on, ...environment });
  expect(read.problems).toEqual([]);
  if (!read.settings) throw new Error('Tracing is off');
  return read.settings;
}

describe('readTraceSettings', () => {
  test.each<[string, Environment]>([
    ['by default', {}],
    ['without exporter', { OTEL_TRACES_EXPORTER: 'none' }],
    ['with an empty exporter', { OTEL_TRACES_EXPORTER: ' ' }],
    ['when disabled', { ...on, OTEL_SDK_DISABLED: 'True' }],
  ])('is off %s', (_when, environment) => {
    expect(readTraceSettings(environment)).toEqual({ settings: undefined, problems: [] });
  });

  test('has the defaults of the specification', () => {
    expect(settings({ OTEL_SDK_DISABLED: 'false', OTEL_SERVICE_NAME: '' })).toEqual({
      exporters: ['otlp'],
      serviceName: undefined,
      resourceAttributes: '',
      otlpUrl: 'http://localhost:4318/v1/traces',
      otlpHeaders: ',',
      sampler: { root: 'always_on', parentBased: true, ratio: 1 },
      batch: { scheduledDelayMillis: 5_000, exportTimeoutMillis: 30_000, maxQueueSize: 2_048, maxExportBatchSize: 512 },
    });
  });

  test('takes several exporters, each once', () => {
    expect(settings({ OTEL_TRACES_EXPORTER: 'otlp, console,otlp' }).exporters).toEqual(['otlp', 'console']);
  });

  test('adds the path to the shared endpoint and takes the one for traces as it is', () => {
    const shared = { OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector:1/base' };
    expect(settings(shared).otlpUrl).toBe('https://collector:1/base/v1/traces');
    expect(settings({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c/' }).otlpUrl).toBe('http://c/v1/traces');
    const own = { ...shared, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://other:2/x' };
    expect(settings(own).otlpUrl).toBe('http://other:2/x');
  });

  test.each([
    ['always_off', undefined, { root: 'always_off', parentBased: false, ratio: 1 }],
    ['parentbased_always_off', undefined, { root: 'always_off', parentBased: true, ratio: 1 }],
    ['traceidratio', '0.5', { root: 'traceidratio', parentBased: false, ratio: 0.5 }],
    ['parentbased_traceidratio', '0', { root: 'traceidratio', parentBased: true, ratio: 0 }],
    ['parentbased_traceidratio', undefined, { root: 'traceidratio', parentBased: true, ratio: 1 }],
  ])('reads the sampler %s with argument %s', (sampler, argument, expected) => {
    const environment = { OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: argument };
    expect(settings(environment).sampler).toEqual(expected);
  });

  test('keeps a batch within the queue', () => {
    const { batch } = settings({
      OTEL_BSP_MAX_QUEUE_SIZE: '100',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      OTEL_BSP_EXPORT_TIMEOUT: '60',
    });
    expect(batch).toEqual({
      scheduledDelayMillis: 50,
      exportTimeoutMillis: 60,
      maxQueueSize: 100,
      maxExportBatchSize: 100,
    });
  });

  test.each<[string, Environment, Partial<TraceSettings> | undefined, RegExp]>([
    ['an exporter', { OTEL_TRACES_EXPORTER: 'zipkin' }, undefined, /unknown exporter "zipkin"/],
    ['a protocol', { OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, { exporters: ['otlp'] }, /only http\/protobuf/],
    [
      'an endpoint',
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://user:password@x' },
      undefined,
      /^OTEL_EXPORTER_OTLP_ENDPOINT is not an/,
    ],
    [
      'an endpoint of traces',
      { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'x' },
      undefined,
      /^OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is/,
    ],
    [
      'a sampler',
      { OTEL_TRACES_SAMPLER: 'jaeger_remote' },
      { sampler: { root: 'always_on', parentBased: true, ratio: 1 } },
      /"jaeger_remote"/,
    ],
    [
      'a ratio',
      { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '5%' },
      { sampler: { root: 'traceidratio', parentBased: false, ratio: 1 } },
      /"5%" and not a number from 0 to 1/,
    ],
    [
      'a number',
      { OTEL_BSP_MAX_QUEUE_SIZE: '-1' },
      {
        batch: {
          scheduledDelayMillis: 5_000,
          exportTimeoutMillis: 30_000,
          maxQueueSize: 2_048,
          maxExportBatchSize: 512,
        },
      },
      /"-1" and not a whole number/,
    ],
    [
      'a queue larger than can be flushed',
      { OTEL_BSP_MAX_QUEUE_SIZE: '65536' },
      {
        batch: {
          scheduledDelayMillis: 5_000,
          exportTimeoutMillis: 30_000,
          maxQueueSize: 15_360,
          maxExportBatchSize: 512,
        },
      },
      /15360 is used/,
    ],
  ])('reports %s that it cannot use, once, and what holds instead', (_what, environment, expected, problem) => {
    const read = readTraceSettings({ ...on, ...environment });
    expect(read.problems).toEqual([expect.stringMatching(problem)]);
    if (expected) expect(read.settings).toMatchObject(expected);
    else expect(read.settings).toBeUndefined();
  });

  test('does not repeat an endpoint, which may hold a password', () => {
    const { problems } = readTraceSettings({ ...on, OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://user:hunter2@x' });
    expect(problems.join()).not.toContain('hunter2');
  });
});

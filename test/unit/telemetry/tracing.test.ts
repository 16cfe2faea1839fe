import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { pooledExecutor } from '../../../src/execution/pooled-executor.ts';
import { traced } from '../../../src/execution/traced.ts';
import { type Log, silentLog } from '../../../src/model/log.ts';
import type { Tracing } from '../../../src/telemetry/call-tracing.ts';
import type { Environment } from '../../../src/telemetry/trace-settings.ts';
import { startTracing } from '../../../src/telemetry/tracing.ts';
import { prepared } from '../execution/fakes.ts';
import { type SinkSpan, startSink } from './otlp-sink.ts';

const path = '/caisson.v1.ExecutionService/Execute';
const traceId = '0af7651916cd43dd8448eb211c80319c';
const parentId = 'b7ad6b7169203331';

const noHeaders = { get: () => [] };

function headers(flags: string, tracestate?: string) {
  const values: Record<string, string> = { traceparent: `00-${traceId}-${parentId}-${flags}` };
  if (tracestate !== undefined) values['tracestate'] = tracestate;
  return { get: (name: string) => (values[name] === undefined ? [] : [values[name]]) };
}

async function start(environment: Environment, log: Log = silentLog): Promise<Tracing> {
  const tracing = await startTracing({ environment, serviceVersion: '1.2.3', clock: systemClock, log });
  if (!tracing) throw new Error('Tracing is off');
  return tracing;
}

function to(url: string, more: Environment = {}): Environment {
  return { OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_ENDPOINT: url, ...more };
}

/** Makes the calls and answers with what the collector got of them. */
async function collected(
  environment: Environment,
  calls: (tracing: Tracing) => void,
  log?: Log,
): Promise<readonly SinkSpan[]> {
  await using sink = await startSink();
  const tracing = await start(to(sink.url, environment), log);
  calls(tracing);
  await tracing[Symbol.asyncDispose]();
  return sink.spans;
}

describe('startTracing', () => {
  test('is off by default, and loads no SDK then', () => {
    const script = `
      const { startTracing } = await import('./src/telemetry/tracing.ts');
      const { systemClock } = await import('./src/base/clock.ts');
      const { silentLog } = await import('./src/model/log.ts');
      const { registerHooks } = await import('node:module');
      const loaded = [];
      registerHooks({ resolve(specifier, context, next) { loaded.push(specifier); return next(specifier, context); } });
      const options = { serviceVersion: '', clock: systemClock, log: silentLog };
      const off = await startTracing({ ...options, environment: {} });
      const loadedOff = loaded.length;
      const on = await startTracing({ ...options, environment: { OTEL_TRACES_EXPORTER: 'otlp' } });
      await on[Symbol.asyncDispose]();
      process.stdout.write(JSON.stringify({ off: off === undefined, loadedOff, sdk: loaded.includes('@opentelemetry/sdk-trace') }));
    `;
    const root = join(import.meta.dirname, '../../..');
    const printed = execFileSync(process.execPath, ['--input-type=module', '--eval', script], { cwd: root });
    expect(JSON.parse(printed.toString())).toEqual({ off: true, loadedOff: 0, sdk: true });
  });

  test('logs what is wrong in the environment, and goes on', async () => {
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (_fields, text) => warnings.push(text) };
    await using _tracing = await start({ OTEL_TRACES_EXPORTER: 'otlp,jaeger' }, log);
    expect(warnings).toEqual(['OTEL_TRACES_EXPORTER has the unknown exporter "jaeger": use otlp, console or none']);
  });
});

describe('Tracing over OTLP', () => {
  test('sends the span of a call and those below it, with their parents and times', async () => {
    const startMs = systemClock.now();
    const spans = await collected({}, (tracing) => {
      const call = tracing.startCall(path, noHeaders);
      const child = call?.child('wasm call echo', {
        startMs: startMs + 10.25,
        attributes: { 'caisson.outcome': 'OK' },
      });
      child?.end(startMs + 20.5);
      child?.child('below').end();
      call?.set({ 'rpc.status_code': 'OK' });
      call?.end();
    });
    const [call, child, below] = [path.slice(1), 'wasm call echo', 'below'].map((name) =>
      spans.find((span) => span.name === name),
    );
    expect(spans).toHaveLength(3);
    expect(call).toMatchObject({ parentId: '', kind: 2, status: 0 });
    expect(call?.attributes).toEqual({
      'rpc.system.name': 'grpc',
      'rpc.method': 'caisson.v1.ExecutionService/Execute',
      'rpc.status_code': 'OK',
    });
    expect(child).toMatchObject({ parentId: call?.spanId, traceId: call?.traceId, kind: 1 });
    expect(child?.attributes).toEqual({ 'caisson.outcome': 'OK' });
    expect(child?.startMs).toBeCloseTo(startMs + 10.25, 2);
    expect(child?.endMs).toBeCloseTo(startMs + 20.5, 2);
    expect(below?.parentId).toBe(child?.spanId);
    expect(call?.startMs).toBeGreaterThanOrEqual(startMs - 0.01);
    expect(call?.endMs).toBeGreaterThanOrEqual(call?.startMs ?? Number.POSITIVE_INFINITY);
  });

  test('continues the trace of the caller, state included', async () => {
    const [span] = await collected({}, (tracing) => tracing.startCall(path, headers('01', 'vendor=1'))?.end());
    expect(span).toMatchObject({ traceId, parentId, traceState: 'vendor=1' });
  });

  test('begins a trace of its own when the caller’s is malformed', async () => {
    const garbled = { get: () => ['00-xyz-1-01'] };
    const [span] = await collected({}, (tracing) => tracing.startCall(path, garbled)?.end());
    expect(span?.parentId).toBe('');
    expect(span?.traceId).not.toBe(traceId);
  });

  test('marks a failed span, keeps the first end, and takes what comes later in silence', async () => {
    const warnings: string[] = [];
    const endMs = systemClock.now() + 5;
    const late = (tracing: Tracing): void => {
      const call = tracing.startCall(path, noHeaders);
      call?.fail('INTERNAL');
      call?.end(endMs);
      call?.set({ late: true });
      call?.fail('LATE');
      call?.end(endMs + 1_000);
    };
    const [span] = await collected({}, late, { ...silentLog, warn: (_fields, text) => warnings.push(text) });
    expect(span).toMatchObject({ status: 2, attributes: { 'error.type': 'INTERNAL' } });
    expect(span?.endMs).toBeCloseTo(endMs, 2);
    expect(span?.attributes).not.toHaveProperty('late');
    expect(warnings).toEqual([]);
  });

  test('says who it is', async () => {
    await using sink = await startSink();
    const environment = to(sink.url, {
      OTEL_SERVICE_NAME: 'my-caisson',
      OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test,service.name=ignored,key=a%2Cb',
      OTEL_EXPORTER_OTLP_HEADERS: 'x-key=one,x-shared=1',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'x-key=two',
    });
    const tracing = await start(environment);
    tracing.startCall(path, noHeaders)?.end();
    await tracing[Symbol.asyncDispose]();
    expect(sink.resource).toMatchObject({
      'service.name': 'my-caisson',
      'service.version': '1.2.3',
      'deployment.environment.name': 'test',
      key: 'a,b',
      'telemetry.sdk.language': 'nodejs',
    });
    expect(sink.requests[0]).toMatchObject({
      path: '/v1/traces',
      headers: { 'x-key': 'two', 'x-shared': '1', 'content-type': 'application/x-protobuf' },
    });
  });

  test('hangs the phases of an execution below its call', async () => {
    const executor = traced(
      pooledExecutor({
        clock: systemClock,
        plugins: { compiled: () => Promise.resolve({} as never) },
        sandboxes: { lease: () => Promise.reject(new Error('no sandbox')) },
        services: { answer: () => Promise.reject(new Error('no service')) },
      }),
    );
    await using sink = await startSink();
    const tracing = await start(to(sink.url));
    const span = tracing.startCall(path, headers('01'));
    if (!span) throw new Error('The call is not traced');
    const context = { id: 'one', signal: new AbortController().signal, stop: () => {}, span, report: () => {} };
    await expect(executor.execute(prepared(), context)).rejects.toThrow('no sandbox');
    span.end();
    await tracing[Symbol.asyncDispose]();
    const [wait, call] = ['queue wait', path.slice(1)].map((name) => sink.spans.find((one) => one.name === name));
    expect(wait).toMatchObject({
      traceId,
      parentId: call?.spanId,
      status: 2,
      attributes: { 'error.type': 'INTERNAL' },
    });
  });
});

describe('Tracing samples', () => {
  const calls = 400;

  async function sampled(environment: Environment, flags?: string): Promise<number> {
    await using tracing = await start({
      OTEL_TRACES_EXPORTER: 'otlp',
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1',
      ...environment,
    });
    let count = 0;
    for (let at = 0; at < calls; at++) {
      const id = (0x1000_0000 + at * 0x9e37_79b1).toString(16).padStart(32, '1').slice(-32);
      const parent = { get: (name: string) => (name === 'traceparent' ? [`00-${id}-${parentId}-${flags}`] : []) };
      if (tracing.startCall(path, flags === undefined ? noHeaders : parent)) count += 1;
    }
    return count;
  }

  test('every call by default, unless its caller says no', async () => {
    expect(await sampled({})).toBe(calls);
    expect(await sampled({}, '01')).toBe(calls);
    expect(await sampled({}, '00')).toBe(0);
  });

  test('by ratio, also where the caller says that its trace is sampled', async () => {
    const ratio = { OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' };
    for (const flags of [undefined, '01']) {
      const count = await sampled(ratio, flags);
      expect(count).toBeGreaterThan(calls * 0.1);
      expect(count).toBeLessThan(calls * 0.45);
    }
    expect(await sampled(ratio, '00')).toBe(0);
  });

  test('nothing or everything, whatever the caller says', async () => {
    expect(await sampled({ OTEL_TRACES_SAMPLER: 'always_off' }, '01')).toBe(0);
    expect(await sampled({ OTEL_TRACES_SAMPLER: 'always_on' }, '00')).toBe(calls);
  });
});

describe('Tracing at its disposal', () => {
  test('waits 2 s at most for a collector that never answers, and does not reject', async () => {
    await using sink = await startSink(0);
    const tracing = await start(to(sink.url));
    tracing.startCall(path, noHeaders)?.end();
    const startMs = systemClock.monotonic();
    await tracing[Symbol.asyncDispose]();
    const tookMs = systemClock.monotonic() - startMs;
    expect(sink.requests).toHaveLength(1);
    expect(tookMs).toBeGreaterThan(1_900);
    expect(tookMs).toBeLessThan(8_000);
  });

  test('logs a collector that refuses, and does not reject', async () => {
    const warnings: string[] = [];
    const log: Log = { ...silentLog, warn: (_fields, text) => warnings.push(text) };
    await using sink = await startSink(400);
    const tracing = await start(to(sink.url), log);
    tracing.startCall(path, noHeaders)?.end();
    await tracing[Symbol.asyncDispose]();
    expect(warnings).toContain('The last spans could not be sent');
  });
});

describe('Tracing while it runs', () => {
  test('sends spans after the delay of a batch, and logs it when they are refused', async () => {
    const refused = Promise.withResolvers<string>();
    const log: Log = { ...silentLog, warn: (_fields, text) => refused.resolve(text) };
    await using sink = await startSink(400);
    await using tracing = await start(to(sink.url, { OTEL_BSP_SCHEDULE_DELAY: '10' }), log);
    tracing.startCall(path, noHeaders)?.end();
    expect(await refused.promise).toBe('Spans could not be sent');
    expect(sink.spans).toHaveLength(1);
  });
});

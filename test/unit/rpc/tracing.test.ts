import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import type { Client } from '../../../src/client/client.ts';
import { ExecutionService } from '../../../src/gen/caisson/v1/execution_pb.ts';
import { Health } from '../../../src/gen/grpc/health/v1/health_pb.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import type { TraceSpan } from '../../../src/model/trace.ts';
import { bindService } from '../../../src/rpc/adapter.ts';
import type { ServiceImplementation } from '../../../src/rpc/service-types.ts';
import type { CallTracer } from '../../../src/rpc/tracing.ts';
import { FakeSpan } from '../execution/fakes.ts';
import { collect, startRpc, streamOf, type TestRpc, until } from '../../helpers/grpc.ts';

class CountingSpan extends FakeSpan {
  ends = 0;

  override end(): void {
    this.ends++;
  }
}

class FakeTracer implements CallTracer {
  readonly spans: CountingSpan[] = [];
  readonly parents: (readonly string[])[] = [];
  sampled = true;

  startCall(path: string, metadata: { get(name: string): readonly string[] }): TraceSpan | undefined {
    this.parents.push(metadata.get('traceparent'));
    if (!this.sampled) return undefined;
    const span = new CountingSpan(path);
    this.spans.push(span);
    return span;
  }
}

type Executions = ServiceImplementation<typeof ExecutionService>;

interface Setup extends AsyncDisposable {
  readonly rpc: TestRpc;
  readonly client: Client<typeof ExecutionService>;
  readonly tracer: FakeTracer;
}

async function setUp(methods: Partial<Executions>): Promise<Setup> {
  const tracer = new FakeTracer();
  const rpc = await startRpc([bindService(ExecutionService, methods as Executions)], { tracer });
  return { rpc, tracer, client: rpc.client(ExecutionService), [Symbol.asyncDispose]: () => rpc[Symbol.asyncDispose]() };
}

const forever = (): Promise<never> => new Promise(() => {});

describe('Tracing of calls', () => {
  test('spans a call that ends well, once, and hands the span to the handler', async () => {
    const seen: unknown[] = [];
    await using setup = await setUp({
      execute: (_, { span }) => {
        seen.push(span);
        return {};
      },
      async *executeMany(requests, { span }) {
        seen.push(span);
        for await (const { requestId } of requests) yield { requestId };
      },
    });
    await setup.client.execute({}, { metadata: { traceparent: '00-1-2-01' } });
    await collect(setup.client.executeMany(streamOf({}, {})));
    await systemClock.sleep(20);
    expect(setup.tracer.spans.map(({ name, ends }) => [name, ends])).toEqual([
      ['/caisson.v1.ExecutionService/Execute', 1],
      ['/caisson.v1.ExecutionService/ExecuteMany', 1],
    ]);
    expect(seen).toEqual(setup.tracer.spans);
    expect(setup.tracer.parents).toEqual([['00-1-2-01'], []]);
    expect(setup.tracer.spans[0]?.attributes).toMatchObject({ 'rpc.status_code': 'OK' });
    expect(setup.tracer.spans[0]?.attributes).toMatchObject({ 'network.peer.address': '127.0.0.1' });
    expect(setup.tracer.spans[0]?.attributes['network.peer.port']).toBeGreaterThan(0);
    expect(setup.tracer.spans[0]?.failure).toBeUndefined();
  });

  test.each([
    ['INTERNAL', 'INTERNAL', 'INTERNAL'],
    ['SHUTTING_DOWN', 'UNAVAILABLE', 'UNAVAILABLE'],
    ['PLUGIN_NOT_FOUND', 'NOT_FOUND', undefined],
  ] as const)('marks the span of a call that ends with %s', async (reason, code, failed) => {
    await using setup = await setUp({
      execute: () => {
        throw new ExecError(reason, 'text');
      },
    });
    await setup.client.execute({}).catch(() => {});
    const [span] = setup.tracer.spans;
    expect(span?.attributes['rpc.status_code']).toBe(code);
    expect(span?.failure).toBe(failed);
    expect(span?.attributes['error.type']).toBe(failed === undefined ? code : undefined);
  });

  test('ends the span of a call that grpc-js ends by itself', async () => {
    let begun = 0;
    await using setup = await setUp({
      execute: () => {
        begun++;
        return forever();
      },
    });
    await setup.client.execute({}, { timeoutMs: 100 }).catch(() => {});
    const canceling = new AbortController();
    const canceled = setup.client.execute({}, { signal: canceling.signal }).catch(() => {});
    await until(() => begun === 2);
    canceling.abort();
    await canceled;
    await until(() => setup.tracer.spans.every(({ ends }) => ends === 1));
    const codes = setup.tracer.spans.map(({ attributes }) => attributes['rpc.status_code']);
    expect(codes).toEqual(['DEADLINE_EXCEEDED', 'CANCELLED']);
  });

  test('leaves calls alone that are not sampled, and those of health and reflection', async () => {
    const seen: unknown[] = [];
    await using setup = await setUp({
      execute: (_, { span }) => {
        seen.push(span);
        return {};
      },
    });
    await setup.rpc.client(Health).check({});
    expect(setup.tracer.parents).toEqual([]);
    setup.tracer.sampled = false;
    await setup.client.execute({});
    expect(setup.tracer.parents).toHaveLength(1);
    expect(seen).toEqual([undefined]);
  });
});

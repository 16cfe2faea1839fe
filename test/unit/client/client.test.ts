/** The client over a real connection, against services that the tests make up. */

import { getEventListeners } from 'node:events';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { CallError } from '../../../src/client/call-error.ts';
import { createClient } from '../../../src/client/client.ts';
import { ExecutionService } from '../../../src/gen/caisson/v1/execution_pb.ts';
import { PluginService } from '../../../src/gen/caisson/v1/plugin_pb.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import { bindService, type ServiceBinding } from '../../../src/rpc/adapter.ts';
import type { CallContext, ServiceImplementation } from '../../../src/rpc/service-types.ts';
import { collect, rejection, startRpc, streamOf, until } from '../../helpers/grpc.ts';

function executions(methods: Partial<ServiceImplementation<typeof ExecutionService>>): ServiceBinding {
  return bindService(ExecutionService, methods as ServiceImplementation<typeof ExecutionService>);
}

function plugins(methods: Partial<ServiceImplementation<typeof PluginService>>): ServiceBinding {
  return bindService(PluginService, methods as ServiceImplementation<typeof PluginService>);
}

async function failure(promise: Promise<unknown>): Promise<CallError> {
  const error = await rejection(promise);
  expect(error).toBeInstanceOf(CallError);
  return error as CallError;
}

describe('The client', () => {
  test('decodes the details of a refusal', async () => {
    await using rpc = await startRpc([
      executions({
        execute: () => {
          throw new ExecError('QUEUE_FULL', 'Full', {
            retryDelayMs: 2_500,
            metadata: { queue: '10' },
            violations: [{ field: 'plugin', description: 'is wrong' }],
          });
        },
      }),
    ]);
    const error = await failure(rpc.client(ExecutionService).execute({}));
    expect(error).toMatchObject({
      name: 'CallError',
      code: 8,
      codeName: 'RESOURCE_EXHAUSTED',
      reason: 'QUEUE_FULL',
      message: expect.stringMatching(/^Full\. /),
      metadata: { queue: '10' },
      violations: [{ field: 'plugin', description: 'is wrong' }],
      retryDelayMs: 2_500,
    });
  });

  test('says UNAVAILABLE without a reason when nobody listens', async () => {
    using client = createClient(ExecutionService, '127.0.0.1:1');
    const error = await failure(client.execute({}));
    expect(error).toMatchObject({ codeName: 'UNAVAILABLE', reason: '', violations: [], retryDelayMs: undefined });
  });

  test('sends metadata and the deadline', async () => {
    const seen: unknown[] = [];
    await using rpc = await startRpc([
      executions({
        execute: (_, { metadata, deadlineMs }) => {
          seen.push(metadata.get('x-key'), deadlineMs - Date.now());
          return {};
        },
      }),
    ]);
    const client = rpc.client(ExecutionService);
    await client.execute({}, { metadata: { 'x-key': 'v' }, timeoutMs: 60_000 });
    await client.execute({});
    expect(seen[0]).toEqual(['v']);
    expect(seen[1]).toBeGreaterThan(30_000);
    expect(seen[1]).toBeLessThan(61_000);
    expect(seen[3]).toBe(Number.POSITIVE_INFINITY);
  });

  test('shortens deadlines that grpc-js would take for past ones', async () => {
    await using rpc = await startRpc([executions({ execute: () => ({ execution: { id: 'x' } }) })]);
    const response = await rpc.client(ExecutionService).execute({}, { timeoutMs: 30 * 86_400_000 });
    expect(response.execution?.id).toBe('x');
  });

  test('leaves no listener on the signal', async () => {
    await using rpc = await startRpc([
      executions({
        execute: () => ({}),
        async *executeStream() {
          yield {};
        },
        async *executeMany() {
          yield {};
        },
      }),
      plugins({ publishPlugin: async () => ({}) }),
    ]);
    const { signal } = new AbortController();
    const client = rpc.client(ExecutionService);
    await client.execute({}, { signal });
    await collect(client.executeStream({}, { signal }));
    for await (const _ of client.executeStream({}, { signal })) break;
    await collect(client.executeMany(streamOf({}), { signal }));
    await rpc.client(PluginService).publishPlugin(streamOf({}), { signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  test('does not begin a call whose signal has aborted', async () => {
    let begun = 0;
    await using rpc = await startRpc([
      executions({
        execute: () => {
          begun++;
          return {};
        },
      }),
    ]);
    const reason = new Error('before');
    const signal = AbortSignal.abort(reason);
    const client = rpc.client(ExecutionService);
    expect(await rejection(client.execute({}, { signal }))).toBe(reason);
    expect(await rejection(collect(client.executeStream({}, { signal })))).toBe(reason);
    await systemClock.sleep(20);
    expect(begun).toBe(0);
  });

  test('cancels all four kinds of calls when the signal aborts, the reason being the cause', async () => {
    let aborted = 0;
    const wait = (signal: AbortSignal): Promise<never> =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted++;
          reject(signal.reason);
        });
      });
    await using rpc = await startRpc([
      executions({
        execute: (_, { signal }) => wait(signal),
        async *executeStream(_, { signal }) {
          yield await wait(signal);
        },
        async *executeMany(_, { signal }) {
          yield await wait(signal);
        },
      }),
      plugins({ publishPlugin: (_, { signal }) => wait(signal) }),
    ]);
    const client = rpc.client(ExecutionService);
    const calls: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => client.execute({}, { signal }),
      (signal) => collect(client.executeStream({}, { signal })),
      (signal) => collect(client.executeMany(silent(), { signal })),
      (signal) => rpc.client(PluginService).publishPlugin(silent(), { signal }),
    ];
    for (const call of calls) {
      const controller = new AbortController();
      const failed = failure(call(controller.signal));
      await systemClock.sleep(50);
      const reason = new Error('enough');
      controller.abort(reason);
      expect(await failed).toMatchObject({ codeName: 'CANCELLED', cause: reason });
    }
    await until(() => aborted === 4);
  });

  test('throws what the iterable of requests threw, not the cancel that follows from it', async () => {
    await using rpc = await startRpc([
      executions({
        async *executeMany(requests) {
          for await (const { requestId } of requests) yield { requestId };
        },
      }),
      plugins({
        async publishPlugin(requests) {
          await collect(requests);
          return new Promise(() => {});
        },
      }),
    ]);
    const own = new RangeError('mine');
    async function* failing(): AsyncGenerator<object> {
      yield {};
      throw own;
    }
    expect(await rejection(collect(rpc.client(ExecutionService).executeMany(failing())))).toBe(own);
    expect(await rejection(rpc.client(PluginService).publishPlugin(failing()))).toBe(own);
  });

  test('throws what cannot be encoded without sending it', async () => {
    await using rpc = await startRpc([executions({ execute: () => ({}) })]);
    const wrong = { limits: { timeout: { nanos: 1.5 } } };
    expect(String(await rejection(rpc.client(ExecutionService).execute(wrong)))).toContain('nanos');
  });

  test('ends the iterable of requests when the call ends before it', async () => {
    let returned = false;
    await using rpc = await startRpc([
      executions({
        async *executeMany(requests) {
          for await (const { requestId } of requests) {
            yield { requestId };
            return;
          }
        },
      }),
    ]);
    async function* endless(): AsyncGenerator<object> {
      try {
        for (;;) {
          yield {};
          await systemClock.sleep(5);
        }
      } finally {
        returned = true;
      }
    }
    await collect(rpc.client(ExecutionService).executeMany(endless()));
    await until(() => returned);
  });

  test('does nothing for a stream that is never read', async () => {
    let begun = 0;
    await using rpc = await startRpc([
      executions({
        async *executeStream() {
          begun++;
          yield {};
        },
      }),
    ]);
    const stream = rpc.client(ExecutionService).executeStream({});
    await systemClock.sleep(50);
    await stream.return();
    expect(begun).toBe(0);
  });

  test('sends its metadata with every kind of call; that of a call wins', async () => {
    const seen: unknown[] = [];
    const keep = ({ metadata }: CallContext): object => {
      seen.push([metadata.get('who')[0], metadata.get('what')[0]]);
      return {};
    };
    await using rpc = await startRpc([
      executions({
        execute: (_, context) => keep(context),
        async *executeStream(_, context) {
          yield keep(context);
        },
        async *executeMany(_, context) {
          yield keep(context);
        },
      }),
    ]);
    using client = createClient(ExecutionService, { address: rpc.address, metadata: { who: 'me', what: 'this' } });
    await client.execute({});
    await collect(client.executeStream({}));
    await collect(client.executeMany(streamOf()));
    await client.execute({}, { metadata: { who: 'you' } });
    expect(seen).toEqual([
      ['me', 'this'],
      ['me', 'this'],
      ['me', 'this'],
      ['you', 'this'],
    ]);
  });

  test('refuses calls once it is disposed', async () => {
    await using rpc = await startRpc([executions({ execute: () => ({}) })]);
    const client = createClient(ExecutionService, { address: rpc.address });
    await client.execute({});
    client[Symbol.dispose]();
    await rejection(client.execute({}));
  });
});

describe('CallError', () => {
  function serviceError(details?: Buffer): ServiceError {
    const metadata = new Metadata();
    if (details) metadata.set('grpc-status-details-bin', details);
    return Object.assign(new Error('5 NOT_FOUND: text'), { code: status.NOT_FOUND, details: 'text', metadata });
  }

  test('survives details that are damaged or missing', () => {
    for (const details of [undefined, Buffer.from([0xff, 0xff]), Buffer.from('hello'), Buffer.alloc(0)]) {
      const error = new CallError(serviceError(details));
      expect(error).toMatchObject({ codeName: 'NOT_FOUND', message: 'text', reason: '', violations: [] });
    }
  });

  test('survives a detail that is damaged', () => {
    // Status.details[0] = Any of ErrorInfo, its value no message.
    const url = Buffer.from('type.googleapis.com/google.rpc.ErrorInfo');
    const any = Buffer.concat([Buffer.from([0x0a, url.length]), url, Buffer.from([0x12, 2, 0xff, 0xff])]);
    const error = new CallError(serviceError(Buffer.concat([Buffer.from([0x1a, any.length]), any])));
    expect(error).toMatchObject({ codeName: 'NOT_FOUND', reason: '' });
  });

  test('names codes that it does not know UNKNOWN', () => {
    const error = new CallError(Object.assign(serviceError(), { code: 99 }));
    expect(error).toMatchObject({ code: 99, codeName: 'UNKNOWN' });
  });

  test('leaves other errors as they are', () => {
    const other = new TypeError('x');
    expect(CallError.from(other, undefined)).toBe(other);
  });
});

async function* silent(): AsyncGenerator<object> {
  yield {};
  await new Promise(() => {});
}

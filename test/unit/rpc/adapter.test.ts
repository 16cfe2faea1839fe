/** The adapter over a real connection, with implementations that the test makes up. */

import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { CallError } from '../../../src/client/call-error.ts';
import { ExecutionService } from '../../../src/gen/caisson/v1/execution_pb.ts';
import { PluginService } from '../../../src/gen/caisson/v1/plugin_pb.ts';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import { reasons } from '../../../src/model/reasons.ts';
import { bindService, type ServiceBinding } from '../../../src/rpc/adapter.ts';
import type { CallContext, ServiceImplementation } from '../../../src/rpc/service-types.ts';
import { collect, emptyFrame, rawCall, rejection, startRpc, streamOf, until } from '../../helpers/grpc.ts';

type Executions = ServiceImplementation<typeof ExecutionService>;
type Plugins = ServiceImplementation<typeof PluginService>;

/** A service of which only the given methods are implemented. */
function executions(methods: Partial<Executions>): ServiceBinding {
  return bindService(ExecutionService, methods as Executions);
}

function plugins(methods: Partial<Plugins>): ServiceBinding {
  return bindService(PluginService, methods as Plugins);
}

async function failure(promise: Promise<unknown>): Promise<CallError> {
  const error = await rejection(promise);
  expect(error).toBeInstanceOf(CallError);
  return error as CallError;
}

function aborted(signal: AbortSignal): Promise<AbortReason> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason), { once: true }));
}

async function* silent(): AsyncGenerator<object> {
  yield {};
  await new Promise(() => {});
}

describe('The adapter', () => {
  test('answers an empty unary call', async () => {
    await using rpc = await startRpc([executions({ execute: () => ({}) })]);
    const response = await rpc.client(ExecutionService).execute({});
    expect(response.$typeName).toBe('caisson.v1.ExecuteResponse');
    expect(response.execution).toBeUndefined();
  });

  test('carries 16 MiB both ways in one message', async () => {
    const input = new Uint8Array(16 * 1_048_576).map((_, index) => index * 31);
    await using rpc = await startRpc([
      executions({ execute: async (request) => ({ execution: { output: request.input } }) }),
    ]);
    const response = await rpc.client(ExecutionService).execute({ input });
    expect(Buffer.compare(response.execution?.output ?? new Uint8Array(), input)).toBe(0);
  });

  test('serves all four kinds of methods', async () => {
    await using rpc = await startRpc([
      executions({
        execute: (request) => ({ execution: { plugin: request.plugin } }),
        async *executeStream(request) {
          for (const letter of request.plugin) yield { event: { executionId: letter } };
        },
        async *executeMany(requests) {
          for await (const request of requests) yield { requestId: request.requestId.toUpperCase() };
        },
      }),
      plugins({
        async publishPlugin(requests) {
          const parts = await collect(requests);
          return { plugin: { sizeBytes: BigInt(parts.length) } };
        },
      }),
    ]);
    const client = rpc.client(ExecutionService);
    expect((await client.execute({ plugin: 'one' })).execution?.plugin).toBe('one');
    const events = await collect(client.executeStream({ plugin: 'abc' }));
    expect(events.map((each) => each.event?.executionId)).toEqual(['a', 'b', 'c']);
    const answers = await collect(client.executeMany(streamOf({ requestId: 'x' }, { requestId: 'y' })));
    expect(answers.map((each) => each.requestId)).toEqual(['X', 'Y']);
    const chunk = { part: { case: 'chunk', value: new Uint8Array([1]) } } as const;
    const published = await rpc.client(PluginService).publishPlugin(streamOf(chunk, chunk, chunk));
    expect(published.plugin?.sizeBytes).toBe(3n);
  });

  test('answers UNIMPLEMENTED for a method that is left out', async () => {
    await using rpc = await startRpc([executions({ execute: () => ({}) })]);
    const error = await failure(rpc.client(ExecutionService).getExecution({ id: 'x' }));
    expect(error.codeName).toBe('UNIMPLEMENTED');
  });

  test('answers UNIMPLEMENTED for a service that it does not have', async () => {
    await using rpc = await startRpc([executions({})]);
    const error = await failure(rpc.client(PluginService).getPlugin({ plugin: 'x' }));
    expect(error.codeName).toBe('UNIMPLEMENTED');
  });

  test('hides what an unknown error says, names an id, and logs the cause under it', async () => {
    const cause = new TypeError('/etc/secret is undefined');
    await using rpc = await startRpc([
      executions({
        execute: () => {
          throw cause;
        },
        async *executeStream() {
          yield {};
          throw cause;
        },
      }),
    ]);
    const client = rpc.client(ExecutionService);
    for (const call of [() => client.execute({}), () => collect(client.executeStream({}))]) {
      const error = await failure(call());
      expect(error.codeName).toBe('INTERNAL');
      const id = /^internal error \(id ([0-9a-f-]{36})\)$/.exec(error.message)?.[1];
      expect(id).toBeDefined();
      expect(error.reason).toBe('INTERNAL');
      expect(error.metadata).toEqual({ error_id: id });
      const line = rpc.lines.find((each) => each.fields['error_id'] === id);
      expect(line).toMatchObject({ level: 'error', fields: { error: cause } });
    }
  });

  test('answers a refusal with its code, details and retry delay, in all four kinds', async () => {
    const refuse = (): never => {
      throw new ExecError('QUEUE_FULL', 'Full', { retryDelayMs: 1_500, metadata: { queue: '1000' } });
    };
    await using rpc = await startRpc([
      executions({ execute: refuse, executeStream: refuse, executeMany: refuse }),
      plugins({ publishPlugin: async () => refuse() }),
    ]);
    const client = rpc.client(ExecutionService);
    const calls = [
      () => client.execute({}),
      () => collect(client.executeStream({})),
      () => collect(client.executeMany(streamOf({}))),
      () => rpc.client(PluginService).publishPlugin(streamOf({})),
    ];
    for (const call of calls) {
      const error = await failure(call());
      expect(error).toMatchObject({
        codeName: 'RESOURCE_EXHAUSTED',
        reason: 'QUEUE_FULL',
        message: expect.stringMatching(/^Full\. The waiting line is full/),
      });
      expect(error).toMatchObject({ retryDelayMs: 1_500, metadata: { queue: '1000' } });
    }
  });

  test('sends the messages before a refusal in the middle of a stream', async () => {
    await using rpc = await startRpc([
      executions({
        async *executeStream() {
          for (let index = 1; index <= 40; index++) yield { event: { sequence: BigInt(index) } };
          throw new ExecError('READER_TOO_SLOW', 'Too slow');
        },
      }),
    ]);
    const seen: bigint[] = [];
    const read = async (): Promise<void> => {
      for await (const { event } of rpc.client(ExecutionService).executeStream({})) seen.push(event?.sequence ?? 0n);
    };
    expect((await failure(read())).reason).toBe('READER_TOO_SLOW');
    expect(seen.length).toBe(40);
  });

  test('sends messages and refusal of a two-way call whose client is silent', async () => {
    await using rpc = await startRpc([
      executions({
        async *executeMany(requests) {
          void collect(requests).catch(() => {});
          for (let index = 0; index < 3; index++) yield { requestId: String(index) };
          throw new ExecError('QUEUE_FULL', 'Full');
        },
      }),
    ]);
    const seen: string[] = [];
    const read = async (): Promise<void> => {
      for await (const { requestId } of rpc.client(ExecutionService).executeMany(silent())) seen.push(requestId);
    };
    expect((await failure(read())).reason).toBe('QUEUE_FULL');
    expect(seen).toEqual(['0', '1', '2']);
  });

  test.each(['a\uD800b', '100 % naïve\r\n\tünïcode ☺ 🙂', '"\\<>^`{|}', ''])(
    'sends the status text %j',
    async (text) => {
      await using rpc = await startRpc([
        executions({
          execute: async () => {
            await systemClock.sleep(1);
            throw new ExecError('PLUGIN_NOT_FOUND', text);
          },
        }),
      ]);
      const error = await failure(rpc.client(ExecutionService).execute({}));
      expect(error.codeName).toBe('NOT_FOUND');
      expect(error.message).toBe(`${text.toWellFormed()}. ${reasons.PLUGIN_NOT_FOUND.help}`);
    },
  );

  test('aborts the signal with CANCELED when the client cancels, before and after the first message', async () => {
    const reasons: string[] = [];
    const contexts: CallContext[] = [];
    const wait = async (context: CallContext): Promise<void> => {
      contexts.push(context);
      reasons.push((await aborted(context.signal)).kind);
    };
    await using rpc = await startRpc([
      executions({
        execute: async (_, context) => {
          await wait(context);
          return {};
        },
        async *executeStream(_, context) {
          yield {};
          await wait(context);
        },
      }),
    ]);
    const client = rpc.client(ExecutionService);
    const canceling = new AbortController();
    const call = failure(client.execute({}, { signal: canceling.signal }));
    await until(() => contexts.length === 1);
    canceling.abort(new Error('enough'));
    const error = await call;
    expect(error.codeName).toBe('CANCELLED');
    expect(error.cause).toEqual(new Error('enough'));
    for await (const _ of client.executeStream({})) break;
    await until(() => reasons.length === 2);
    expect(reasons).toEqual(['CANCELED', 'CANCELED']);
  });

  test.each(['without', 'with'])(
    'aborts the signal with DISCONNECTED when the connection is cut, %s an interceptor',
    async (which) => {
      const reasons: string[] = [];
      let begun = 0;
      const service = executions({
        execute: async (_, { signal }) => {
          begun++;
          reasons.push((await aborted(signal)).kind);
          return {};
        },
      });
      const tracer = { startCall: () => undefined };
      await using rpc = await startRpc([service], which === 'with' ? { tracer } : {});
      using raw = rawCall(rpc.address, ExecutionService.method.execute);
      raw.stream.end(emptyFrame);
      await until(() => begun === 1);
      raw.cut();
      await until(() => reasons.length === 1);
      expect(reasons).toEqual(['DISCONNECTED']);
    },
  );

  test('aborts the signal with DEADLINE when the deadline passes', async () => {
    const reasons: string[] = [];
    let deadlineMs = 0;
    await using rpc = await startRpc([
      executions({
        execute: async (_, context) => {
          deadlineMs = context.deadlineMs;
          reasons.push((await aborted(context.signal)).kind);
          return {};
        },
      }),
    ]);
    const error = await failure(rpc.client(ExecutionService).execute({}, { timeoutMs: 100 }));
    expect(error.codeName).toBe('DEADLINE_EXCEEDED');
    await until(() => reasons.length === 1);
    expect(reasons).toEqual(['DEADLINE']);
    expect(Math.abs(deadlineMs - Date.now())).toBeLessThan(5_000);
  });

  test('does not abort the signal of a call that ended well', async () => {
    const signals: AbortSignal[] = [];
    await using rpc = await startRpc([
      executions({
        execute: (_, { signal }) => {
          signals.push(signal);
          return {};
        },
        async *executeStream(_, { signal }) {
          signals.push(signal);
          yield {};
        },
      }),
    ]);
    const client = rpc.client(ExecutionService);
    await client.execute({});
    await collect(client.executeStream({}));
    await systemClock.sleep(50);
    expect(signals.map((signal) => signal.aborted)).toEqual([false, false]);
  });

  test('aborts the signal of a call whose handler failed, so that nothing it began goes on', async () => {
    const signals: AbortSignal[] = [];
    const contexts: CallContext[] = [];
    await using rpc = await startRpc([
      executions({
        execute: (_, context) => {
          signals.push(context.signal);
          throw new ExecError('QUEUE_FULL', 'Full');
        },
        getExecution: (_, context) => {
          contexts.push(context);
          return {};
        },
      }),
    ]);
    await failure(rpc.client(ExecutionService).execute({}));
    expect(signals[0]?.aborted).toBe(true);
    await rpc.client(ExecutionService).getExecution({});
    // Asked for by work that outlived its call.
    expect(contexts[0]?.signal.aborted).toBe(true);
  });

  test('takes only a few messages from a handler whose client does not read', async () => {
    let made = 0;
    let ended = false;
    await using rpc = await startRpc([
      executions({
        async *executeStream() {
          try {
            for (; made < 100_000; made++) yield { event: { executionId: 'x'.repeat(16_384) } };
          } finally {
            ended = true;
          }
        },
      }),
    ]);
    for await (const _ of rpc.client(ExecutionService).executeStream({})) {
      await systemClock.sleep(300);
      break;
    }
    await until(() => ended, 'the end of the generator');
    expect(made).toBeGreaterThan(0);
    expect(made).toBeLessThan(200);
  });

  test('ends a generator whose client went away while it was waiting for room', async () => {
    let ended = false;
    await using rpc = await startRpc([
      executions({
        async *executeStream() {
          try {
            for (;;) yield { event: { executionId: 'x'.repeat(1_048_576) } };
          } finally {
            ended = true;
          }
        },
      }),
    ]);
    const canceling = new AbortController();
    const stream = rpc.client(ExecutionService).executeStream({}, { signal: canceling.signal });
    await stream.next();
    await systemClock.sleep(100);
    canceling.abort();
    await failure(collect(stream));
    await until(() => ended);
  });

  test('takes no more requests than the handler reads', async () => {
    let sent = 0;
    async function* chunks(): AsyncGenerator<{ part: { case: 'chunk'; value: Uint8Array } }> {
      for (; sent < 2_000; sent++) yield { part: { case: 'chunk', value: new Uint8Array(65_536) } };
    }
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await using rpc = await startRpc([
      plugins({
        async publishPlugin(requests) {
          let count = 0;
          for await (const _ of requests) if (++count === 1) await released;
          return { plugin: { sizeBytes: BigInt(count) } };
        },
      }),
    ]);
    const published = rpc.client(PluginService).publishPlugin(chunks());
    await systemClock.sleep(500);
    const whileHeld = sent;
    release();
    expect((await published).plugin?.sizeBytes).toBe(2_000n);
    expect(whileHeld).toBeLessThan(200);
  });

  test('waits for an upload that comes slowly', async () => {
    await using rpc = await startRpc([
      plugins({
        async publishPlugin(requests) {
          const parts = await collect(requests);
          return { plugin: { sizeBytes: BigInt(parts.length) } };
        },
      }),
    ]);
    async function* slow(): AsyncGenerator<object> {
      for (let index = 0; index < 5; index++) {
        await systemClock.sleep(40);
        yield {};
      }
    }
    const published = await rpc.client(PluginService).publishPlugin(slow());
    expect(published.plugin?.sizeBytes).toBe(5n);
  });

  test('stops an upload with the right status when the handler refuses early', async () => {
    let sent = 0;
    let returned = false;
    async function* chunks(): AsyncGenerator<{ part: { case: 'chunk'; value: Uint8Array } }> {
      try {
        for (; sent < 10_000; sent++) yield { part: { case: 'chunk', value: new Uint8Array(65_536) } };
      } finally {
        returned = true;
      }
    }
    await using rpc = await startRpc([
      plugins({
        async publishPlugin(requests) {
          for await (const _ of requests) throw new ExecError('UPLOADS_FULL', 'Full');
          return {};
        },
      }),
    ]);
    const error = await failure(rpc.client(PluginService).publishPlugin(chunks()));
    expect(error.reason).toBe('UPLOADS_FULL');
    await until(() => returned);
    expect(sent).toBeLessThan(1_000);
  });

  test('answers a two-way call whose handler stops reading', async () => {
    await using rpc = await startRpc([
      executions({
        async *executeMany(requests) {
          for await (const request of requests) {
            yield { requestId: request.requestId };
            break;
          }
          yield { requestId: 'last' };
        },
      }),
    ]);
    async function* endless(): AsyncGenerator<{ requestId: string }> {
      for (;;) yield { requestId: 'again' };
    }
    const answers = await collect(rpc.client(ExecutionService).executeMany(endless()));
    expect(answers.map((each) => each.requestId)).toEqual(['again', 'last']);
  });

  test('ends the request stream with the abort reason when the connection is cut in the middle of it', async () => {
    const ends: unknown[] = [];
    let received = 0;
    await using rpc = await startRpc([
      plugins({
        async publishPlugin(requests) {
          try {
            for await (const _ of requests) received++;
            ends.push('complete');
          } catch (error) {
            ends.push(error);
          }
          return {};
        },
      }),
    ]);
    using raw = rawCall(rpc.address, PluginService.method.publishPlugin);
    raw.stream.write(emptyFrame);
    await until(() => received === 1);
    raw.cut();
    await until(() => ends.length === 1);
    expect(ends[0]).toBeInstanceOf(AbortReason);
    expect((ends[0] as AbortReason).kind).toBe('DISCONNECTED');
    expect(rpc.lines.filter((line) => line.level === 'error')).toEqual([]);
  });

  test('refuses a response that cannot be encoded as INTERNAL, and ends the generator', async () => {
    let ended = false;
    await using rpc = await startRpc([
      executions({
        async *executeStream() {
          try {
            yield { event: { sequence: 'many' as unknown as bigint } };
            yield {};
          } finally {
            ended = true;
          }
        },
      }),
    ]);
    const error = await failure(collect(rpc.client(ExecutionService).executeStream({})));
    expect(error.codeName).toBe('INTERNAL');
    await until(() => ended);
  });

  test('sends the header of a stream before its first message', async () => {
    let release = (): void => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await using rpc = await startRpc([
      executions({
        async *executeStream() {
          await released;
          yield {};
        },
      }),
    ]);
    using raw = rawCall(rpc.address, ExecutionService.method.executeStream);
    raw.stream.end(emptyFrame);
    const headers = await raw.headers;
    expect(headers[':status']).toBe(200);
    release();
    await raw.closed;
  });

  test('does not begin a call whose deadline has passed on arrival', async () => {
    let begun = 0;
    await using rpc = await startRpc([
      executions({
        execute: () => {
          begun++;
          return {};
        },
      }),
    ]);
    using raw = rawCall(rpc.address, ExecutionService.method.execute, { 'grpc-timeout': '0n' });
    raw.stream.end(emptyFrame);
    const headers = await raw.headers;
    await raw.closed;
    expect(headers['grpc-status']).toBe('4');
    expect(begun).toBe(0);
  });

  test('answers undecodable bytes INTERNAL without calling the handler', async () => {
    let begun = 0;
    await using rpc = await startRpc([
      executions({
        execute: () => {
          begun++;
          return {};
        },
      }),
    ]);
    using raw = rawCall(rpc.address, ExecutionService.method.execute);
    raw.stream.end(Buffer.from([0, 0, 0, 0, 4, 0x0a, 0x02, 0xff, 0xfe]));
    const headers = await raw.headers;
    await raw.closed;
    expect(headers['grpc-status']).toBe('13');
    expect(begun).toBe(0);
  });
});

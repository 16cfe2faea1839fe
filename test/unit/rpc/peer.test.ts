/** Calls passed on from one server to another: what the caller sees is what the other one answers. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { afterAll, describe, expect, test } from 'vitest';
import { leaderService } from '../../../src/cluster/leader-service.ts';
import { GetPluginRequestSchema, PluginService } from '../../../src/gen/caisson/v1/plugin_pb.ts';
import { ExecError } from '../../../src/model/exec-error.ts';
import { bindService } from '../../../src/rpc/adapter.ts';
import { ForwardedRefusal } from '../../../src/rpc/forwarded-refusal.ts';
import { RpcPeer } from '../../../src/rpc/peer.ts';
import { RawMessage } from '../../../src/rpc/raw-message.ts';
import type { CallContext, ServiceImplementation } from '../../../src/rpc/service-types.ts';
import { collect, rejection, startRpc, streamOf, until } from '../../helpers/grpc.ts';

type Plugins = ServiceImplementation<typeof PluginService>;

const folder = mkdtempSync(join(tmpdir(), 'caisson-peer-'));
afterAll(() => rmSync(folder, { recursive: true }));
let sockets = 0;

/** A server behind another one, which passes every call on to it. */
async function passing(implementation: Partial<Plugins>) {
  await using owned = new AsyncDisposableStack();
  const address = `unix:${join(folder, `${sockets++}.sock`)}`;
  const back = owned.use(
    await startRpc([bindService(PluginService, implementation as Plugins)], { addresses: [address] }),
  );
  const peer = owned.use(new RpcPeer(address));
  const front = owned.use(await startRpc([bindService(PluginService, leaderService(PluginService, peer))]));
  const client = front.client(PluginService);
  const all = owned.move();
  return { back, front, peer, client, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

const plugin = { name: 'echo', version: '1.0.0' };

describe('A call that is passed on', () => {
  test('brings its request there and its response back, whole', async () => {
    let seen: unknown;
    const manifest = 'x'.repeat(1_000_000);
    await using servers = await passing({
      getPlugin(request, { metadata }) {
        seen = [request.plugin, metadata.get('caisson-tenant')];
        return { plugin: { ...plugin, manifest } };
      },
    });
    const response = await servers.client.getPlugin({ plugin: 'echo' }, { metadata: { 'caisson-tenant': 'acme' } });
    expect(response.plugin?.manifest).toBe(manifest);
    expect(seen).toEqual(['echo', ['acme']]);
  });

  test('brings streams both ways, in order', async () => {
    await using servers = await passing({
      async publishPlugin(requests) {
        let bytes = 0;
        for await (const { part } of requests) if (part.case === 'chunk') bytes += part.value.length;
        return { plugin: { ...plugin, sizeBytes: BigInt(bytes) } };
      },
      async *watchPlugins() {
        for (let index = 0; index < 500; index++) yield { plugin: { ...plugin, version: `${index}.0.0` } };
      },
    });
    const chunks = Array.from({ length: 40 }, () => ({
      part: { case: 'chunk' as const, value: Buffer.alloc(200_000) },
    }));
    const { plugin: published } = await servers.client.publishPlugin(streamOf(...chunks));
    expect(published?.sizeBytes).toBe(8_000_000n);
    const events = await collect(servers.client.watchPlugins({}));
    expect(events.map((event) => event.plugin?.version)).toEqual(Array.from({ length: 500 }, (_, at) => `${at}.0.0`));
  });

  test('is refused with the very status that was made there', async () => {
    const refusing = (): never => {
      throw new ExecError('QUEUE_FULL', 'no "room"\n', {
        retryDelayMs: 1_234,
        metadata: { queue: 'sandboxes' },
        violations: [{ field: 'a', description: 'b' }],
      });
    };
    await using servers = await passing({
      getPlugin: refusing,
      publishPlugin: refusing,
      // oxlint-disable-next-line require-yield
      async *watchPlugins() {
        refusing();
      },
    });
    const direct = await rejection(servers.back.client(PluginService).getPlugin({}));
    expect(direct).toMatchObject({ reason: 'QUEUE_FULL', retryDelayMs: 1_234, metadata: { queue: 'sandboxes' } });
    const { client } = servers;
    expect(await rejection(client.getPlugin({}))).toEqual(direct);
    expect(await rejection(client.publishPlugin(streamOf()))).toEqual(direct);
    expect(await rejection(collect(client.watchPlugins({})))).toEqual(direct);
  });

  test('has the deadline of its caller', async () => {
    let deadlineMs = 0;
    await using servers = await passing({
      async getPlugin(_request, context) {
        ({ deadlineMs } = context);
        return await untilAborted(context);
      },
    });
    const startMs = Date.now();
    const failure = await rejection(servers.client.getPlugin({}, { timeoutMs: 400 }));
    expect(failure).toMatchObject({ codeName: 'DEADLINE_EXCEEDED' });
    expect(Math.abs(deadlineMs - startMs - 400)).toBeLessThan(100);
  });

  test.each(['getPlugin', 'watchPlugins'] as const)('of %s ends there when its caller goes', async (method) => {
    let hasBegun = false;
    let hasEnded = false;
    const waiting = async (context: CallContext): Promise<never> => {
      hasBegun = true;
      try {
        return await untilAborted(context);
      } finally {
        hasEnded = true;
      }
    };
    await using servers = await passing({
      getPlugin: (_request, context) => waiting(context),
      async *watchPlugins(_request, context) {
        yield await waiting(context);
      },
    });
    const going = new AbortController();
    const call =
      method === 'getPlugin'
        ? servers.client.getPlugin({}, { signal: going.signal })
        : collect(servers.client.watchPlugins({}, { signal: going.signal }));
    call.catch(() => {});
    await until(() => hasBegun);
    going.abort();
    await until(() => hasEnded);
  });

  test('with a stream of requests ends there when its caller goes', async () => {
    const ended = Promise.withResolvers<boolean>();
    await using servers = await passing({
      async publishPlugin(requests, { signal }) {
        try {
          for await (const _ of requests);
          // The end of the requests comes before the cancel, and looks regular.
          return await untilAborted({ signal });
        } finally {
          ended.resolve(signal.aborted);
        }
      },
    });
    const going = new AbortController();
    async function* requests() {
      yield { part: { case: 'chunk' as const, value: Buffer.alloc(10) } };
      await new Promise((resolve) => going.signal.addEventListener('abort', resolve));
    }
    const call = servers.client.publishPlugin(requests(), { signal: going.signal });
    call.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    going.abort();
    expect(await ended.promise).toBe(true);
  });

  test('fails with UNAVAILABLE and a delay if nobody is there', async () => {
    await using front = await startRpc([
      bindService(PluginService, leaderService(PluginService, new RpcPeer(`unix:${join(folder, 'nobody.sock')}`))),
    ]);
    expect(await rejection(front.client(PluginService).getPlugin({}))).toMatchObject({
      codeName: 'UNAVAILABLE',
      reason: 'PROCESS_UNAVAILABLE',
      retryDelayMs: 1_000,
    });
  });
});

test('A refusal that was passed on can be read again', async () => {
  await using servers = await passing({
    getPlugin: () => {
      throw new ExecError('QUEUE_FULL', 'no room', { retryDelayMs: 70, metadata: { queue: 'sandboxes' } });
    },
  });
  const { signal } = new AbortController();
  const request = create(GetPluginRequestSchema);
  const { Metadata } = await import('@grpc/grpc-js');
  const call = { metadata: new Metadata(), signal, deadlineMs: Number.POSITIVE_INFINITY, span: undefined };
  const failure = await rejection(servers.peer.unary(PluginService.method.getPlugin, request, call));
  expect(failure).toBeInstanceOf(ForwardedRefusal);
  expect((failure as ForwardedRefusal).refusal).toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
    reason: 'QUEUE_FULL',
    message: expect.stringContaining('no room'),
    metadata: { queue: 'sandboxes' },
    retryDelayMs: 70,
  });
});

test('A response in bytes is sent as it is', async () => {
  await using rpc = await startRpc([
    bindService(PluginService, {
      getPlugin: () => new RawMessage(Buffer.from([0x0a, 0x02, 0x0a, 0x00])),
    } as unknown as Plugins),
  ]);
  expect((await rpc.client(PluginService).getPlugin({})).plugin?.name).toBe('');
});

/** Never resolves; rejects when the call ends. */
function untilAborted({ signal }: Pick<CallContext, 'signal'>): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
}

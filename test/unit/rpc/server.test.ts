/** The server as a whole: addresses, limits, standard services, shutdown. */

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { CallError } from '../../../src/client/call-error.ts';
import { createClient } from '../../../src/client/client.ts';
import { ExecutionService } from '../../../src/gen/caisson/v1/execution_pb.ts';
import { PluginService } from '../../../src/gen/caisson/v1/plugin_pb.ts';
import { Health, HealthCheckResponse_ServingStatus as Status } from '../../../src/gen/grpc/health/v1/health_pb.ts';
import { ServerReflection } from '../../../src/gen/grpc/reflection/v1/reflection_pb.ts';
import { ServerReflection as ServerReflectionAlpha } from '../../../src/gen/grpc/reflection/v1alpha/reflection_pb.ts';
import { AbortReason } from '../../../src/model/abort-reason.ts';
import { bindService, type ServiceBinding } from '../../../src/rpc/adapter.ts';
import { isLoopback } from '../../../src/rpc/listen.ts';
import { messageBytesMax } from '../../../src/rpc/server.ts';
import type { ServiceImplementation } from '../../../src/rpc/service-types.ts';
import { collect, emptyFrame, rawCall, rejection, startRpc, streamOf, until } from '../../helpers/grpc.ts';

type Executions = ServiceImplementation<typeof ExecutionService>;

const root = resolve(import.meta.dirname, '../../..');
const run = promisify(execFile);

function executions(methods: Partial<Executions>): ServiceBinding {
  return bindService(ExecutionService, methods as Executions);
}

async function failure(promise: Promise<unknown>): Promise<CallError> {
  const error = await rejection(promise);
  expect(error).toBeInstanceOf(CallError);
  return error as CallError;
}

function scratch(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'caisson-rpc-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

async function buf(...words: readonly string[]): Promise<string> {
  const { stdout } = await run(join(root, 'node_modules/.bin/buf'), words, { cwd: root });
  return stdout;
}

describe('RpcServer', () => {
  test('reports the ports that it really bound and serves all addresses', async () => {
    using directory = scratch();
    const socket = `unix:${directory.path}/grpc.sock`;
    await using rpc = await startRpc([executions({ execute: () => ({}) })], {
      addresses: ['127.0.0.1:0', 'localhost:0', socket],
    });
    expect(rpc.server.addresses).toHaveLength(3);
    expect(rpc.server.addresses[0]).toMatch(/^127\.0\.0\.1:[1-9]\d*$/);
    expect(rpc.server.addresses[2]).toBe(socket);
    for (const address of rpc.server.addresses) {
      using client = createClient(ExecutionService, address);
      expect((await client.execute({})).$typeName).toBe('caisson.v1.ExecuteResponse');
    }
  });

  test('warns when other machines can reach it, and only then', async () => {
    for (const [address, warnings] of [
      ['0.0.0.0:0', 1],
      ['127.0.0.1:0', 0],
    ] as const) {
      await using rpc = await startRpc([executions({})], { addresses: [address] });
      const texts = rpc.lines.filter(({ level }) => level === 'warn').map(({ text }) => text);
      expect(texts).toEqual(Array.from({ length: warnings }, () => 'Serving other machines without authentication'));
    }
  });

  test('makes its Unix socket for its owner only, and removes it at the end', async () => {
    using directory = scratch();
    const path = join(directory.path, 'grpc.sock');
    await using rpc = await startRpc([executions({})], { addresses: [`unix:${path}`] });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    await rpc.server.shutdown();
    expect(() => statSync(path)).toThrow('ENOENT');
  });

  test('takes over a Unix socket that nobody listens on any more', async () => {
    using directory = scratch();
    const path = join(directory.path, 'grpc.sock');
    const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    await rejection(run(process.execPath, ['-e', script]));
    expect(statSync(path).isSocket()).toBe(true);
    await using rpc = await startRpc([executions({ execute: () => ({}) })], { addresses: [`unix:${path}`] });
    await rpc.client(ExecutionService).execute({});
  });

  test('refuses a Unix socket that somebody listens on, and a path that is no socket', async () => {
    using directory = scratch();
    const path = join(directory.path, 'grpc.sock');
    const other = createServer().listen(path);
    await new Promise((done) => other.once('listening', done));
    const busy = await rejection(startRpc([executions({})], { addresses: [`unix:${path}`] }));
    expect(String(busy)).toContain(`Cannot listen on "unix:${path}"`);
    other.close();
    const file = join(directory.path, 'file');
    writeFileSync(file, 'precious');
    await rejection(startRpc([executions({})], { addresses: [`unix:${file}`] }));
    expect(statSync(file).size).toBe(8);
  });

  test('keeps no address bound when one of them cannot be', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await new Promise((done) => taken.once('listening', done));
    const { port } = taken.address() as { port: number };
    using directory = scratch();
    const path = join(directory.path, 'grpc.sock');
    await rejection(startRpc([executions({})], { addresses: [`unix:${path}`, `127.0.0.1:${port}`] }));
    await until(() => {
      try {
        return !statSync(path);
      } catch {
        return true;
      }
    });
    taken.close();
  });

  test('refuses a message beyond its limit without calling the handler', async () => {
    let begun = 0;
    await using rpc = await startRpc([
      executions({
        execute: () => {
          begun++;
          return {};
        },
      }),
    ]);
    const { Client, credentials } = await import('@grpc/grpc-js');
    const raw = new Client(rpc.address, credentials.createInsecure());
    const asIs = (bytes: Buffer): Buffer => bytes;
    const code = await new Promise((done) => {
      const path = '/caisson.v1.ExecutionService/Execute';
      raw.makeUnaryRequest(path, asIs, asIs, Buffer.alloc(messageBytesMax + 1), (error) => done(error?.code));
    });
    raw.close();
    expect(code).toBe(8);
    expect(begun).toBe(0);
  });

  test('lets a client have only so many calls at once, the others wait', async () => {
    let atOnce = 0;
    let most = 0;
    await using rpc = await startRpc(
      [
        executions({
          execute: async () => {
            most = Math.max(most, ++atOnce);
            await systemClock.sleep(20);
            atOnce--;
            return {};
          },
        }),
      ],
      { concurrentStreamsMax: 3 },
    );
    const client = rpc.client(ExecutionService);
    await client.execute({});
    await Promise.all(Array.from({ length: 12 }, () => client.execute({})));
    expect(most).toBe(3);
  });

  test('answers health per service and for the whole, NOT_SERVING until told otherwise', async () => {
    await using rpc = await startRpc([executions({})]);
    const health = rpc.client(Health);
    expect((await health.check({})).status).toBe(Status.NOT_SERVING);
    rpc.server.health.setServing(true);
    expect((await health.check({ service: 'caisson.v1.ExecutionService' })).status).toBe(Status.SERVING);
    const { statuses } = await health.list({});
    expect(Object.keys(statuses).sort()).toEqual(['', 'caisson.v1.ExecutionService']);
    const error = await failure(health.check({ service: 'no\u0007such' }));
    expect(error).toMatchObject({ codeName: 'NOT_FOUND', reason: 'SERVICE_NOT_FOUND' });
    expect(error.message).toContain('"no\\u0007such"');
  });

  test('streams changes of health, also of services it does not know', async () => {
    await using rpc = await startRpc([executions({})]);
    const known = rpc.client(Health).watch({ service: '' });
    const unknown = rpc.client(Health).watch({ service: 'x' });
    expect((await known.next()).value?.status).toBe(Status.NOT_SERVING);
    expect((await unknown.next()).value?.status).toBe(Status.SERVICE_UNKNOWN);
    rpc.server.health.setServing(true);
    expect((await known.next()).value?.status).toBe(Status.SERVING);
    await Promise.all([known.return(), unknown.return()]);
  });

  test('lists its services to buf curl through reflection', async () => {
    await using rpc = await startRpc([executions({}), bindService(PluginService, {} as never)]);
    const words = ['curl', '--protocol', 'grpc', '--http2-prior-knowledge'];
    const services = await buf(...words, '--list-services', `http://${rpc.address}`);
    expect(services.trim().split('\n').sort()).toEqual([
      'caisson.v1.ExecutionService',
      'caisson.v1.PluginService',
      'grpc.health.v1.Health',
      'grpc.reflection.v1.ServerReflection',
      'grpc.reflection.v1alpha.ServerReflection',
    ]);
    const methods = await buf(...words, '--list-methods', `http://${rpc.address}`);
    expect(methods).toContain('caisson.v1.PluginService/WatchPlugins');
  });

  test('is called by buf curl with nothing but reflection', async () => {
    await using rpc = await startRpc([
      executions({ execute: (request) => ({ execution: { plugin: request.plugin, output: request.input } }) }),
    ]);
    const url = `http://${rpc.address}/caisson.v1.ExecutionService/Execute`;
    const data = '{"plugin":"greet","input":"aGk="}';
    const output = await buf('curl', '--protocol', 'grpc', '--http2-prior-knowledge', '-d', data, url);
    expect(JSON.parse(output)).toEqual({ execution: { plugin: 'greet', output: 'aGk=' } });
  });

  test('answers every question of reflection, in both versions', async () => {
    await using rpc = await startRpc([executions({})]);
    for (const service of [ServerReflection, ServerReflectionAlpha]) {
      const questions = streamOf(
        { messageRequest: { case: 'fileByFilename', value: 'caisson/v1/execution.proto' } },
        { messageRequest: { case: 'fileContainingSymbol', value: 'caisson.v1.Execution.labels' } },
        { messageRequest: { case: 'fileContainingSymbol', value: 'caisson.v1.OUTCOME_OK' } },
        { messageRequest: { case: 'fileContainingSymbol', value: 'google.rpc.ErrorInfo' } },
        { messageRequest: { case: 'fileContainingSymbol', value: 'caisson.v1.ExecutionService.Execute' } },
        { messageRequest: { case: 'fileContainingSymbol', value: 'caisson.v1.None' } },
        { messageRequest: { case: 'allExtensionNumbersOfType', value: 'caisson.v1.Execution' } },
        {
          messageRequest: {
            case: 'fileContainingExtension',
            value: { containingType: 'caisson.v1.Execution', extensionNumber: 1 },
          },
        },
        { host: 'h', messageRequest: { case: undefined } },
      ) as AsyncGenerator<never>;
      const answers = await collect(rpc.client(service).serverReflectionInfo(questions));
      expect(answers.map((answer) => answer.messageResponse.case)).toEqual([
        'fileDescriptorResponse',
        'fileDescriptorResponse',
        'fileDescriptorResponse',
        'fileDescriptorResponse',
        'fileDescriptorResponse',
        'errorResponse',
        'allExtensionNumbersResponse',
        'errorResponse',
        'errorResponse',
      ]);
      const [first] = answers;
      const files = first?.messageResponse.case === 'fileDescriptorResponse' ? first.messageResponse.value : undefined;
      // The file itself, Duration and Timestamp.
      expect(files?.fileDescriptorProto).toHaveLength(3);
      expect(answers.at(-1)?.validHost).toBe('h');
    }
  });

  test('offers no reflection when that is switched off', async () => {
    await using rpc = await startRpc([executions({})], { reflection: false });
    const error = await failure(collect(rpc.client(ServerReflection).serverReflectionInfo(streamOf({}))));
    expect(error.codeName).toBe('UNIMPLEMENTED');
  });
});

describe('RpcServer, shutting down', () => {
  test('ends an open Watch within the grace, with NOT_SERVING, UNAVAILABLE and RetryInfo', async () => {
    await using rpc = await startRpc([executions({})]);
    rpc.server.health.setServing(true);
    const watch = rpc.client(Health).watch({});
    expect((await watch.next()).value?.status).toBe(Status.SERVING);
    const began = Date.now();
    const stopped = rpc.server.shutdown({ graceMs: 20_000 });
    expect((await watch.next()).value?.status).toBe(Status.NOT_SERVING);
    const error = await failure(watch.next());
    expect(error).toMatchObject({ codeName: 'UNAVAILABLE', reason: 'SHUTTING_DOWN', retryDelayMs: 1_000 });
    await stopped;
    expect(Date.now() - began).toBeLessThan(5_000);
  });

  test('ends an idle reflection stream', async () => {
    await using rpc = await startRpc([executions({})]);
    async function* idle(): AsyncGenerator<object> {
      yield { messageRequest: { case: 'listServices', value: '' } };
      await new Promise(() => {});
    }
    const answers = rpc.client(ServerReflection).serverReflectionInfo(idle());
    await answers.next();
    const began = Date.now();
    const stopped = rpc.server.shutdown({ graceMs: 20_000 });
    expect((await failure(answers.next())).codeName).toBe('UNAVAILABLE');
    await stopped;
    expect(Date.now() - began).toBeLessThan(5_000);
  });

  test('serves on during the delay, then lets running calls end within the grace', async () => {
    let begun = 0;
    await using rpc = await startRpc([
      executions({
        execute: async () => {
          begun++;
          await systemClock.sleep(300);
          return { execution: { id: 'done' } };
        },
      }),
    ]);
    const client = rpc.client(ExecutionService);
    const health = rpc.client(Health);
    rpc.server.health.setServing(true);
    await health.check({});
    const stopped = rpc.server.shutdown({ delayMs: 200, graceMs: 20_000 });
    expect((await health.check({})).status).toBe(Status.NOT_SERVING);
    const running = client.execute({});
    await until(() => begun === 1);
    expect((await running).execution?.id).toBe('done');
    await stopped;
    expect((await failure(client.execute({}))).codeName).toBe('UNAVAILABLE');
  });

  test('turns away a call that was opened before but asked after the shutdown began', async () => {
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
    raw.stream.write(emptyFrame);
    await systemClock.sleep(50);
    const stopped = rpc.server.shutdown({ graceMs: 20_000 });
    expect(rpc.server.draining.aborted).toBe(true);
    raw.stream.end();
    expect((await raw.headers)['grpc-status']).toBe('14');
    await stopped;
    expect(begun).toBe(0);
  });

  test('aborts what the grace did not suffice for with SHUTDOWN, and tells the client', async () => {
    const kinds: string[] = [];
    await using rpc = await startRpc([
      executions({
        execute: (_, { signal }) =>
          new Promise((_resolve, reject) => {
            signal.addEventListener('abort', () => {
              kinds.push((signal.reason as AbortReason).kind);
              reject(signal.reason);
            });
            kinds.push('begun');
          }),
      }),
    ]);
    const call = failure(rpc.client(ExecutionService).execute({}));
    await until(() => kinds.length === 1);
    await rpc.server.shutdown({ graceMs: 50 });
    expect(await call).toMatchObject({ codeName: 'UNAVAILABLE', reason: 'SHUTTING_DOWN', retryDelayMs: 1_000 });
    expect(kinds).toEqual(['begun', 'SHUTDOWN']);
  });

  test('closes connections whose calls ignore their signal', async () => {
    let begun = 0;
    await using rpc = await startRpc([
      executions({
        execute: () => {
          begun++;
          return new Promise(() => {});
        },
      }),
    ]);
    const call = failure(rpc.client(ExecutionService).execute({}));
    await until(() => begun === 1);
    await rpc.server.shutdown();
    expect((await call).code).not.toBe(0);
  });

  test('is cut short by forceShutdown', async () => {
    let begun = 0;
    await using rpc = await startRpc([
      executions({
        execute: (_, { signal }) => {
          begun++;
          return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        },
      }),
    ]);
    const call = failure(rpc.client(ExecutionService).execute({}));
    await until(() => begun === 1);
    const began = Date.now();
    const stopped = rpc.server.shutdown({ delayMs: 60_000, graceMs: 60_000 });
    rpc.server.forceShutdown();
    await stopped;
    expect(Date.now() - began).toBeLessThan(10_000);
    expect((await call).code).not.toBe(0);
  });

  test('happens once, however often it is asked for', async () => {
    await using rpc = await startRpc([executions({})]);
    expect(rpc.server.shutdown()).toBe(rpc.server.shutdown({ graceMs: 5 }));
    await rpc.server.shutdown();
    expect(rpc.server.draining.aborted).toBe(true);
    expect(rpc.server.draining.reason).toBeInstanceOf(AbortReason);
    expect(rpc.lines.map((line) => line.text)).toContain('Stopped serving gRPC');
  });
});

describe('isLoopback', () => {
  test.each([
    ['127.0.0.1:50051', true],
    ['127.9.8.7:1', true],
    ['[::1]:50051', true],
    ['[::ffff:127.0.0.1]:1', true],
    ['localhost:0', true],
    ['LocalHost:0', true],
    ['unix:/run/caisson.sock', true],
    ['0.0.0.0:50051', false],
    ['[::]:50051', false],
    ['10.0.0.1:1', false],
    ['[::ffff:10.0.0.1]:1', false],
    ['example.org:1', false],
    ['127.0.0.1.example.org:1', false],
    ['localhost.example.org:1', false],
    ['127.0.0.1', false],
    [':50051', false],
    ['', false],
  ])('says of %j: %s', (address, expected) => {
    expect(isLoopback(address)).toBe(expected);
  });
});

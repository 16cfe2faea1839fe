/** A traced call: the guest's own spans, its requests and its calls of other plugins, as a collector gets them. */

import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { Outcome } from '../../src/gen/caisson/v1/execution_pb.ts';
import { httpGuest, invokeGuest, publishGuest } from '../helpers/capability-guests.ts';
import { clientsOf, run } from '../helpers/plugins.ts';
import { everybody, writePolicy } from '../helpers/policies.ts';
import { startServer } from '../helpers/server.ts';
import { type SinkSpan, startSink } from '../unit/telemetry/otlp-sink.ts';

const traceId = '0af7651916cd43dd8448eb211c80319c';
const callerId = 'b7ad6b7169203331';
const serverSpan = 'caisson.v1.ExecutionService/Execute';

/** Opens one span in another, with an attribute, and leaves a third one open. */
const spansGuest = {
  capabilities: ['spans'],
  body: `
  (data (i32.const 0) "outerinnerleftkeyvalue")
  (func $word (param $from i32) (param $length i32) (result i64) (local $block i64) (local $i i32)
    (local.set $block (call $alloc (i64.extend_i32_u (local.get $length))))
    (loop $next
      (call $store_u8 (i64.add (local.get $block) (i64.extend_i32_u (local.get $i)))
        (i32.load8_u (i32.add (local.get $from) (local.get $i))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $length))))
    (local.get $block))
  (func (export "run") (local $outer i64) (local $inner i64)
    (local.set $outer (call $span_start (call $word (i32.const 0) (i32.const 5))))
    (local.set $inner (call $span_start (call $word (i32.const 5) (i32.const 5))))
    (call $span_set (local.get $inner) (call $word (i32.const 14) (i32.const 3)) (call $word (i32.const 17) (i32.const 5)))
    (call $span_end (local.get $inner))
    (call $span_end (local.get $outer))
    (drop (call $span_start (call $word (i32.const 10) (i32.const 4)))))`,
} as const;

test('A traced call shows what its guest did, all below the caller’s span', async () => {
  const asked: IncomingHttpHeaders[] = [];
  const target: Server = createServer((request, response) => {
    asked.push(request.headers);
    response.end('ok');
  });
  await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve));
  const { port } = target.address() as AddressInfo;
  const http = { targets: [{ host: '127.0.0.1', scheme: 'http', port, private: true }] };
  using policy = writePolicy(() => [{ ...everybody, capabilities: [...everybody.capabilities, 'http'], http }]);
  await using sink = await startSink();
  {
    await using server = await startServer({
      examples: false,
      arguments: ['--policy', policy.path],
      environment: { OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_ENDPOINT: sink.url },
    });
    using clients = clientsOf(server.address);
    await publishGuest(clients, 'spans', spansGuest);
    await publishGuest(clients, 'http', httpGuest, { more: { allowed_hosts: ['127.0.0.1'] } });
    await publishGuest(clients, 'invoke', invokeGuest, { more: { invoke: ['*'] } });
    const traced = { metadata: { traceparent: `00-${traceId}-${callerId}-01` } };
    const lines = (...texts: readonly string[]) => Buffer.from(texts.join('\n'));
    const requests = [
      { plugin: 'spans', function: 'run' },
      { plugin: 'http', function: 'status', input: lines(`{"url": "http://127.0.0.1:${port}/"}`) },
      { plugin: 'invoke', function: 'call', input: lines('spans', 'run') },
    ];
    for (const request of requests) expect((await run(clients, request, traced)).outcome).toBe(Outcome.OK);
  }
  target.closeAllConnections();
  await new Promise((resolve) => target.close(resolve));

  const mine = sink.spans.filter((span) => span.traceId === traceId);
  const byId = new Map(mine.map((span) => [span.spanId, span]));
  const named = (name: string): readonly SinkSpan[] => mine.filter((span) => span.name === name);
  const parentOf = (span: SinkSpan | undefined): string => byId.get(span?.parentId ?? '')?.name ?? 'none';

  expect(named(serverSpan).map(({ parentId }) => parentId)).toEqual([callerId, callerId, callerId]);
  // Once by itself and once called by another plugin.
  expect(named('outer').length).toBe(2);
  expect(named('inner').map(({ attributes }) => attributes)).toEqual([{ key: 'value' }, { key: 'value' }]);
  expect(named('left').map(parentOf)).toEqual([serverSpan, serverSpan]);
  expect(named('inner').map(parentOf)).toEqual(['outer', 'outer']);
  const [request] = named('http GET 127.0.0.1');
  expect(request?.attributes['http.response.status_code']).toBe('200');
  expect(asked[0]?.['traceparent']).toBe(`00-${traceId}-${request?.spanId}-01`);
});

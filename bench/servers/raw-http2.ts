/**
 * The floor in Node: node:http2 answering gRPC frames by hand. Answers Execute
 * with the input as the output.
 */

import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { grpcFrame, MessageReader } from '../wire/grpc-messages.ts';
import { echoResponse } from './echo-response.ts';
import { sayReady } from './edge.ts';

function answer(stream: ServerHttp2Stream): void {
  const messages = new MessageReader();
  stream.on('data', (chunk: Buffer) =>
    messages.push(chunk, (message) => respond(stream, grpcFrame(echoResponse(message)))),
  );
  // Whoever cancels a call is not a failure of the server.
  stream.on('error', () => {});
}

function respond(stream: ServerHttp2Stream, body: Buffer): void {
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.end(body);
}

const server: Http2Server = createServer({ settings: { maxConcurrentStreams: 1_000 } });
server.on('stream', answer);
server.listen(0, '127.0.0.1', () => sayReady((server.address() as AddressInfo).port));
process.once('SIGTERM', () => process.exit());

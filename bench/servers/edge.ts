/**
 * The gRPC edge of the Node baselines: grpc-js with protobuf-es, encoding and
 * decoding as Caisson's own adapter does, and nothing else. A baseline hands in how
 * it runs a function, and everything before and after is alike.
 */

import { create, type DescMessage, type DescMethod, fromBinary, type Message, toBinary } from '@bufbuild/protobuf';
import { type MethodDefinition, Server, ServerCredentials, type UntypedHandleCall } from '@grpc/grpc-js';
import {
  type ExecuteRequest,
  type ExecuteResponse,
  ExecuteResponseSchema,
  ExecutionSchema,
  ExecutionService,
  Outcome,
} from '../../src/gen/caisson/v1/execution_pb.ts';

const messageBytesMax = 18 * 1_048_576;

export type Handlers = Readonly<Record<string, UntypedHandleCall>>;

/** Serves methods of ExecutionService by their local names, and says where. */
export function serveEdge(handlers: Handlers, definitionOf = methodDefinition): void {
  const server = new Server({
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
    'grpc.max_concurrent_streams': 1_000,
  });
  const methods = ExecutionService.methods.filter(({ localName }) => localName in handlers);
  const definition = Object.fromEntries(methods.map((method) => [method.localName, definitionOf(method)]));
  server.addService(definition, handlers);
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error;
    sayReady(port);
  });
  process.once('SIGTERM', () => process.exit());
}

/** What the benchmark waits for. */
export function sayReady(port: number): void {
  process.stdout.write(`bench ready grpc=127.0.0.1:${port}\n`);
}

/** Serves Execute with a function that gives the output. */
export function serveExecute(run: (request: ExecuteRequest) => Promise<Uint8Array> | Uint8Array): void {
  const execute = (call: { request: ExecuteRequest }, callback: Callback): void => {
    void answer(run, call.request, callback);
  };
  serveEdge({ execute: execute as unknown as UntypedHandleCall });
}

type Callback = (error: Error | null, response?: ExecuteResponse) => void;

async function answer(
  run: (request: ExecuteRequest) => Promise<Uint8Array> | Uint8Array,
  request: ExecuteRequest,
  callback: Callback,
): Promise<void> {
  let output: Uint8Array;
  try {
    output = await run(request);
  } catch (error) {
    return callback(error instanceof Error ? error : new Error(String(error)));
  }
  callback(null, okResponse(output));
}

/** The answer to a run that went well. */
export function okResponse(output: Uint8Array): ExecuteResponse {
  return create(ExecuteResponseSchema, { execution: create(ExecutionSchema, { outcome: Outcome.OK, output }) });
}

function methodDefinition(method: DescMethod): MethodDefinition<Message, Message> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: encode(method.input),
    requestDeserialize: decode(method.input),
    responseSerialize: encode(method.output),
    responseDeserialize: decode(method.output),
  };
}

/** A method whose messages stay the bytes that they are. */
export function bytesDefinition(method: DescMethod): MethodDefinition<Message, Message> {
  const identity = (bytes: unknown): never => bytes as never;
  return {
    ...methodDefinition(method),
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

function encode(schema: DescMessage) {
  return (message: Message): Buffer => {
    const bytes = toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };
}

function decode(schema: DescMessage) {
  return (bytes: Buffer): Message => fromBinary(schema, bytes, { readUnknownFields: false });
}

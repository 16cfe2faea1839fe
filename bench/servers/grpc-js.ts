/**
 * The baseline "bare grpc-js": the edge alone. Execute and ExecuteMany answer with
 * the input as the output; ExecuteStream answers with as many progress events as
 * the input, a decimal number, says.
 */

import { create } from '@bufbuild/protobuf';
import type { UntypedHandleCall } from '@grpc/grpc-js';
import {
  type ExecuteManyRequest,
  type ExecuteManyResponse,
  ExecuteManyResponseSchema,
  type ExecuteRequest,
  type ExecuteResponse,
  type ExecuteStreamRequest,
  type ExecuteStreamResponse,
  ExecuteStreamResponseSchema,
  ExecutionSchema,
  Outcome,
} from '../../src/gen/caisson/v1/execution_pb.ts';
import { okResponse, serveEdge } from './edge.ts';

interface UnaryCall {
  readonly request: ExecuteRequest;
}

interface StreamCall<Request, Response> {
  readonly request: Request;
  write(response: Response): boolean;
  end(): void;
  once(event: 'drain', listener: () => void): void;
  on(event: 'data', listener: (request: Request) => void): void;
  on(event: 'end', listener: () => void): void;
}

function execute(call: UnaryCall, callback: (error: null, response: ExecuteResponse) => void): void {
  callback(null, okResponse(call.request.input));
}

function executeStream(call: StreamCall<ExecuteStreamRequest, ExecuteStreamResponse>): void {
  const count = Number(Buffer.from(call.request.input).toString());
  let sent = 0;
  const sendOn = (): void => {
    while (sent < count) {
      if (!call.write(progressEvent(++sent, count))) return call.once('drain', sendOn);
    }
    const outcome = create(ExecutionSchema, { outcome: Outcome.OK });
    call.write(create(ExecuteStreamResponseSchema, { event: { event: { case: 'outcome', value: outcome } } }));
    call.end();
  };
  sendOn();
}

const executionId = '0192f0c1-2d3e-7f00-8000-000000000000';

/** As large as those of Caisson. */
function progressEvent(sequence: number, count: number): ExecuteStreamResponse {
  const progress = { fraction: sequence / count, message: '', data: new Uint8Array() };
  return create(ExecuteStreamResponseSchema, {
    event: {
      sequence: BigInt(sequence),
      time: { seconds: 1_700_000_000n, nanos: 123_456_789 },
      executionId,
      event: { case: 'progress', value: progress },
    },
  });
}

function executeMany(call: StreamCall<ExecuteManyRequest, ExecuteManyResponse>): void {
  call.on('data', ({ requestId, input }) => {
    const execution = create(ExecutionSchema, { outcome: Outcome.OK, output: input });
    call.write(create(ExecuteManyResponseSchema, { requestId, result: { case: 'execution', value: execution } }));
  });
  call.on('end', () => call.end());
}

serveEdge({ execute, executeStream, executeMany } as unknown as Readonly<Record<string, UntypedHandleCall>>);

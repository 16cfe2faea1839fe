/**
 * The baseline "bare grpc-js, bytes": grpc-js without Protocol Buffers. It answers
 * a request with one and the same response, laid out in advance for an output as
 * long as the input: `node grpc-js-bytes.ts`.
 */

import type { UntypedHandleCall } from '@grpc/grpc-js';
import { echoResponse } from './echo-response.ts';
import { bytesDefinition, serveEdge } from './edge.ts';

function execute(call: { request: Buffer }, callback: (error: null, response: Buffer) => void): void {
  callback(null, echoResponse(call.request));
}

serveEdge({ execute: execute as unknown as UntypedHandleCall }, bytesDefinition);

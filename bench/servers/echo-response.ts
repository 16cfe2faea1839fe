/**
 * The response to an ExecuteRequest whose output is the request's input, made by
 * hand from the bytes of the request: as cheap as it can be.
 */

import { bytesField, varint } from '../wire/protobuf.ts';

const requestInput = 3;
const outcomeOk = Buffer.of(0x10, 1);

export function echoResponse(request: Buffer): Buffer {
  const input = bytesField(request, requestInput) ?? Buffer.alloc(0);
  const outputHeader = [Buffer.of(0x1a), varint(input.length)];
  const executionBytes = outcomeOk.length + outputHeader.reduce((sum, part) => sum + part.length, 0) + input.length;
  return Buffer.concat([Buffer.of(0x0a), varint(executionBytes), outcomeOk, ...outputHeader, input]);
}

/** Calls of Caisson's services that a case makes besides its load: typed, over the connection of the load generator. */

import { createHash } from 'node:crypto';
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import { PluginService, PublishPluginRequestSchema } from '../src/gen/caisson/v1/plugin_pb.ts';
import type { BenchServer } from './process.ts';
import { Connection } from './wire/connection.ts';
import { grpcFrame } from './wire/grpc-messages.ts';
import { type GrpcStatus, okCode } from './wire/grpc-status.ts';

const chunkBytes = 262_144;

export class Control implements Disposable {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async open({ address }: BenchServer): Promise<Control> {
    return new Control(await Connection.open(address));
  }

  /** Rejects if the status is not OK. */
  async call<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodUnary<Input, Output>,
    request: MessageInitShape<Input>,
  ): Promise<MessageShape<Output>> {
    return this.#answer(method, grpcFrame(encode(method.input, request)), method.output);
  }

  /** Publishes a module. */
  async publish(manifest: string, module: Uint8Array): Promise<void> {
    const sha256 = createHash('sha256').update(module).digest('hex');
    const header = { manifest, sha256, sizeBytes: BigInt(module.length) };
    const messages = [encode(PublishPluginRequestSchema, { part: { case: 'header', value: header } })];
    for (let at = 0; at < module.length; at += chunkBytes) {
      const chunk = module.subarray(at, at + chunkBytes);
      messages.push(encode(PublishPluginRequestSchema, { part: { case: 'chunk', value: chunk } }));
    }
    const method = PluginService.method.publishPlugin;
    await this.#answer(method, Buffer.concat(messages.map(grpcFrame)), method.output);
  }

  /** Calls a method that streams; resolves with its status at the end. */
  stream<Input extends DescMessage, Output extends DescMessage>(
    method: DescMethodServerStreaming<Input, Output>,
    request: MessageInitShape<Input>,
    take: (message: MessageShape<Output>) => void,
  ): Promise<GrpcStatus> {
    const frames = grpcFrame(encode(method.input, request));
    return this.#send(method, frames, (bytes) => take(fromBinary(method.output, bytes)));
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
  }

  async #answer<Output extends DescMessage>(
    method: DescMethod,
    frames: Buffer,
    schema: Output,
  ): Promise<MessageShape<Output>> {
    let answer: MessageShape<Output> | undefined;
    const status = await this.#send(method, frames, (bytes) => {
      answer = fromBinary(schema, bytes);
    });
    if (status.code !== okCode || answer === undefined)
      throw new Error(`${method.name} answered with status ${status.code}: ${status.message}`);
    return answer;
  }

  #send(method: DescMethod, frames: Buffer, message: (bytes: Buffer) => void): Promise<GrpcStatus> {
    const path = `/${method.parent.typeName}/${method.name}`;
    return new Promise((end) => this.#connection.begin(path, { message, end }).send(frames, true));
  }
}

function encode<Schema extends DescMessage>(schema: Schema, message: MessageInitShape<Schema>): Uint8Array {
  return toBinary(schema, create(schema, message));
}

/** The clients of one server, and how a plugin is sent to it. */

import { digestOf } from '../base/digest.ts';
import { type Client, createClient } from '../client/client.ts';
import { ExecutionService } from '../gen/caisson/v1/execution_pb.ts';
import { PluginService, type PluginUpload } from '../gen/caisson/v1/plugin_pb.ts';
import { Health } from '../gen/grpc/health/v1/health_pb.ts';

export interface Connection extends Disposable {
  readonly plugins: Client<typeof PluginService>;
  readonly executions: Client<typeof ExecutionService>;
  readonly health: Client<typeof Health>;
}

const chunkBytes = 262_144;

/** Clients for host:port or unix:/path. Nothing is connected before the first call. */
export function connectTo(address: string): Connection {
  const stack = new DisposableStack();
  const plugins = stack.use(createClient(PluginService, address));
  const executions = stack.use(createClient(ExecutionService, address));
  const health = stack.use(createClient(Health, address));
  return { plugins, executions, health, [Symbol.dispose]: () => stack.dispose() };
}

/** One message of an upload, as PublishPlugin and ValidatePlugin take it. */
export type UploadPart =
  | {
      readonly part: {
        readonly case: 'header';
        readonly value: Pick<PluginUpload, 'manifest' | 'sha256' | 'sizeBytes'>;
      };
    }
  | { readonly part: { readonly case: 'chunk'; readonly value: Uint8Array } };

/** The messages that upload a module with its manifest. */
export async function* uploadParts(upload: {
  readonly module: Uint8Array;
  readonly manifestText: string;
}): AsyncGenerator<UploadPart> {
  const { module, manifestText } = upload;
  const header = { manifest: manifestText, sha256: digestOf(module), sizeBytes: BigInt(module.length) };
  yield { part: { case: 'header', value: header } };
  for (let at = 0; at < module.length; at += chunkBytes) {
    yield { part: { case: 'chunk', value: module.subarray(at, at + chunkBytes) } };
  }
}

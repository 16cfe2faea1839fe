/** The clients of one server, and how a plugin is sent to it. */

import { digestOf } from '../base/digest.ts';
import { type Client, createClient } from '../client/client.ts';
import { AdminService } from '../gen/caisson/v1/admin_pb.ts';
import { ExecutionService } from '../gen/caisson/v1/execution_pb.ts';
import { PluginService, type PluginUpload } from '../gen/caisson/v1/plugin_pb.ts';
import { Health } from '../gen/grpc/health/v1/health_pb.ts';
import { tenantKey } from '../model/tenant.ts';

export interface Connection extends Disposable {
  readonly plugins: Client<typeof PluginService>;
  readonly executions: Client<typeof ExecutionService>;
  readonly admin: Client<typeof AdminService>;
  readonly health: Client<typeof Health>;
}

/** Which server, and on whose behalf. */
export interface Target {
  /** host:port or unix:/path. */
  readonly address: string;
  /** Absent: the tenant that the server takes by default. */
  readonly tenant?: string;
}

const chunkBytes = 262_144;

/** Clients of a server. Nothing is connected before the first call. */
export function connectTo({ address, tenant }: Target): Connection {
  const stack = new DisposableStack();
  const target = { address, ...(tenant !== undefined && { metadata: { [tenantKey]: tenant } }) };
  const plugins = stack.use(createClient(PluginService, target));
  const executions = stack.use(createClient(ExecutionService, target));
  const admin = stack.use(createClient(AdminService, target));
  const health = stack.use(createClient(Health, target));
  return { plugins, executions, admin, health, [Symbol.dispose]: () => stack.dispose() };
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
